//! A recording: a file read row by row.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::TraceError;
use crate::format::Format;
use crate::lines::{Line, Lines};
use crate::row::{Details, Inexpressible, RecordedSample, Row, VehicleKey};
use crate::{capmetro, envirocar, fms, twizy};

pub use crate::lines::Progress;

/// 2023-01-01T00:00:00Z: where recordings without a clock begin, unless they are told otherwise.
const DEFAULT_START_MS: i64 = 1_672_531_200_000;

/// A recording, open for reading. Packed files (gzip, Zstandard) are unpacked as they are read, and no more than a line
/// is held in memory.
pub struct Recording {
    path: PathBuf,
    lines: Lines,
    /// The first line of a format without a header: it was read to tell the format, and is a row.
    first: Option<Line>,
    reader: Reader,
    /// Reading broke off, so there is nothing more to read.
    broken: bool,
}

enum Reader {
    EnviroCar(envirocar::Reader),
    CapMetro(capmetro::Reader),
    Twizy(twizy::Reader),
    FmsVss(fms::Reader),
}

impl Recording {
    /// Opens a file, in the format given or else the one that its first line tells.
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
            .map_err(|source| broken_off(path, &lines, source))?
            .ok_or_else(|| TraceError::Empty { path: path.to_owned() })?;
        let text = first.as_deref().unwrap_or_default();
        let format = match format {
            Some(format) => format,
            None => Format::detect(path, text.as_bytes())?,
        };
        let reader = match format {
            Format::EnviroCar => Reader::EnviroCar(envirocar::Reader::beside(path)),
            Format::CapMetro => Reader::CapMetro(capmetro::Reader::new(text, path)?),
            Format::Twizy => Reader::Twizy(twizy::Reader::new(text, path)?),
            Format::FmsVss => Reader::FmsVss(fms::Reader::new(text, path, DEFAULT_START_MS)?),
        };
        Ok(Self {
            path: path.to_owned(),
            lines,
            first: (format == Format::EnviroCar).then_some(first),
            reader,
            broken: false,
        })
    }

    /// Lays a recording that has no clock of its own (`fms-vss`) at this instant, in milliseconds since 1970, in place of
    /// 2023-01-01T00:00:00Z. The other formats have their times.
    #[must_use]
    pub fn starting_at(mut self, start_ms: i64) -> Self {
        if let Reader::FmsVss(reader) = &mut self.reader {
            reader.start_at(start_ms);
        }
        self
    }

    /// The format that it is read as.
    pub fn format(&self) -> Format {
        match self.reader {
            Reader::EnviroCar(_) => Format::EnviroCar,
            Reader::CapMetro(_) => Format::CapMetro,
            Reader::Twizy(_) => Format::Twizy,
            Reader::FmsVss(_) => Format::FmsVss,
        }
    }

    /// Bytes of the file read so far, before unpacking.
    pub fn bytes_read(&self) -> u64 {
        self.lines.progress().bytes_read()
    }

    /// Bytes of the whole file, before unpacking.
    pub fn bytes_total(&self) -> u64 {
        self.lines.progress().bytes_total()
    }

    /// The two counts above, to be watched while the rows are being read.
    pub fn progress(&self) -> Progress {
        self.lines.progress().clone()
    }

    /// What is known of a vehicle of this recording besides its readings.
    pub fn vehicle_details(&self, vehicle: &VehicleKey) -> Option<Details> {
        match &self.reader {
            Reader::EnviroCar(reader) => reader.details(&vehicle.value),
            Reader::CapMetro(_) => None,
            Reader::Twizy(_) => twizy::Reader::details(&vehicle.value),
            Reader::FmsVss(reader) => reader.details(&vehicle.value),
        }
    }

    /// Readings so far that were left out of their samples because no path is known for them: name → how many.
    pub fn left_out(&self) -> BTreeMap<String, u64> {
        match &self.reader {
            Reader::EnviroCar(reader) => reader.left_out().clone(),
            Reader::CapMetro(_) | Reader::Twizy(_) | Reader::FmsVss(_) => BTreeMap::new(),
        }
    }

    /// The rows from here on, in file order. An error is the last item.
    pub fn rows(&mut self) -> impl Iterator<Item = Result<Row, TraceError>> {
        std::iter::from_fn(move || self.next_row().transpose())
    }

    /// The next row, or nothing at the end of the file.
    pub fn next_row(&mut self) -> Result<Option<Row>, TraceError> {
        if self.broken {
            return Ok(None);
        }
        let line = match self.first.take() {
            Some(line) => Some(line),
            None => self.lines.next().map_err(|source| {
                self.broken = true;
                broken_off(&self.path, &self.lines, source)
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
    fn read(&mut self, line: u64, text: &str) -> Result<RecordedSample, Inexpressible> {
        match self {
            Self::EnviroCar(reader) => reader.read(line, text),
            Self::CapMetro(reader) => reader.read(line, text),
            Self::Twizy(reader) => reader.read(line, text),
            Self::FmsVss(reader) => reader.read(line, text),
        }
    }
}

fn broken_off(path: &Path, lines: &Lines, source: io::Error) -> TraceError {
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
    fn a_bad_row_does_not_end_the_run() {
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
    fn a_header_is_no_row() {
        let mut recording = open(b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,0\n").unwrap();
        assert_eq!(recording.format(), Format::FmsVss);
        let rows: Vec<_> = recording.rows().map(Result::unwrap).collect();
        assert!(matches!(&rows[..], [Row::Sample(sample)] if sample.at == "2023-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_recording_without_a_clock_starts_where_it_is_told() {
        let mut recording = open(b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,1.5\n").unwrap().starting_at(0);
        let row = recording.next_row().unwrap();
        assert!(matches!(row, Some(Row::Sample(sample)) if sample.at_ms == Some(1500)));
    }

    #[test]
    fn unreadable_files_say_what_to_do() {
        assert!(matches!(open(b""), Err(TraceError::Empty { .. })));
        assert!(matches!(open(b"\x00\x01"), Err(TraceError::UnknownFormat { .. })));
        let error = Recording::open("nowhere/at-all.csv", None).err().unwrap();
        assert!(error.to_string().contains("check that the path"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        let directory = Recording::open(env!("CARGO_MANIFEST_DIR"), None).err().unwrap();
        assert!(matches!(directory, TraceError::Open { .. }));
    }

    #[test]
    fn a_file_cut_short_is_reported_once_and_ends() {
        let mut packed = zstd::stream::encode_all(&b"field,signal,value,delay\ncurrent,Vehicle.Speed,1,0\n"[..], 1).unwrap();
        packed.truncate(packed.len() - 3);
        let outcome = open(&packed).map(|mut recording| {
            let errors = recording.rows().filter(Result::is_err).count();
            (errors, recording.next_row().unwrap().is_none())
        });
        assert!(matches!(outcome, Ok((1, true)) | Err(TraceError::Read { .. })));
    }
}
