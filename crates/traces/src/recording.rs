//! A recording: a file that is read row by row.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::TraceError;
use crate::format::Format;
use crate::lines::{Line, Lines};
use crate::row::{RecordedSample, Row, RowRefusal, VehicleDetails, VehicleKey};
use crate::{capmetro, envirocar, fms, twizy};

pub use crate::lines::Progress;

/// 2023-01-01T00:00:00Z: the default start of recordings without a clock.
const DEFAULT_START_MS: i64 = 1_672_531_200_000;

/// A recording, open for reading. Compressed files (gzip, Zstandard) are decompressed while they are read, and at most one
/// line is in memory.
pub struct Recording {
    path: PathBuf,
    lines: Lines,
    /// The first line of a format without a header: it was read to detect the format, and is a row.
    first: Option<Line>,
    reader: Reader,
    /// Reading failed, so that no further rows can be read.
    failed: bool,
}

enum Reader {
    EnviroCar(envirocar::Reader),
    CapMetro(capmetro::Reader),
    Twizy(twizy::Reader),
    FmsVss(fms::Reader),
}

impl Recording {
    /// Opens a file in `format`, or in the format detected from its first line.
    pub fn open(path: impl AsRef<Path>, format: Option<Format>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let lines = Lines::open(path).map_err(|source| TraceError::Open { path: path.to_owned(), source })?;
        let mut recording = Self::new(path, lines, format)?;
        if let Reader::FmsVss(reader) = &mut recording.reader {
            reader.find_vin(path);
        }
        Ok(recording)
    }

    fn new(path: &Path, mut lines: Lines, format: Option<Format>) -> Result<Self, TraceError> {
        let first = lines
            .next()
            .map_err(|source| read_error(path, &lines, source))?
            .ok_or_else(|| TraceError::Empty { path: path.to_owned() })?;
        let text = first.as_deref().unwrap_or_default();
        let format = match format {
            Some(format) => format,
            None => Format::detect(path, text.as_bytes())?,
        };
        let reader = match format {
            Format::EnviroCar => Reader::EnviroCar(envirocar::Reader::with_tracks_beside(path)),
            Format::CapMetro => Reader::CapMetro(capmetro::Reader::new(text, path)?),
            Format::Twizy => Reader::Twizy(twizy::Reader::new(text, path)?),
            Format::FmsVss => Reader::FmsVss(fms::Reader::new(text, path, DEFAULT_START_MS)?),
        };
        Ok(Self {
            path: path.to_owned(),
            lines,
            first: (format == Format::EnviroCar).then_some(first),
            reader,
            failed: false,
        })
    }

    /// Sets the start of a recording without a clock (`fms-vss`), in milliseconds since 1970, instead of
    /// 2023-01-01T00:00:00Z. Has no effect on other formats.
    #[must_use]
    pub fn starting_at(mut self, start_ms: i64) -> Self {
        if let Reader::FmsVss(reader) = &mut self.reader {
            reader.start_at(start_ms);
        }
        self
    }

    /// Returns the format.
    pub fn format(&self) -> Format {
        match self.reader {
            Reader::EnviroCar(_) => Format::EnviroCar,
            Reader::CapMetro(_) => Format::CapMetro,
            Reader::Twizy(_) => Format::Twizy,
            Reader::FmsVss(_) => Format::FmsVss,
        }
    }

    /// Returns the bytes of the file read so far, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.lines.progress().bytes_read()
    }

    /// Returns the size of the file in bytes, before decompression.
    pub fn bytes_total(&self) -> u64 {
        self.lines.progress().bytes_total()
    }

    /// Returns a handle to the two counts above, for use while rows are being read.
    pub fn progress(&self) -> Progress {
        self.lines.progress().clone()
    }

    /// Returns the master data of a vehicle of this recording, if the recording has any.
    pub fn vehicle_details(&self, vehicle: &VehicleKey) -> Option<VehicleDetails> {
        match &self.reader {
            Reader::EnviroCar(reader) => reader.details(&vehicle.value),
            Reader::CapMetro(_) => None,
            Reader::Twizy(_) => twizy::Reader::details(&vehicle.value),
            Reader::FmsVss(reader) => reader.details(&vehicle.value),
        }
    }

    /// Returns how many readings so far were left out of their samples because their name has no path, by name.
    pub fn unmapped_readings(&self) -> BTreeMap<String, u64> {
        match &self.reader {
            Reader::EnviroCar(reader) => reader.unmapped_readings().clone(),
            Reader::CapMetro(_) | Reader::Twizy(_) | Reader::FmsVss(_) => BTreeMap::new(),
        }
    }

    /// Returns the remaining rows, in file order. An error is the last item.
    pub fn rows(&mut self) -> impl Iterator<Item = Result<Row, TraceError>> {
        std::iter::from_fn(move || self.next_row().transpose())
    }

    /// Returns the next row, or `None` at the end of the file.
    pub fn next_row(&mut self) -> Result<Option<Row>, TraceError> {
        if self.failed {
            return Ok(None);
        }
        let line = match self.first.take() {
            Some(line) => Some(line),
            None => self.lines.next().map_err(|source| {
                self.failed = true;
                read_error(&self.path, &self.lines, source)
            })?,
        };
        let number = self.lines.number();
        Ok(line.map(|line| match line.and_then(|text| self.reader.read(number, &text)) {
            Ok(sample) => Row::Sample(sample),
            Err(reason) => Row::Refused { line: number, reason },
        }))
    }
}

impl Reader {
    fn read(&mut self, line: u64, text: &str) -> Result<RecordedSample, RowRefusal> {
        match self {
            Self::EnviroCar(reader) => reader.read(line, text),
            Self::CapMetro(reader) => reader.read(line, text),
            Self::Twizy(reader) => reader.read(line, text),
            Self::FmsVss(reader) => reader.read(line, text),
        }
    }
}

fn read_error(path: &Path, lines: &Lines, source: io::Error) -> TraceError {
    TraceError::Read { path: path.to_owned(), line: lines.number(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn open(bytes: &[u8]) -> Result<Recording, TraceError> {
        let lines = Lines::new(io::Cursor::new(bytes.to_vec()), bytes.len() as u64).unwrap();
        Recording::new(Path::new("nowhere/file"), lines, None)
    }

    #[test]
    fn invalid_row_does_not_end_reading() {
        let mut recording = open(
            b"{\"vehicle_id\":\"v\",\"time\":\"2017-02-19T12:19:28Z\",\"lon\":1}\nnonsense\n\xff\n{\"vehicle_id\":\"v\",\"time\":\"2017-02-19T12:19:29Z\",\"lon\":1}\n",
        )
        .unwrap();
        let rows: Vec<_> = recording.rows().map(Result::unwrap).collect();
        let lines: Vec<_> = rows
            .iter()
            .map(|row| match row {
                Row::Sample(sample) => (sample.line, "sample"),
                Row::Refused { line, reason } => (*line, reason.code()),
            })
            .collect();
        assert_eq!(lines, [(1, "sample"), (2, "not_json"), (3, "not_utf8"), (4, "sample")]);
        assert_eq!(recording.bytes_read(), recording.bytes_total());
    }

    #[test]
    fn header_is_not_a_row() {
        let mut recording = open(b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,0\n").unwrap();
        assert_eq!(recording.format(), Format::FmsVss);
        let rows: Vec<_> = recording.rows().map(Result::unwrap).collect();
        assert!(matches!(&rows[..], [Row::Sample(sample)] if sample.at == "2023-01-01T00:00:00.000Z"));
    }

    #[test]
    fn start_of_recording_without_clock_can_be_set() {
        let mut recording = open(b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,1.5\n").unwrap().starting_at(0);
        let row = recording.next_row().unwrap();
        assert!(matches!(row, Some(Row::Sample(sample)) if sample.at_ms == Some(1500)));
    }

    #[test]
    fn open_errors_state_what_to_do() {
        assert!(matches!(open(b""), Err(TraceError::Empty { .. })));
        assert!(matches!(open(b"\x00\x01"), Err(TraceError::UnknownFormat { .. })));
        let error = Recording::open("nowhere/at-all.csv", None).err().unwrap();
        assert!(error.to_string().contains("check that the path"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        let directory = Recording::open(env!("CARGO_MANIFEST_DIR"), None).err().unwrap();
        assert!(matches!(directory, TraceError::Open { .. }));
    }

    #[test]
    fn truncated_file_is_reported_once() {
        let mut compressed =
            zstd::stream::encode_all(&b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,0\n"[..], 1).unwrap();
        compressed.truncate(compressed.len() - 3);
        let outcome = open(&compressed).map(|mut recording| {
            let errors = recording.rows().filter(Result::is_err).count();
            (errors, recording.next_row().unwrap().is_none())
        });
        assert!(matches!(outcome, Ok((1, true)) | Err(TraceError::Read { .. })));
    }
}
