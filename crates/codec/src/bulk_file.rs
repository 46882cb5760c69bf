//! Files of bulk data: their packing, their lines, and the rows in them. Nothing here holds more than one line and a small
//! buffer, however large the file is.

mod lines;
mod rows;
mod unpack;

pub use lines::{Line, LineFault, Lines, MAX_LINE_BYTES};
pub use rows::{HeaderFault, Rows};
pub use unpack::Broken;

/// How a file's lines are written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values (RFC 4180); the first line names the columns.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

/// How a file is packed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several, with a window of at most 8 MiB: any level up to 19 without `--long`.
    Zstd,
}

/// Form and packing, as a file's name says them: `.csv`, `.ndjson` or `.jsonl`, then `.gz`, `.zst` or nothing.
pub fn form_of(name: &str) -> Option<(Form, Packing)> {
    let name = name.to_ascii_lowercase();
    let (name, packing) = if let Some(name) = name.strip_suffix(".gz") {
        (name, Packing::Gzip)
    } else if let Some(name) = name.strip_suffix(".zst") {
        (name, Packing::Zstd)
    } else {
        (name.as_str(), Packing::Plain)
    };
    let (_, ending) = name.rsplit_once('.')?;
    match ending {
        "csv" => Some((Form::Csv, packing)),
        "ndjson" | "jsonl" => Some((Form::Ndjson, packing)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
