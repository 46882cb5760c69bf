//! Rows out of lines.

use roadcast_domain::vehicle_mapping::{InvalidRow, RowFault, RowFields};
use serde_json::Value;

use super::Form;

/// How the rows of one file are read: by its columns, or by their members' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    columns: Option<Vec<String>>,
}

/// Why a first line names no columns. It never holds what the line says: it may be a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A column that no row has.
    #[error(
        "the first line names a column that is none of fleetId, vin, make, model, modelYear, fuelType, externalId, removed"
    )]
    Unknown,
    /// A column twice.
    #[error("the first line names a column twice")]
    Twice,
    /// No `fleetId` or no `vin`.
    #[error("the first line does not name fleetId and vin")]
    Missing,
}

impl Rows {
    /// Rows with these columns; members of JSON objects where there are none.
    pub fn of(columns: Option<Vec<String>>) -> Self {
        Self { columns }
    }

    /// Whether a file of that form begins with a line that names its columns.
    pub const fn has_header(form: Form) -> bool {
        matches!(form, Form::Csv)
    }

    /// The rows of a file whose first line is this one.
    pub fn by_header(line: &str) -> Result<Self, HeaderFault> {
        let columns: Vec<String> = cells(line).unwrap_or_default().iter().map(|cell| cell.trim().to_owned()).collect();
        if columns.iter().any(|column| !RowFields::NAMES.contains(&column.as_str())) {
            return Err(HeaderFault::Unknown);
        }
        if columns.iter().enumerate().any(|(place, column)| columns[..place].contains(column)) {
            return Err(HeaderFault::Twice);
        }
        if !["fleetId", "vin"].iter().all(|needed| columns.iter().any(|column| column == needed)) {
            return Err(HeaderFault::Missing);
        }
        Ok(Self { columns: Some(columns) })
    }

    /// The columns, where the file has them.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Reads a line.
    pub fn read(&self, line: &str) -> Result<RowFields, InvalidRow> {
        match &self.columns {
            Some(columns) => by_columns(columns, line),
            None => by_members(line),
        }
    }
}

/// The cells of one line. A cell in quotes may hold commas and doubled quotes, but no line feed: a row is a line.
fn cells(line: &str) -> Option<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(line.len().max(1))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).ok().filter(|read| *read).map(|_| record)
}

fn by_columns(columns: &[String], line: &str) -> Result<RowFields, InvalidRow> {
    let cells = cells(line).filter(|cells| cells.len() == columns.len()).ok_or(InvalidRow::whole(RowFault::Columns))?;
    let mut fields = RowFields::default();
    for (column, cell) in columns.iter().zip(&cells) {
        fields.set(column, cell);
    }
    Ok(fields)
}

fn by_members(line: &str) -> Result<RowFields, InvalidRow> {
    // The parser's own message quotes the line.
    let Ok(Value::Object(members)) = serde_json::from_str(line) else { return Err(InvalidRow::whole(RowFault::NotJson)) };
    let mut fields = RowFields::default();
    for (name, value) in members {
        let Some(&known) = RowFields::NAMES.iter().find(|known| **known == name) else {
            return Err(InvalidRow::whole(RowFault::Member));
        };
        let text = match (known, value) {
            ("modelYear", Value::Number(number)) => number.to_string(),
            ("removed", Value::Bool(removed)) => removed.to_string(),
            ("modelYear" | "removed", _) => return Err(InvalidRow::new(pointer(known), RowFault::Type)),
            (_, Value::String(text)) => text,
            _ => return Err(InvalidRow::new(pointer(known), RowFault::Type)),
        };
        fields.set(known, &text);
    }
    Ok(fields)
}

fn pointer(name: &str) -> &'static str {
    match name {
        "fleetId" => "/fleetId",
        "vin" => "/vin",
        "make" => "/make",
        "model" => "/model",
        "modelYear" => "/modelYear",
        "fuelType" => "/fuelType",
        "externalId" => "/externalId",
        "removed" => "/removed",
        _ => "",
    }
}
