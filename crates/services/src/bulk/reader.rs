//! A file, read line by line, or window by window.

use roadcast_codec::bulk_file::{Form, HeaderFault, Line, LineFault, Lines, MAX_LINE_BYTES, Packing, Rows, form_of};
use roadcast_domain::vehicle_mapping::{InvalidRow, MappingRow, RowFault};
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody};

/// A row and the line it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberedRow {
    pub(super) line: u64,
    pub(super) row: MappingRow,
}

/// Rows that follow one another.
#[derive(Debug, Default)]
pub(super) struct RowWindow {
    /// Those that can be loaded, and the lines of those that cannot, with the reason.
    pub(super) rows: Vec<Result<NumberedRow, (u64, InvalidRow)>>,
    /// The last line of the window.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) offset: u64,
    /// The file's columns, where it has them.
    pub(super) columns: Option<Vec<String>>,
    /// Whether the file ends here.
    pub(super) is_last: bool,
    /// Why it cannot be read any further.
    pub(super) refused: Option<FileRefusal>,
}

/// Why a file as a whole is not loaded, or not to its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileRefusal {
    #[error("the file's name ends in none of .csv, .ndjson and .jsonl, with or without .gz or .zst")]
    Name,
    #[error("the file's name ends in none of .ndjson and .jsonl, with or without .gz or .zst")]
    NotNdjson,
    #[error("the file cannot be unpacked from here on, or is cut off")]
    Broken,
    #[error(transparent)]
    Header(HeaderFault),
}

/// A file whose lines are being read.
pub(super) struct LineReader<B> {
    body: B,
    lines: Lines,
    /// The last line that was read.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) offset: u64,
}

impl<B: FileBody> LineReader<B> {
    /// Opens a file where it was left. Longer lines than `longest` are passed over.
    pub(super) async fn open(
        files: &impl BulkFiles<Body = B>,
        file: &BulkFile,
        packing: Packing,
        from: &Checkpoint,
        longest: usize,
    ) -> Result<Result<Self, FileRefusal>, PortError> {
        let Ok(lines) = Lines::resume(packing, from.line, from.offset) else { return Ok(Err(FileRefusal::Broken)) };
        let body = files.open(file, if packing == Packing::Plain { from.offset } else { 0 }).await?;
        Ok(Ok(Self { body, lines: lines.up_to(longest), line: from.line, offset: from.offset }))
    }

    /// The next line; none at the end.
    pub(super) async fn next(&mut self) -> Result<Result<Option<Line>, FileRefusal>, PortError> {
        let mut ended = false;
        loop {
            match self.lines.next_line() {
                Ok(None) if !ended => {}
                Ok(line) => {
                    if let Some(line) = &line {
                        (self.line, self.offset) = (line.number, line.end);
                    }
                    return Ok(Ok(line));
                }
                Err(_) => return Ok(Err(FileRefusal::Broken)),
            }
            if let Some(piece) = self.body.next().await? {
                self.lines.push(piece);
            } else {
                self.lines.end();
                ended = true;
            }
        }
    }
}

/// A file whose rows are being read.
pub(super) struct RowReader<B> {
    lines: LineReader<B>,
    form: Form,
    rows: Option<Rows>,
}

impl<B: FileBody> RowReader<B> {
    /// Opens a file where it was left.
    pub(super) async fn open(
        files: &impl BulkFiles<Body = B>,
        file: &BulkFile,
        from: &Checkpoint,
    ) -> Result<Result<Self, FileRefusal>, PortError> {
        let Some((form, packing)) = form_of(&file.key) else { return Ok(Err(FileRefusal::Name)) };
        let lines = match LineReader::open(files, file, packing, from, MAX_LINE_BYTES).await? {
            Ok(lines) => lines,
            Err(refused) => return Ok(Err(refused)),
        };
        let rows = match &from.columns {
            None if Rows::has_header(form) => None,
            columns => Some(Rows::of(columns.clone())),
        };
        Ok(Ok(Self { lines, form, rows }))
    }

    /// The next rows, `limit` at most.
    pub(super) async fn window(&mut self, limit: usize) -> Result<RowWindow, PortError> {
        let mut window = RowWindow::default();
        while window.rows.len() < limit {
            match self.lines.next().await? {
                Ok(Some(line)) => {
                    if let Err(refused) = self.take(line, &mut window) {
                        window.refused = Some(refused);
                    }
                }
                Ok(None) => window.is_last = true,
                Err(refused) => window.refused = Some(refused),
            }
            window.is_last |= window.refused.is_some();
            if window.is_last {
                break;
            }
        }
        (window.line, window.offset) = (self.lines.line, self.lines.offset);
        window.columns = self.rows.as_ref().and_then(Rows::columns).map(<[String]>::to_vec);
        Ok(window)
    }

    /// Takes a line as the columns, or as a row; an empty one is passed over.
    fn take(&mut self, line: Line, window: &mut RowWindow) -> Result<(), FileRefusal> {
        let number = line.number;
        let Some(rows) = &self.rows else {
            debug_assert_eq!(self.form, Form::Csv);
            let header = line.text.map_err(|_| HeaderFault::Unknown).and_then(|text| Rows::by_header(&text));
            self.rows = Some(header.map_err(FileRefusal::Header)?);
            return Ok(());
        };
        let row = match line.text {
            Ok(text) if text.trim().is_empty() => return Ok(()),
            Ok(text) => rows.read(&text).and_then(MappingRow::check),
            Err(LineFault::TooLong) => Err(InvalidRow::whole(RowFault::TooLong)),
            Err(LineFault::NotUtf8) => Err(InvalidRow::whole(RowFault::NotUtf8)),
        };
        window.rows.push(row.map(|row| NumberedRow { line: number, row }).map_err(|wrong| (number, wrong)));
        Ok(())
    }
}
