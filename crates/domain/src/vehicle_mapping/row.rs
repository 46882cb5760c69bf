//! The rows of an import file.

use std::collections::BTreeMap;

use roadcast_signals::has_forbidden_character;

use super::MappedDetails;
use crate::external_id::ExternalId;
use crate::ids::FleetId;
use crate::json_pointer::JsonPointer;
use crate::vehicle::VehicleDetails;
use crate::vin::{InvalidVin, Vin};

/// The members of a row as texts, before validation. An empty text counts as an absent member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFields {
    /// The fleet's id.
    pub fleet_id: Option<String>,
    /// The vehicle's VIN.
    pub vin: Option<String>,
    /// See [`MappedDetails`].
    pub make: Option<String>,
    /// See [`MappedDetails`].
    pub model: Option<String>,
    /// See [`MappedDetails`].
    pub model_year: Option<String>,
    /// See [`MappedDetails`].
    pub fuel_type: Option<String>,
    /// `scheme:value`.
    pub external_id: Option<String>,
    /// `true` or `false` in any case; absent means `false`.
    pub removed: Option<String>,
}

impl RowFields {
    /// The names of the columns and members.
    pub const NAMES: [&'static str; 8] =
        ["fleetId", "vin", "make", "model", "modelYear", "fuelType", "externalId", "removed"];

    /// Sets a member by its name. Returns `false` if no member has this name.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let field = match name {
            "fleetId" => &mut self.fleet_id,
            "vin" => &mut self.vin,
            "make" => &mut self.make,
            "model" => &mut self.model,
            "modelYear" => &mut self.model_year,
            "fuelType" => &mut self.fuel_type,
            "externalId" => &mut self.external_id,
            "removed" => &mut self.removed,
            _ => return false,
        };
        *field = Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned);
        true
    }
}

/// A valid row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingRow {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vin: Vin,
    /// The details of the vehicle.
    pub details: MappedDetails,
    /// Whether the fleet no longer has the vehicle.
    pub removed: bool,
}

impl MappingRow {
    /// Validates the members of a row. Fails with the first invalid member.
    pub fn check(fields: RowFields) -> Result<Self, InvalidRow> {
        let texts = [
            ("make", &fields.make),
            ("model", &fields.model),
            ("fuelType", &fields.fuel_type),
            ("externalId", &fields.external_id),
        ];
        let forbidden = texts.iter().find(|(_, text)| text.as_deref().is_some_and(has_forbidden_character));
        if let Some((pointer, _)) = forbidden {
            return Err(InvalidRow::new(pointer, RowFault::Character));
        }
        let fleet_id = fields.fleet_id.ok_or(InvalidRow::new("fleetId", RowFault::Missing))?;
        let fleet_id = fleet_id.parse().map_err(|_| InvalidRow::new("fleetId", RowFault::FleetId))?;
        let vin = fields.vin.ok_or(InvalidRow::new("vin", RowFault::Missing))?;
        let vin: Vin = vin.parse().map_err(|invalid| InvalidRow::new("vin", RowFault::Vin(invalid)))?;
        let model_year = fields.model_year.map(|year| year.parse()).transpose();
        let model_year = model_year.map_err(|_| InvalidRow::new("modelYear", RowFault::Detail))?;
        let external_id = fields.external_id.as_deref().map(external_id).transpose()?;
        let removed = match fields.removed.as_deref() {
            None => false,
            // Spreadsheets write TRUE and FALSE.
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(_) => return Err(InvalidRow::new("removed", RowFault::Removed)),
        };
        let (make, model, fuel_type) = (fields.make, fields.model, fields.fuel_type);
        let details = MappedDetails { make, model, model_year, fuel_type, external_id };
        let row = Self { fleet_id, vin, details, removed };
        match row.vehicle().check() {
            Ok(()) => Ok(row),
            Err(invalid) => {
                let member = invalid.first().and_then(|invalid| invalid.member);
                Err(InvalidRow { member, fault: RowFault::Detail })
            }
        }
    }

    /// Returns the vehicle as the row describes it.
    pub fn vehicle(&self) -> VehicleDetails {
        let details = self.details.clone();
        VehicleDetails {
            vin: Some(self.vin.clone()),
            external_ids: details.external_id.into_iter().collect(),
            make: details.make,
            model: details.model,
            model_year: details.model_year,
            fuel_type: details.fuel_type,
            attributes: BTreeMap::new(),
        }
    }
}

fn external_id(text: &str) -> Result<ExternalId, InvalidRow> {
    let parts = text.split_once(':').and_then(|(scheme, value)| ExternalId::new(scheme, value).ok());
    parts.ok_or(InvalidRow::new("externalId", RowFault::ExternalId))
}

/// Why a row is not imported. Never contains values of the row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InvalidRow {
    /// The member (in CSV, the column with this name); `None` for the entire row.
    pub member: Option<&'static str>,
    /// What is wrong.
    pub fault: RowFault,
}

impl InvalidRow {
    /// Creates the fault of a member.
    pub const fn new(member: &'static str, fault: RowFault) -> Self {
        Self { member: Some(member), fault }
    }

    /// Creates a fault of the entire row.
    pub const fn entire_row(fault: RowFault) -> Self {
        Self { member: None, fault }
    }

    /// Returns the pointer to the invalid part of the row.
    pub fn pointer(self) -> JsonPointer {
        self.member.map_or(JsonPointer::ROOT, |member| [member].into())
    }
}

/// What is wrong with a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Not UTF-8.
    #[error(
        "the line is not UTF-8, but Windows-1252, for example: save the file as UTF-8 (in Excel, \"CSV UTF-8 (Comma \
         delimited)\")"
    )]
    NotUtf8,
    /// Longer than a line may be.
    #[error("the line is too long: write one row per line")]
    TooLong,
    /// A carriage return that no line feed follows.
    #[error("the line has a carriage return inside: remove it; lines end with LF or CRLF")]
    CarriageReturn,
    /// A quote is misplaced or never closed.
    #[error(
        "a quote is misplaced or never closed: quote a cell as a whole, double the quotes in it, and replace line ends in \
         cells by spaces"
    )]
    Quote,
    /// Not a JSON object.
    #[error("the line is not one JSON object")]
    NotJson,
    /// A JSON object has a member twice.
    #[error("the row has the member twice: remove one of them")]
    Duplicate,
    /// The number of cells differs from the number of columns.
    #[error(
        "the line has {found} cells, but the header line {expected}: quote a cell that contains a comma, and write an empty \
         cell for an absent value (Excel may omit cells at the end: let the last column have a value in every row)"
    )]
    Columns {
        /// The number of columns in the header line.
        expected: usize,
        /// The number of cells in the line.
        found: usize,
    },
    /// An unknown member.
    #[error(
        "the row has an unknown member; allowed are fleetId, vin, make, model, modelYear, fuelType, externalId, removed"
    )]
    Member,
    /// A member has the wrong JSON type.
    #[error("the member has the wrong JSON type")]
    Type,
    /// A required member is missing.
    #[error("the member is required")]
    Missing,
    /// Not a fleet's id.
    #[error("not a fleet id (flt_ and 16 of 0-9 a-z without i, l, o, u)")]
    FleetId,
    /// The fleet does not exist.
    #[error("the fleet does not exist")]
    FleetUnknown,
    /// Not a VIN.
    #[error(transparent)]
    Vin(InvalidVin),
    /// An invalid detail of the vehicle.
    #[error("a text must have 1 to 128 characters; a model year must be between 1886 and 2100")]
    Detail,
    /// A control character or a noncharacter of Unicode.
    #[error("the text has a control character, or a noncharacter of Unicode: remove it")]
    Character,
    /// Not `scheme:value`.
    #[error("an external id is scheme:value: 1 to 32 of a-z, 0-9 and '-', not 'vin', and 1 to 128 characters")]
    ExternalId,
    /// The external id belongs to another vehicle.
    #[error("the external id belongs to another vehicle than the VIN")]
    ExternalIdTaken,
    /// Neither `true` nor `false`.
    #[error("must be true or false, in any case, or empty")]
    Removed,
    /// An earlier line has the same fleet and VIN, but other values.
    #[error("line {line} has other values for the same fleet and vehicle")]
    Contradicts {
        /// The earlier line, which is used.
        line: u64,
    },
    /// The store rejects the row.
    #[error("the row cannot be stored")]
    Unstorable,
}

impl RowFault {
    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::TooLong => "too_long",
            Self::CarriageReturn => "carriage_return",
            Self::Quote => "quote",
            Self::NotJson => "not_json",
            Self::Duplicate => "duplicate",
            Self::Columns { .. } => "columns",
            Self::Member => "unknown_member",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::FleetId => "fleet_id",
            Self::FleetUnknown => "fleet_unknown",
            Self::Vin(InvalidVin::Length) => "vin_length",
            Self::Vin(InvalidVin::Character) => "vin_character",
            Self::Vin(InvalidVin::CheckDigit) => "vin_check_digit",
            Self::Detail => "detail",
            Self::Character => "character",
            Self::ExternalId => "external_id",
            Self::ExternalIdTaken => "external_id_taken",
            Self::Removed => "removed",
            Self::Contradicts { .. } => "contradicts",
            Self::Unstorable => "unstorable",
        }
    }
}

#[cfg(test)]
mod tests;
