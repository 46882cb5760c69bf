//! Lines of a file that may be packed, and how much of the file has been read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::row::Inexpressible;

/// The longest line that is taken for a row. It keeps a file without line ends out of memory, and is
/// several times what any row of a known format takes.
const LONGEST_LINE: u64 = 256 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How much of the file, as it lies on disk, has been read. Clones count together, so that a progress bar can
/// hold one while the rows are being read.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    /// Bytes read so far, before unpacking.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the whole file, before unpacking.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A line, without its end, or why it cannot be read as text.
pub(crate) type Line = Result<String, Inexpressible>;

/// Lines of an input that is plain, gzip or Zstandard, told apart by its first bytes.
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
        let mut packed = BufReader::with_capacity(64 * 1024, Counted { inner: input, read: Arc::clone(&progress.read) });
        // One read may return fewer bytes than a magic number has, so they are read apart and put in front again.
        let mut magic = Vec::with_capacity(ZSTD.len());
        (&mut packed).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
        let is_gzip = magic.starts_with(&GZIP);
        let is_zstd = magic.starts_with(&ZSTD);
        let whole = io::Cursor::new(magic).chain(packed);
        let input: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(whole)))
        } else if is_zstd {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(whole)?))
        } else {
            Box::new(whole)
        };
        Ok(Self { input, number: 0, progress })
    }

    /// The number of the last line read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            } else if bytes.len() as u64 > LONGEST_LINE {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Err(Inexpressible::LineTooLong)));
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
            return Ok(Some(String::from_utf8(bytes).map_err(|_| Inexpressible::NotUtf8)));
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
    fn blank_lines_and_marks_are_no_rows_but_count_as_lines() {
        assert_eq!(lines("\u{feff}a\r\n\n  \nb"), [(1, Ok("a".to_owned())), (4, Ok("b".to_owned()))]);
        assert_eq!(lines(""), []);
        assert_eq!(lines("x"), [(1, Ok("x".to_owned()))]);
    }

    #[test]
    fn packed_files_read_as_plain_ones() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a\nb\n").unwrap();
        let zstd = zstd::stream::encode_all(&b"a\nb\n"[..], 1).unwrap();
        assert_eq!(lines(gzip.finish().unwrap()), lines("a\nb\n"));
        assert_eq!(lines(zstd), lines("a\nb\n"));
    }

    #[test]
    fn a_bad_line_does_not_take_the_next_one_with_it() {
        let mut bytes = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 7];
        bytes.extend_from_slice(b"\n\xff\xfe\nok\n");
        assert_eq!(
            lines(bytes),
            [(1, Err(Inexpressible::LineTooLong)), (2, Err(Inexpressible::NotUtf8)), (3, Ok("ok".to_owned()))]
        );
    }

    #[test]
    fn a_file_cut_short_is_an_error_and_not_its_end() {
        let mut packed = zstd::stream::encode_all(&b"a\nb\n"[..], 1).unwrap();
        packed.truncate(packed.len() - 2);
        let mut lines = Lines::new(io::Cursor::new(packed), 0).unwrap();
        let ended = std::iter::from_fn(|| lines.next().transpose()).any(|line| line.is_err());
        assert!(ended);
    }

    #[test]
    fn progress_counts_the_bytes_of_the_file() {
        let mut lines = Lines::new(io::Cursor::new(b"a\nb\n".to_vec()), 4).unwrap();
        let progress = lines.progress().clone();
        while lines.next().unwrap().is_some() {}
        assert_eq!((progress.bytes_read(), progress.bytes_total()), (4, 4));
    }
}
