//! Splitting of a file, received in chunks, into lines.

use roadcast_domain::vehicle_mapping::RowFault;

use super::Compression;
use super::content::ForeignContent;
use super::decompress::{DecompressError, Decompressor};

/// The default limit for the length of a line, without its line ending.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line number, from 1; empty lines count.
    pub number: u64,
    /// The offset of the next line in the decompressed file, in bytes.
    pub end: u64,
    /// The text without its line ending.
    pub text: Result<String, LineFault>,
}

/// Why a line has no text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// The line exceeds the maximum length.
    TooLong,
    /// The line exceeds the maximum length and has carriage returns, which may be its line ends.
    CarriageReturns,
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is the first one of a file that is not text.
    Foreign(ForeignContent),
}

impl LineFault {
    /// Returns the fault of a row that has this line.
    pub const fn row_fault(self) -> RowFault {
        match self {
            Self::TooLong => RowFault::TooLong,
            Self::CarriageReturns => RowFault::CarriageReturn,
            Self::NotUtf8 | Self::Foreign(_) => RowFault::NotUtf8,
        }
    }
}

/// Splits a file, received in chunks of any size, into lines. Lines end with LF or CRLF; the last line may have no line
/// ending. A byte order mark at the start of the file is skipped.
pub struct LineSplitter {
    decompressor: Decompressor,
    input: Vec<u8>,
    /// Bytes of `input` that were decompressed.
    consumed: usize,
    /// Decompressed bytes.
    pub(super) out: Vec<u8>,
    /// Bytes of `out` that were split into lines.
    split: usize,
    /// The start of the current line, at most one byte more than `max_line_bytes`.
    pub(super) line: Vec<u8>,
    too_long: bool,
    /// The number of the last complete line.
    number: u64,
    /// The offset in the decompressed file.
    offset: u64,
    /// Decompressed bytes to skip before the first line.
    skip: u64,
    /// Whether any byte of the file was read.
    started: bool,
    finished: bool,
    max_line_bytes: usize,
}

impl LineSplitter {
    /// Splits a file from its start.
    pub fn new(compression: Compression) -> Result<Self, DecompressError> {
        Self::starting_at(compression, 0, 0, 0)
    }

    /// Continues after line `number`, which ends at byte `offset` of the decompressed file. The input must start at byte
    /// `offset` if the file is not compressed, and at the start of the file otherwise, because compressed files cannot be
    /// read from an offset.
    pub fn resume(compression: Compression, number: u64, offset: u64) -> Result<Self, DecompressError> {
        Self::starting_at(compression, number, offset, if compression == Compression::Plain { 0 } else { offset })
    }

    fn starting_at(compression: Compression, number: u64, offset: u64, skip: u64) -> Result<Self, DecompressError> {
        Ok(Self {
            decompressor: Decompressor::new(compression)?,
            input: Vec::new(),
            consumed: 0,
            out: Vec::new(),
            split: 0,
            line: Vec::new(),
            too_long: false,
            number,
            offset,
            skip,
            started: false,
            finished: false,
            max_line_bytes: MAX_LINE_BYTES,
        })
    }

    /// Sets the maximum length of a line in bytes.
    #[must_use]
    pub fn max_line_bytes(self, max_line_bytes: usize) -> Self {
        Self { max_line_bytes, ..self }
    }

    /// Adds the next chunk of the file. Call it when [`next_line`](Self::next_line) returns `None`.
    pub fn push(&mut self, chunk: Vec<u8>) {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() {
            self.input = chunk;
        } else {
            self.input.extend_from_slice(&chunk);
        }
    }

    /// Marks the end of the file.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Returns the next line, or `None` if the next chunk is needed or the file has ended.
    pub fn next_line(&mut self) -> Result<Option<Line>, DecompressError> {
        loop {
            if let Some(line) = self.split_line() {
                return Ok(Some(line));
            }
            self.out.clear();
            self.split = 0;
            if let Some(first) = self.input.first().filter(|_| !self.started) {
                self.decompressor.check_first_byte(*first)?;
                self.started = true;
            }
            let consumed = self.decompressor.step(&self.input[self.consumed..], &mut self.out)?;
            self.consumed += consumed;
            if consumed > 0 || !self.out.is_empty() {
                continue;
            }
            if !self.finished {
                return Ok(None);
            }
            if self.started {
                self.decompressor.finish(&mut self.out)?;
            }
            if !self.out.is_empty() {
                continue;
            }
            return Ok(self.last_line());
        }
    }

    /// Returns the next line that ends in the decompressed bytes.
    fn split_line(&mut self) -> Option<Line> {
        let skipped = self.skip.min((self.out.len() - self.split) as u64);
        self.skip -= skipped;
        self.split += usize::try_from(skipped).unwrap_or(self.out.len());
        let rest = &self.out[self.split..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let part = &rest[..end.unwrap_or(rest.len())];
        // The additional byte may be the carriage return.
        let capacity = (self.max_line_bytes + 1).saturating_sub(self.line.len());
        self.too_long |= part.len() > capacity;
        self.line.extend_from_slice(&part[..part.len().min(capacity)]);
        let used = part.len() + usize::from(end.is_some());
        self.split += used;
        self.offset += used as u64;
        end.map(|_| self.complete_line())
    }

    /// Returns the last line, if it has no line ending.
    fn last_line(&mut self) -> Option<Line> {
        (!self.line.is_empty() || self.too_long).then(|| self.complete_line())
    }

    /// Returns the current line and starts a new one.
    fn complete_line(&mut self) -> Line {
        self.number += 1;
        let mut bytes = std::mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') && !self.too_long {
            bytes.pop();
        }
        let too_long = std::mem::take(&mut self.too_long) || bytes.len() > self.max_line_bytes;
        let foreign = if self.number == 1 { ForeignContent::detect(&bytes) } else { None };
        let text = match String::from_utf8(bytes) {
            _ if foreign.is_some() => Err(foreign.map_or(LineFault::NotUtf8, LineFault::Foreign)),
            Ok(text) if too_long && text.contains('\r') => Err(LineFault::CarriageReturns),
            _ if too_long => Err(LineFault::TooLong),
            Err(_) => Err(LineFault::NotUtf8),
            Ok(text) if self.number == 1 => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Ok(text) => Ok(text),
        };
        Line { number: self.number, end: self.offset, text }
    }
}
