//! The first lines of a file: which columns it has, and whether its format is the one that its name states.

use roadcast_domain::vehicle_mapping::RowFields;

use super::cells::{cells, used_cells};
use super::lines::LineFault;
use super::rows::RowParser;

/// Why the first lines of a file refuse it. The texts say what to do. They never contain text of the line, because the line
/// may be a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A column is unknown.
    #[error(
        "column {0} of the header line is unknown; use fleetId, vin, make, model, modelYear, fuelType, externalId, removed"
    )]
    UnknownColumn(usize),
    /// A column has no name, but a later column has one.
    #[error("column {0} of the header line has no name: name it, or delete the column")]
    UnnamedColumn(usize),
    /// A column is named twice.
    #[error("column {0} of the header line has the name of an earlier column: delete one of them")]
    DuplicateColumn(usize),
    /// `fleetId` or `vin` is missing.
    #[error("the header line must name the columns fleetId and vin")]
    MissingColumn,
    /// The first line is a row.
    #[error("the first line is a row: insert a line with the names of the columns before it, such as fleetId,vin,make")]
    MissingHeader,
    /// The cells are not separated by commas.
    #[error(
        "the cells are separated by {}, not by commas: save the file as \"CSV UTF-8 (Comma delimited)\"; if Excel still writes \
         them, set the list separator of the system to a comma",
        delimiter_name(*.0)
    )]
    Delimiter(char),
    /// Lines end with a carriage return alone.
    #[error(
        "the lines end with a carriage return alone (\"CSV (Macintosh)\"): save the file as \"CSV UTF-8 (Comma delimited)\", \
         with lines that end with LF or CRLF"
    )]
    CarriageReturns,
    /// A quote is misplaced or never closed.
    #[error("the header line has a quote that is misplaced or never closed: remove the quotes")]
    Quote,
    /// The line is too long.
    #[error("the header line is longer than a line may be: check that the file is CSV, with one row per line")]
    TooLong,
    /// The line is not UTF-8.
    #[error("the header line is not UTF-8: save the file as \"CSV UTF-8 (Comma delimited)\"")]
    NotUtf8,
    /// A CSV file contains JSON.
    #[error("the file is JSON, but its name ends in .csv: put one object on each line, and rename the file to .ndjson")]
    JsonInCsv,
    /// An NDJSON file contains CSV.
    #[error("the file is CSV, but its name does not say so: rename it to .csv")]
    CsvInNdjson,
    /// An NDJSON file contains a JSON array.
    #[error("the file is a JSON array: write one object per line, without brackets and commas between the objects")]
    JsonArray,
}

const fn delimiter_name(delimiter: char) -> &'static str {
    match delimiter {
        ';' => "semicolons",
        '\t' => "tabs",
        _ => "another character",
    }
}

/// Delimiters that spreadsheets write instead of commas.
const OTHER_DELIMITERS: [char; 4] = [';', '\t', '|', ':'];

impl RowParser {
    /// Creates a parser from the header line of a CSV file. Returns `None` for a line before the header: one without any
    /// value, and the line `sep=,` of Excel. Names are compared without case, spaces, `_` and `-`; columns without a name at
    /// the end are ignored.
    pub fn from_header(line: Result<&str, LineFault>) -> Result<Option<Self>, HeaderFault> {
        let line = line.map_err(HeaderFault::from)?;
        if line.trim_end_matches('\r').contains('\r') {
            return Err(HeaderFault::CarriageReturns);
        }
        if let Some(delimiter) = line.trim().strip_prefix("sep=") {
            return match delimiter.chars().next() {
                None | Some(',') => Ok(None),
                Some(other) => Err(HeaderFault::Delimiter(other)),
            };
        }
        if line.trim_start().starts_with(['{', '[']) {
            return Err(HeaderFault::JsonInCsv);
        }
        let cells = cells(line).ok_or_else(|| other_delimiter(line).map_or(HeaderFault::Quote, HeaderFault::Delimiter))?;
        let used = used_cells(&cells);
        if used == 0 {
            return Ok(None);
        }
        let mut columns: Vec<String> = Vec::new();
        for (index, cell) in cells.iter().take(used).enumerate() {
            let column = known_column(cell).ok_or_else(|| unknown_column(line, index + 1, cell))?;
            if columns.iter().any(|earlier| earlier == column) {
                return Err(HeaderFault::DuplicateColumn(index + 1));
            }
            columns.push(column.to_owned());
        }
        if !["fleetId", "vin"].iter().all(|required| columns.iter().any(|column| column == required)) {
            return Err(HeaderFault::MissingColumn);
        }
        Ok(Some(Self::new(Some(columns))))
    }

    /// Checks that the first line of an NDJSON file is not of another format.
    pub fn check_first_object(line: &str) -> Result<(), HeaderFault> {
        if line.trim_start().starts_with('[') {
            return Err(HeaderFault::JsonArray);
        }
        match Self::from_header(Ok(line)) {
            Ok(Some(_)) => Err(HeaderFault::CsvInNdjson),
            Err(fault @ (HeaderFault::Delimiter(_) | HeaderFault::CarriageReturns))
                if !line.trim_start().starts_with('{') =>
            {
                Err(fault)
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

impl From<LineFault> for HeaderFault {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::TooLong => Self::TooLong,
            LineFault::CarriageReturns => Self::CarriageReturns,
            LineFault::NotUtf8 | LineFault::Foreign(_) => Self::NotUtf8,
        }
    }
}

fn known_column(cell: &str) -> Option<&'static str> {
    let name: String = cell.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).collect();
    RowFields::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(&name))
}

/// Finds a delimiter that separates the names of at least two columns.
fn other_delimiter(line: &str) -> Option<char> {
    let is_column = |part: &&str| known_column(part.trim().trim_matches('"')).is_some();
    OTHER_DELIMITERS.into_iter().find(|delimiter| line.split(*delimiter).filter(is_column).nth(1).is_some())
}

/// Finds the reason why a header line has an unknown column.
fn unknown_column(line: &str, number: usize, cell: &str) -> HeaderFault {
    if let Some(delimiter) = other_delimiter(line) {
        HeaderFault::Delimiter(delimiter)
    } else if cell.trim().is_empty() {
        HeaderFault::UnnamedColumn(number)
    } else if line.split(',').any(|cell| cell.trim().trim_matches('"').starts_with("flt_")) {
        HeaderFault::MissingHeader
    } else {
        HeaderFault::UnknownColumn(number)
    }
}
