//! The lines of a file that may be compressed, and the progress of reading it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::row::RowRefusal;

/// The longest line that is accepted as a row. The limit keeps a file without line feeds out of memory and is several times
/// the longest row of the known formats.
const MAX_LINE_BYTES: u64 = 256 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The number of bytes read from the file, before decompression. Clones share the count, so that a progress bar can use one
/// while rows are being read.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    /// Returns the bytes read so far, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Returns the size of the file in bytes, before decompression.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }
}

/// Counts the bytes read from `inner`.
struct CountingReader<Source> {
    inner: Source,
    read: Arc<AtomicU64>,
}

impl<Source: Read> Read for CountingReader<Source> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A line without its line ending, or the reason why it is not a text line.
pub(crate) type Line = Result<String, RowRefusal>;

/// The lines of an input that is plain, gzip or Zstandard, which is detected from its first bytes.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    number: u64,
    progress: Progress,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Self::new(file, metadata.len())
    }

    pub(crate) fn new(input: impl Read + Send + 'static, total: u64) -> io::Result<Self> {
        let progress = Progress { read: Arc::default(), total };
        let mut compressed =
            BufReader::with_capacity(64 * 1024, CountingReader { inner: input, read: Arc::clone(&progress.read) });
        // The magic number is read separately and prepended again, because one read may return fewer bytes.
        let mut magic = Vec::with_capacity(ZSTD.len());
        (&mut compressed).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
        let is_gzip = magic.starts_with(&GZIP);
        let is_zstd = magic.starts_with(&ZSTD);
        let input = io::Cursor::new(magic).chain(compressed);
        let input: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input)))
        } else if is_zstd {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(input)?))
        } else {
            Box::new(input)
        };
        Ok(Self { input, number: 0, progress })
    }

    /// Returns the number of the last line read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the next line that is not blank, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            } else if bytes.len() as u64 > MAX_LINE_BYTES {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Err(RowRefusal::LineTooLong)));
            }
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(Some(String::from_utf8(bytes).map_err(|_| RowRefusal::NotUtf8)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::io::Write as _;

    use super::*;

    fn lines(bytes: impl Into<Vec<u8>>) -> Vec<(u64, Line)> {
        let bytes = bytes.into();
        let total = bytes.len() as u64;
        let mut lines = Lines::new(io::Cursor::new(bytes), total).unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((lines.number(), line));
        }
        found
    }

    #[test]
    fn blank_lines_are_skipped_but_counted() {
        assert_eq!(lines("\u{feff}a\r\n\n  \nb"), [(1, Ok("a".to_owned())), (4, Ok("b".to_owned()))]);
        assert_eq!(lines(""), []);
        assert_eq!(lines("x"), [(1, Ok("x".to_owned()))]);
    }

    #[test]
    fn compressed_files_have_the_same_lines() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a\nb\n").unwrap();
        let zstd = zstd::stream::encode_all(&b"a\nb\n"[..], 1).unwrap();
        assert_eq!(lines(gzip.finish().unwrap()), lines("a\nb\n"));
        assert_eq!(lines(zstd), lines("a\nb\n"));
    }

    #[test]
    fn invalid_line_does_not_affect_the_next_one() {
        let mut bytes = vec![b'x'; usize::try_from(MAX_LINE_BYTES).unwrap() + 7];
        bytes.extend_from_slice(b"\n\xff\xfe\nok\n");
        assert_eq!(
            lines(bytes),
            [(1, Err(RowRefusal::LineTooLong)), (2, Err(RowRefusal::NotUtf8)), (3, Ok("ok".to_owned()))]
        );
    }

    #[test]
    fn truncated_file_is_an_error() {
        let mut compressed = zstd::stream::encode_all(&b"a\nb\n"[..], 1).unwrap();
        compressed.truncate(compressed.len() - 2);
        let mut lines = Lines::new(io::Cursor::new(compressed), 0).unwrap();
        let has_error = std::iter::from_fn(|| lines.next().transpose()).any(|line| line.is_err());
        assert!(has_error);
    }

    #[test]
    fn progress_counts_bytes_of_the_file() {
        let mut lines = Lines::new(io::Cursor::new(b"a\nb\n".to_vec()), 4).unwrap();
        let progress = lines.progress().clone();
        while lines.next().unwrap().is_some() {}
        assert_eq!((progress.bytes_read(), progress.bytes_total()), (4, 4));
    }
}
