//! What ends the reading of a recording.

use std::io;
use std::path::PathBuf;

/// Why a recording cannot be read, or not any further. A bad row is never one of these: it is a
/// [`Row::Refused`](crate::Row::Refused), and the rows after it are read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be opened.
    #[error("cannot open {}: check that the path is right and that you may read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Reading broke off in the file, as it does where a compressed file is cut short.
    #[error("cannot read {} beyond line {line}: the file may be cut short, so fetch or unpack it again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// What the operating system or the decompressor says.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error("{} holds no rows: check that it is the recording, and whole", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first line fits no format.
    #[error(
        "{} is no recording that is known here: name its format ({}), or convert it to one of them",
        path.display(),
        crate::Format::NAMES.join(", ")
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The header line lacks a column that the format cannot do without.
    #[error("{} has no column `{column}`: is it really {format}?", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The format that it was read as.
        format: crate::Format,
        /// The column.
        column: &'static str,
    },
    /// The name is no format.
    #[error("`{name}` is no format: use one of {}", crate::Format::NAMES.join(", "))]
    UnknownFormatName {
        /// The name.
        name: String,
    },
}
