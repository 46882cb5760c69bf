//! CSV rows, one per line.
//!
//! Each line is parsed separately: no known format splits a cell over several lines, and an open quote must not consume the
//! rest of a file as one row.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::TraceError;
use crate::format::Format;
use crate::row::RowRefusal;

/// Splits a line into cells. Fails if a quote is never closed.
pub(crate) fn split(line: &str) -> Result<Vec<String>, RowRefusal> {
    if !line.contains('"') {
        return Ok(line.split(',').map(|cell| cell.trim().to_owned()).collect());
    }
    // With a line end, an open cell contains it.
    let terminated = format!("{line}\n");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(terminated.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) if !record.iter().any(|cell| cell.contains('\n')) => {
            Ok(record.iter().map(|cell| cell.trim().to_owned()).collect())
        }
        Ok(_) | Err(_) => Err(RowRefusal::OpenQuote),
    }
}

/// The header line: the index of each column.
#[derive(Debug)]
pub(crate) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(crate) fn parse(line: &str) -> Self {
        Self { names: split(line).unwrap_or_default() }
    }

    /// Parses a header that must have all `columns` of a format. Fails with `MissingColumn` otherwise.
    pub(crate) fn with_columns(
        format: Format,
        columns: &[&'static str],
        line: &str,
        path: &Path,
    ) -> Result<Self, TraceError> {
        let header = Self::parse(line);
        match columns.iter().find(|column| header.index(column).is_none()) {
            None => Ok(header),
            Some(column) => Err(TraceError::MissingColumn { path: path.to_owned(), format, column }),
        }
    }

    pub(crate) fn has_all(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.index(column).is_some())
    }

    fn index(&self, column: &str) -> Option<usize> {
        self.names.iter().position(|name| name == column)
    }

    /// Parses a row, which must have as many cells as the header.
    pub(crate) fn row(&self, line: &str) -> Result<Cells<'_>, RowRefusal> {
        let cells = split(line)?;
        if cells.len() != self.names.len() {
            return Err(RowRefusal::CellCount { expected: self.names.len(), found: cells.len() });
        }
        Ok(Cells { header: self, cells })
    }
}

/// One row.
pub(crate) struct Cells<'a> {
    header: &'a Header,
    cells: Vec<String>,
}

impl Cells<'_> {
    /// Returns the text of a cell, or `None` if it is empty (not measured).
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let cell = self.cells.get(self.header.index(column)?)?;
        (!cell.is_empty()).then_some(cell.as_str())
    }

    /// Returns the text of a required cell.
    pub(crate) fn required(&self, column: &'static str) -> Result<&str, RowRefusal> {
        self.text(column).ok_or(RowRefusal::BadField(column))
    }

    /// Returns the number in a cell, or `None` if it is empty.
    pub(crate) fn number(&self, column: &'static str) -> Result<Option<f64>, RowRefusal> {
        self.text(column)
            .map(|text| match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                _ => Err(RowRefusal::NotANumber(column.to_owned())),
            })
            .transpose()
    }

    /// Inserts the number in a cell, multiplied by `factor`, under a path. Inserts nothing if the cell is empty.
    pub(crate) fn put_number(
        &self,
        signals: &mut Map<String, Value>,
        column: &'static str,
        path: &str,
        factor: f64,
    ) -> Result<(), RowRefusal> {
        if let Some(number) = self.number(column)? {
            let value = number * factor;
            if !value.is_finite() {
                return Err(RowRefusal::NotANumber(column.to_owned()));
            }
            signals.insert(path.to_owned(), Value::from(value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_commas_and_must_be_closed() {
        let cells = |line| split(line).map(|cells| cells.join("|"));
        assert_eq!(cells(r#"1,"Metric/South, SB",3"#).as_deref(), Ok("1|Metric/South, SB|3"));
        assert_eq!(cells(r#"1,"Metric,3"#), Err(RowRefusal::OpenQuote));
        assert_eq!(cells(r#"1,2,"Metric"#), Err(RowRefusal::OpenQuote));
        assert_eq!(cells("1,,3").as_deref(), Ok("1||3"));
        assert_eq!(cells("1,\"a\"\r2,\"b\"").as_deref(), Ok("1|a\r2|b"), "a carriage return ends no row");
    }
}
