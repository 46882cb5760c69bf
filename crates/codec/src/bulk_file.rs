//! Bulk files: decompression, lines and rows. Memory is bounded by one line and a small buffer, regardless of the file size.

mod cells;
mod content;
mod decompress;
mod header;
mod lines;
mod rows;

pub use content::ForeignContent;
pub use decompress::DecompressError;
pub use header::HeaderFault;
pub use lines::{Line, LineFault, LineSplitter, MAX_LINE_BYTES};
pub use rows::RowParser;

/// The format of a file's lines.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values (RFC 4180); the first line names the columns.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl FileFormat {
    /// Returns whether the first line of a file of this format names the columns.
    pub const fn has_header(self) -> bool {
        matches!(self, Self::Csv)
    }
}

/// The compression of a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    Plain,
    /// gzip, with one or several members.
    Gzip,
    /// zstd, with one or several frames and a window of at most 8 MiB: any level up to 19 without `--long`.
    Zstd,
}

/// Detects format and compression from a file name: `.csv`, `.ndjson` or `.jsonl`, optionally followed by `.gz` or `.zst`.
/// Case is ignored. Returns `None` for any other extension.
pub fn detect_format(name: &str) -> Option<(FileFormat, Compression)> {
    let name = name.to_ascii_lowercase();
    let (name, compression) = if let Some(name) = name.strip_suffix(".gz") {
        (name, Compression::Gzip)
    } else if let Some(name) = name.strip_suffix(".zst") {
        (name, Compression::Zstd)
    } else {
        (name.as_str(), Compression::Plain)
    };
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "csv" => Some((FileFormat::Csv, compression)),
        "ndjson" | "jsonl" => Some((FileFormat::Ndjson, compression)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
