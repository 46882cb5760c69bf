//! Errors that end the reading of a recording.

use std::io;
use std::path::PathBuf;

/// Why a recording cannot be read, or not completely. An invalid row is not an error: it is a
/// [`Row::Refused`](crate::Row::Refused), and reading continues after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be opened.
    #[error("cannot open {}: check that the path is correct and that you have permission to read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Reading failed within the file, for example because a compressed file is truncated.
    #[error("cannot read {} beyond line {line}: the file may be truncated; download or decompress it again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// The error of the operating system or the decompressor.
        source: io::Error,
    },
    /// The file is empty.
    #[error("{} has no rows: check that it is a complete recording", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No row of the file can become an event.
    #[error(
        "{} has no usable row: {}; check that it is a complete recording in the format {format}",
        path.display(),
        first.as_ref().map_or_else(|| "it has no rows".to_owned(), |(line, reason)| {
            format!("all are refused ({rows}), the first at line {line}: {reason}")
        })
    )]
    NoUsableRow {
        /// The file.
        path: PathBuf,
        /// The format as which it was read.
        format: crate::format::Format,
        /// The number of rows.
        rows: u64,
        /// The line number of the first row, and why it is refused.
        first: Option<(u64, crate::row::RowRefusal)>,
    },
    /// The first line matches no format.
    #[error(
        "{} is not a known recording: specify its format ({}), or convert it to one of these formats, one row per line",
        path.display(),
        crate::format::Format::NAMES.join(", ")
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The header line lacks a required column of the format.
    #[error("{} has no column `{column}`, which the format {format} requires: check the format", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The format as which it was read.
        format: crate::format::Format,
        /// The column.
        column: &'static str,
    },
    /// The name is not the name of a format.
    #[error("unknown format `{name}`: use one of {}", crate::format::Format::NAMES.join(", "))]
    UnknownFormatName {
        /// The name.
        name: String,
    },
}
