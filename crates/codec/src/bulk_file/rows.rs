//! Parsing of lines into rows of the vehicle mapping.

use roadcast_domain::vehicle_mapping::{InvalidRow, RowFault, RowFields};
use serde_json::Value;

/// Parses the rows of one file: CSV cells by column, or JSON objects by member name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowParser {
    columns: Option<Vec<String>>,
}

/// Why a header line is invalid. The error never contains text of the line, because the line may be a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A column is unknown.
    #[error(
        "the first line names an unknown column; use fleetId, vin, make, model, modelYear, fuelType, externalId, removed"
    )]
    UnknownColumn,
    /// A column is named twice.
    #[error("the first line names a column twice")]
    DuplicateColumn,
    /// `fleetId` or `vin` is missing.
    #[error("the first line must name the columns fleetId and vin")]
    MissingColumn,
}

impl RowParser {
    /// Creates a parser of CSV rows with these columns, or of JSON objects if `columns` is `None`.
    pub fn new(columns: Option<Vec<String>>) -> Self {
        Self { columns }
    }

    /// Creates a parser from the header line of a CSV file.
    pub fn from_header(line: &str) -> Result<Self, HeaderFault> {
        let columns: Vec<String> = cells(line).unwrap_or_default().iter().map(|cell| cell.trim().to_owned()).collect();
        if columns.iter().any(|column| !RowFields::NAMES.contains(&column.as_str())) {
            return Err(HeaderFault::UnknownColumn);
        }
        if columns.iter().enumerate().any(|(index, column)| columns[..index].contains(column)) {
            return Err(HeaderFault::DuplicateColumn);
        }
        if !["fleetId", "vin"].iter().all(|required| columns.iter().any(|column| column == required)) {
            return Err(HeaderFault::MissingColumn);
        }
        Ok(Self { columns: Some(columns) })
    }

    /// Returns the columns of a CSV file.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Parses a line.
    pub fn parse(&self, line: &str) -> Result<RowFields, InvalidRow> {
        match &self.columns {
            Some(columns) => parse_cells(columns, line),
            None => parse_object(line),
        }
    }
}

/// Splits one line into cells. A quoted cell may contain commas and doubled quotes, but no line feed: a row is one line.
fn cells(line: &str) -> Option<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(line.len().max(1))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).ok().filter(|read| *read).map(|_| record)
}

fn parse_cells(columns: &[String], line: &str) -> Result<RowFields, InvalidRow> {
    let cells = cells(line).filter(|cells| cells.len() == columns.len()).ok_or(InvalidRow::entire_row(RowFault::Columns))?;
    let mut fields = RowFields::default();
    for (column, cell) in columns.iter().zip(&cells) {
        fields.set(column, cell);
    }
    Ok(fields)
}

fn parse_object(line: &str) -> Result<RowFields, InvalidRow> {
    // The message of the parser is dropped, because it quotes the line.
    let Ok(Value::Object(members)) = serde_json::from_str(line) else {
        return Err(InvalidRow::entire_row(RowFault::NotJson));
    };
    let mut fields = RowFields::default();
    for (name, value) in members {
        let Some(&field) = RowFields::NAMES.iter().find(|field| **field == name) else {
            return Err(InvalidRow::entire_row(RowFault::Member));
        };
        let text = match (field, value) {
            ("modelYear", Value::Number(number)) => number.to_string(),
            ("removed", Value::Bool(removed)) => removed.to_string(),
            ("modelYear" | "removed", _) => return Err(InvalidRow::new(field, RowFault::Type)),
            (_, Value::String(text)) => text,
            _ => return Err(InvalidRow::new(field, RowFault::Type)),
        };
        fields.set(field, &text);
    }
    Ok(fields)
}
