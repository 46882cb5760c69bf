//! Lines out of pieces.

use super::Packing;
use super::unpack::{Broken, Unpack};

/// The longest line unless a file is said to have longer ones, without its end.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1, empty ones too.
    pub number: u64,
    /// Where the next one begins, in bytes of the unpacked file.
    pub end: u64,
    /// Its text, without its end.
    pub text: Result<String, LineFault>,
}

/// Why a line has no text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// Longer than a line of the file may be.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
}

/// Takes a file in pieces of any size and gives its lines. They end with a line feed, or a carriage return and a line feed;
/// the last one may have no end. A byte order mark at the start of the file is passed over.
pub struct Lines {
    unpack: Unpack,
    input: Vec<u8>,
    taken: usize,
    pub(super) out: Vec<u8>,
    split: usize,
    pub(super) line: Vec<u8>,
    too_long: bool,
    number: u64,
    at: u64,
    skip: u64,
    ended: bool,
    longest: usize,
}

impl Lines {
    /// The lines of a file from its start.
    pub fn new(packing: Packing) -> Result<Self, Broken> {
        Self::after(packing, 0, 0, 0)
    }

    /// The lines after line `number`, which ends at byte `at` of the unpacked file. The file comes from its start where it
    /// is packed, since nothing else leads there, and from byte `at` where it is not.
    pub fn resume(packing: Packing, number: u64, at: u64) -> Result<Self, Broken> {
        Self::after(packing, number, at, if packing == Packing::Plain { 0 } else { at })
    }

    fn after(packing: Packing, number: u64, at: u64, skip: u64) -> Result<Self, Broken> {
        Ok(Self {
            unpack: Unpack::new(packing)?,
            input: Vec::new(),
            taken: 0,
            out: Vec::new(),
            split: 0,
            line: Vec::new(),
            too_long: false,
            number,
            at,
            skip,
            ended: false,
            longest: MAX_LINE_BYTES,
        })
    }

    /// Takes lines of up to so many bytes.
    #[must_use]
    pub fn up_to(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// Takes the next piece of the file, once [`next_line`](Self::next_line) has no more lines.
    pub fn push(&mut self, piece: Vec<u8>) {
        self.input.drain(..self.taken);
        self.taken = 0;
        if self.input.is_empty() {
            self.input = piece;
        } else {
            self.input.extend_from_slice(&piece);
        }
    }

    /// The file has no more pieces.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next line; none where the next piece is needed, or the file is at its end.
    pub fn next_line(&mut self) -> Result<Option<Line>, Broken> {
        loop {
            if let Some(line) = self.split() {
                return Ok(Some(line));
            }
            self.out.clear();
            self.split = 0;
            let taken = self.unpack.step(&self.input[self.taken..], &mut self.out)?;
            self.taken += taken;
            if taken > 0 || !self.out.is_empty() {
                continue;
            }
            if !self.ended {
                return Ok(None);
            }
            self.unpack.end(&mut self.out)?;
            if !self.out.is_empty() {
                continue;
            }
            return Ok(self.last());
        }
    }

    /// The next line that ends within what is unpacked.
    fn split(&mut self) -> Option<Line> {
        let skipped = self.skip.min((self.out.len() - self.split) as u64);
        self.skip -= skipped;
        self.split += usize::try_from(skipped).unwrap_or(self.out.len());
        let rest = &self.out[self.split..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let part = &rest[..end.unwrap_or(rest.len())];
        let room = (self.longest + 1).saturating_sub(self.line.len());
        // One byte more may be the carriage return.
        self.too_long |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        self.split += used;
        self.at += used as u64;
        end.map(|_| self.take())
    }

    /// What is left of the file, if anything.
    fn last(&mut self) -> Option<Line> {
        (!self.line.is_empty() || self.too_long).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        self.number += 1;
        let mut bytes = std::mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') && !self.too_long {
            bytes.pop();
        }
        let too_long = std::mem::take(&mut self.too_long) || bytes.len() > self.longest;
        let text = match String::from_utf8(bytes) {
            _ if too_long => Err(LineFault::TooLong),
            Err(_) => Err(LineFault::NotUtf8),
            Ok(text) if self.number == 1 => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Ok(text) => Ok(text),
        };
        Line { number: self.number, end: self.at, text }
    }
}
