//! Splitting of a line of CSV into cells.

/// Splits one line into cells. A quoted cell may contain commas and doubled quotes, but no line end: a row is one line.
/// Returns `None` if a quote is misplaced or never closed, since readers of CSV differ in what such a line means.
pub(super) fn cells(line: &str) -> Option<csv::StringRecord> {
    if !has_valid_quotes(line) {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(line.len().max(1))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    // The reader finds no record in an empty line.
    reader.read_record(&mut record).ok().map(|_| record)
}

/// Returns the number of cells up to the last one that is not empty.
pub(super) fn used_cells(cells: &csv::StringRecord) -> usize {
    cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty()).last().map_or(0, |(index, _)| index + 1)
}

/// Whether each cell with a quote is quoted as a whole, with its inner quotes doubled (RFC 4180, section 2). The reader of
/// the `csv` crate accepts any other line as well.
fn has_valid_quotes(line: &str) -> bool {
    let mut bytes = line.bytes().peekable();
    let mut at_start = true;
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            at_start = byte == b',';
            continue;
        }
        if !at_start {
            return false;
        }
        // Reads to the closing quote, which no quote follows.
        loop {
            match bytes.next() {
                None => return false,
                Some(b'"') if bytes.next_if_eq(&b'"').is_none() => break,
                Some(_) => {}
            }
        }
        if bytes.peek().is_some_and(|byte| *byte != b',') {
            return false;
        }
        at_start = false;
    }
    true
}
