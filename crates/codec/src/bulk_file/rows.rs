//! Parsing of lines into rows of the vehicle mapping.

use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::strict_json::check_unique_members;
use roadcast_domain::vehicle_mapping::{InvalidRow, RowFault, RowFields};
use serde_json::Value;

use super::cells::{cells, used_cells};

/// Parses the rows of one file: CSV cells by column, or JSON objects by member name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowParser {
    columns: Option<Vec<String>>,
}

impl RowParser {
    /// Creates a parser of CSV rows with these columns, or of JSON objects if `columns` is `None`.
    pub fn new(columns: Option<Vec<String>>) -> Self {
        Self { columns }
    }

    /// Returns the columns of a CSV file.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Whether a line is not a row: it is empty, or all its cells are.
    pub fn is_blank(&self, line: &str) -> bool {
        line.chars().all(|c| c.is_whitespace() || self.columns.is_some() && c == ',')
    }

    /// Parses a line.
    pub fn parse(&self, line: &str) -> Result<RowFields, InvalidRow> {
        match &self.columns {
            Some(columns) => parse_cells(columns, line),
            None => parse_object(line),
        }
    }
}

fn parse_cells(columns: &[String], line: &str) -> Result<RowFields, InvalidRow> {
    if line.contains('\r') {
        return Err(InvalidRow::entire_row(RowFault::CarriageReturn));
    }
    let cells = cells(line).ok_or(InvalidRow::entire_row(RowFault::Quote))?;
    // Spreadsheets write cells for columns that were once used.
    let used = used_cells(&cells);
    if cells.len() < columns.len() || used > columns.len() {
        return Err(InvalidRow::entire_row(RowFault::Columns { expected: columns.len(), found: used.max(cells.len()) }));
    }
    let mut fields = RowFields::default();
    for (column, cell) in columns.iter().zip(&cells) {
        fields.set(column, cell);
    }
    Ok(fields)
}

fn parse_object(line: &str) -> Result<RowFields, InvalidRow> {
    // The message of the parser is dropped, because it quotes the line.
    let Ok(Value::Object(members)) = serde_json::from_str(line) else {
        let fault = if line.contains('\r') { RowFault::CarriageReturn } else { RowFault::NotJson };
        return Err(InvalidRow::entire_row(fault));
    };
    if let Err(duplicate) = check_unique_members(line) {
        let member = RowFields::NAMES.into_iter().find(|name| duplicate.pointer == JsonPointer::from([*name]));
        return Err(InvalidRow { member, fault: RowFault::Duplicate });
    }
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
