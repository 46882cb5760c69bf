//! Reads a file by line, or by window of rows.

use roadcast_codec::bulk_file::{
    Compression, DecompressError, FileFormat, ForeignContent, HeaderFault, Line, LineFault, LineSplitter, MAX_LINE_BYTES,
    RowParser, detect_format,
};
use roadcast_domain::vehicle_mapping::{InvalidRow, MappingRow};
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody};

/// The maximum number of runs of an import, each of which requests the next one. Each run completes at least one line, so an
/// import ends without it, too; this bounds its cost.
///
/// The longest file that S3 accepts in one request has 5 GiB: 138 million of the shortest rows. If all are of one fleet, 500 are
/// written per second, so a run of 13 minutes loads 390,000 of them, and the file takes 353 runs.
pub(super) const MAX_RUNS: u32 = 1_000;

/// A row and its line number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberedRow {
    pub(super) line: u64,
    pub(super) row: MappingRow,
}

/// A window of consecutive rows.
#[derive(Debug, Default)]
pub(super) struct RowWindow {
    /// The valid rows; of an invalid row, its line number and its fault.
    pub(super) rows: Vec<Result<NumberedRow, (u64, InvalidRow)>>,
    /// The last line of the window.
    pub(super) line: u64,
    /// The offset of the next line, in bytes of the decompressed file.
    pub(super) offset: u64,
    /// The file's columns, if its format has a header.
    pub(super) columns: Option<Vec<String>>,
    /// Whether this is the last window of the file.
    pub(super) is_last: bool,
    /// Why the file cannot be read further.
    pub(super) refused: Option<FileRefusal>,
}

/// Why a file is not loaded, or only in part.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileRefusal {
    #[error(
        "the file name must end in .csv, .ndjson or .jsonl, optionally followed by .gz or .zst; save a spreadsheet as \"CSV \
         UTF-8 (Comma delimited)\""
    )]
    UnknownFormat,
    #[error("the file name must end in .ndjson or .jsonl, optionally followed by .gz or .zst")]
    NotNdjson,
    #[error("the file is truncated, or cannot be decompressed from here on: compress and upload it again")]
    Corrupt,
    #[error("the file is not compressed as its name says: remove .gz or .zst from the name, or compress the file")]
    NotCompressed,
    #[error("the file is empty: check that the export or download was complete")]
    Empty,
    #[error(transparent)]
    Content(ForeignContent),
    #[error(transparent)]
    Header(HeaderFault),
    #[error("the import was stopped after {MAX_RUNS} runs: upload the lines after this one as another file")]
    TooManyRuns,
}

/// Why reading a file failed.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file cannot be read further. A retry does not resolve this.
    Refused(FileRefusal),
    /// The store of the file failed.
    Port(PortError),
}

impl ReadError {
    /// Returns the refusal, which is the result of the import. Fails if the store failed.
    pub(super) fn into_refusal(self) -> Result<FileRefusal, PortError> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Port(error) => Err(error),
        }
    }
}

impl From<PortError> for ReadError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// Reads the lines of a file.
pub(super) struct LineReader<Body> {
    body: Body,
    lines: LineSplitter,
    /// The number of the last line that was read.
    pub(super) line: u64,
    /// The offset of the next line, in bytes of the decompressed file.
    pub(super) offset: u64,
}

impl<Body: FileBody> LineReader<Body> {
    /// Opens a file at a checkpoint. Lines longer than `max_line_bytes` are reported as too long.
    pub(super) async fn open(
        files: &impl BulkFiles<Body = Body>,
        file: &BulkFile,
        compression: Compression,
        from: &Checkpoint,
        max_line_bytes: usize,
    ) -> Result<Self, ReadError> {
        let Ok(lines) = LineSplitter::resume(compression, from.line, from.offset) else {
            return Err(ReadError::Refused(FileRefusal::Corrupt));
        };
        let body = files.open(file, if compression == Compression::Plain { from.offset } else { 0 }).await?;
        Ok(Self { body, lines: lines.max_line_bytes(max_line_bytes), line: from.line, offset: from.offset })
    }

    /// Returns the next line; `None` at the end of the file.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        let mut ended = false;
        loop {
            match self.lines.next_line() {
                Ok(None) if !ended => {}
                Ok(line) => {
                    let Some(line) = line else {
                        return if self.line == 0 { Err(ReadError::Refused(FileRefusal::Empty)) } else { Ok(None) };
                    };
                    (self.line, self.offset) = (line.number, line.end);
                    return match line.text {
                        Err(LineFault::Foreign(content)) => Err(ReadError::Refused(FileRefusal::Content(content))),
                        _ => Ok(Some(line)),
                    };
                }
                Err(DecompressError::NotCompressed) => return Err(ReadError::Refused(FileRefusal::NotCompressed)),
                Err(_) => return Err(ReadError::Refused(FileRefusal::Corrupt)),
            }
            if let Some(bytes) = self.body.next().await? {
                self.lines.push(bytes);
            } else {
                self.lines.finish();
                ended = true;
            }
        }
    }
}

/// Reads the rows of a file.
pub(super) struct RowReader<Body> {
    lines: LineReader<Body>,
    format: FileFormat,
    rows: Option<RowParser>,
}

impl<Body: FileBody> RowReader<Body> {
    /// Opens a file at a checkpoint.
    pub(super) async fn open(
        files: &impl BulkFiles<Body = Body>,
        file: &BulkFile,
        from: &Checkpoint,
    ) -> Result<Self, ReadError> {
        let detected = detect_format(&file.key).ok_or(ReadError::Refused(FileRefusal::UnknownFormat));
        let (format, compression) = detected?;
        let lines = LineReader::open(files, file, compression, from, MAX_LINE_BYTES).await?;
        let rows = match &from.columns {
            None if format.has_header() => None,
            columns => Some(RowParser::new(columns.clone())),
        };
        Ok(Self { lines, format, rows })
    }

    /// Returns the next rows, at most `limit`.
    pub(super) async fn window(&mut self, limit: usize) -> Result<RowWindow, PortError> {
        let mut window = RowWindow::default();
        while window.rows.len() < limit {
            match self.lines.next().await {
                Ok(Some(line)) => {
                    if let Err(refused) = self.read_line(line, &mut window) {
                        window.refused = Some(refused);
                    }
                }
                Ok(None) => {
                    window.is_last = true;
                    window.refused = self.rows.is_none().then_some(FileRefusal::Empty);
                }
                Err(error) => window.refused = Some(error.into_refusal()?),
            }
            window.is_last |= window.refused.is_some();
            if window.is_last {
                break;
            }
        }
        (window.line, window.offset) = (self.lines.line, self.lines.offset);
        window.columns = self.rows.as_ref().and_then(RowParser::columns).map(<[String]>::to_vec);
        Ok(window)
    }

    /// Reads a line as the header or as a row. Skips a line without any value.
    fn read_line(&mut self, line: Line, window: &mut RowWindow) -> Result<(), FileRefusal> {
        let number = line.number;
        let Some(rows) = &self.rows else {
            debug_assert_eq!(self.format, FileFormat::Csv);
            let text = line.text.as_deref().map_err(|fault| *fault);
            self.rows = RowParser::from_header(text).map_err(FileRefusal::Header)?;
            return Ok(());
        };
        let row = match line.text {
            Ok(text) if rows.is_blank(&text) => return Ok(()),
            Ok(text) => {
                if number == 1 {
                    RowParser::check_first_object(&text).map_err(FileRefusal::Header)?;
                }
                rows.parse(&text).and_then(MappingRow::check)
            }
            Err(fault) => Err(InvalidRow::entire_row(fault.row_fault())),
        };
        window.rows.push(row.map(|row| NumberedRow { line: number, row }).map_err(|fault| (number, fault)));
        Ok(())
    }
}
