//! Rows of CSV, one line each.
//!
//! A line is parsed on its own: no known format breaks a cell over lines, and a quote that is never closed
//! would otherwise swallow the rest of the file as one row.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::TraceError;
use crate::format::Format;
use crate::row::Inexpressible;

/// Cells of one line.
pub(crate) fn split(line: &str) -> Vec<String> {
    if !line.contains('"') {
        return line.split(',').map(|cell| cell.trim().to_owned()).collect();
    }
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => record.iter().map(str::to_owned).collect(),
        // Neither happens on a line of text; no cells at all is then refused by the count.
        Ok(false) | Err(_) => Vec::new(),
    }
}

/// The header line: where each column is.
#[derive(Debug)]
pub(crate) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(crate) fn parse(line: &str) -> Self {
        Self { names: split(line) }
    }

    /// A header with all the columns of a format, or which one is missing.
    pub(crate) fn of(format: Format, columns: &[&'static str], line: &str, path: &Path) -> Result<Self, TraceError> {
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

    /// The row on this line, if it has as many cells as the header.
    pub(crate) fn row(&self, line: &str) -> Result<Cells<'_>, Inexpressible> {
        let cells = split(line);
        if cells.len() != self.names.len() {
            return Err(Inexpressible::CellCount { expected: self.names.len(), found: cells.len() });
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
    /// The text of a cell, or nothing where it is empty: nothing was measured.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let cell = self.cells.get(self.header.index(column)?)?;
        (!cell.is_empty()).then_some(cell.as_str())
    }

    /// The text of a cell that no row can do without.
    pub(crate) fn required(&self, column: &'static str) -> Result<&str, Inexpressible> {
        self.text(column).ok_or(Inexpressible::BadField(column))
    }

    /// The number in a cell, or nothing where it is empty.
    pub(crate) fn number(&self, column: &'static str) -> Result<Option<f64>, Inexpressible> {
        self.text(column)
            .map(|text| match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                _ => Err(Inexpressible::NotANumber(column.to_owned())),
            })
            .transpose()
    }

    /// Puts the number in a cell, times `factor`, under a path. An empty cell puts nothing.
    pub(crate) fn put_number(
        &self,
        signals: &mut Map<String, Value>,
        column: &'static str,
        path: &str,
        factor: f64,
    ) -> Result<(), Inexpressible> {
        if let Some(number) = self.number(column)? {
            let value = number * factor;
            if !value.is_finite() {
                return Err(Inexpressible::NotANumber(column.to_owned()));
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
    fn quotes_hold_commas_and_an_open_quote_ends_with_its_line() {
        assert_eq!(split(r#"1,"Metric/South, SB",3"#), ["1", "Metric/South, SB", "3"]);
        assert_eq!(split(r#"1,"Metric,3"#), ["1", "Metric,3"]);
        assert_eq!(split("1,,3"), ["1", "", "3"]);
    }
}
