//! Which customer has which vehicle, as files of bulk data say it row by row.

use std::collections::BTreeMap;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{FleetId, VehicleId};
use crate::vehicle::{ExternalId, VehicleDetails};
use crate::vin::{InvalidVin, Vin};

/// A row's members as texts, before anything of them is checked. An empty text is a member that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFields {
    /// The customer.
    pub fleet_id: Option<String>,
    /// The vehicle.
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
    /// `true` or `false`; `false` where it is not there.
    pub removed: Option<String>,
}

impl RowFields {
    /// What columns and members are called.
    pub const NAMES: [&'static str; 8] =
        ["fleetId", "vin", "make", "model", "modelYear", "fuelType", "externalId", "removed"];

    /// Takes a member by its name; `false` where no member is called so.
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

/// A row that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingRow {
    /// The customer.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vin: Vin,
    /// What the file says of the vehicle.
    pub described: MappedDetails,
    /// Whether the customer no longer has it.
    pub removed: bool,
}

/// What a file says of a vehicle beside whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MappedDetails {
    /// Make, such as `Renault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Model, such as `Twizy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_year: Option<u16>,
    /// Fuel type, such as `electric`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_type: Option<String>,
    /// Its name elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
}

impl MappingRow {
    /// Checks the members of a row; the first that is wrong is named.
    pub fn check(fields: RowFields) -> Result<Self, InvalidRow> {
        let fleet_id = fields.fleet_id.ok_or(InvalidRow::new("/fleetId", RowFault::Missing))?;
        let fleet_id = fleet_id.parse().map_err(|_| InvalidRow::new("/fleetId", RowFault::FleetId))?;
        let vin = fields.vin.ok_or(InvalidRow::new("/vin", RowFault::Missing))?;
        let vin: Vin = vin.parse().map_err(|invalid| InvalidRow::new("/vin", RowFault::Vin(invalid)))?;
        let model_year = fields.model_year.map(|year| year.parse()).transpose();
        let model_year = model_year.map_err(|_| InvalidRow::new("/modelYear", RowFault::Detail))?;
        let external_id = fields.external_id.as_deref().map(external_id).transpose()?;
        let removed = match fields.removed.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(InvalidRow::new("/removed", RowFault::Removed)),
        };
        let (make, model, fuel_type) = (fields.make, fields.model, fields.fuel_type);
        let described = MappedDetails { make, model, model_year, fuel_type, external_id };
        let row = Self { fleet_id, vin, described, removed };
        match row.vehicle().check() {
            Ok(()) => Ok(row),
            Err(wrong) => Err(InvalidRow::new(wrong.first().map_or("", |wrong| wrong.pointer), RowFault::Detail)),
        }
    }

    /// The vehicle as the row describes it.
    pub fn vehicle(&self) -> VehicleDetails {
        let described = self.described.clone();
        VehicleDetails {
            vin: Some(self.vin.clone()),
            external_ids: described.external_id.into_iter().collect(),
            make: described.make,
            model: described.model,
            model_year: described.model_year,
            fuel_type: described.fuel_type,
            attributes: BTreeMap::new(),
        }
    }
}

fn external_id(text: &str) -> Result<ExternalId, InvalidRow> {
    let parts = text.split_once(':').and_then(|(scheme, value)| ExternalId::new(scheme, value).ok());
    parts.ok_or(InvalidRow::new("/externalId", RowFault::ExternalId))
}

/// Why a row is not loaded. It never holds what the row says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InvalidRow {
    /// JSON pointer to the member; the column of that name in CSV, and empty for the whole row.
    pub pointer: &'static str,
    /// What is wrong.
    pub fault: RowFault,
}

impl InvalidRow {
    /// That member is wrong.
    pub const fn new(pointer: &'static str, fault: RowFault) -> Self {
        Self { pointer, fault }
    }

    /// The row as a whole is wrong.
    pub const fn whole(fault: RowFault) -> Self {
        Self::new("", fault)
    }
}

/// What is wrong with a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// Longer than a row may be.
    #[error("the line is too long")]
    TooLong,
    /// Not a JSON object.
    #[error("the line is not one JSON object")]
    NotJson,
    /// Another number of columns than the first line has.
    #[error("the line does not have the columns of the first line")]
    Columns,
    /// A member that no row has.
    #[error("the row has a member that is none of fleetId, vin, make, model, modelYear, fuelType, externalId, removed")]
    Member,
    /// A member of another type.
    #[error("the member is of another type")]
    Type,
    /// A member that must be there.
    #[error("the row must have it")]
    Missing,
    /// Not a fleet's id.
    #[error("not a fleet id (flt_ and 16 of 0-9 a-z without i, l, o, u)")]
    FleetId,
    /// A fleet that nobody created.
    #[error("there is no such fleet")]
    FleetUnknown,
    /// Not a VIN.
    #[error(transparent)]
    Vin(InvalidVin),
    /// A detail of the vehicle that cannot be taken.
    #[error("texts have 1 to 128 characters, a model year is between 1886 and 2100")]
    Detail,
    /// Not `scheme:value`.
    #[error("an external id is scheme:value: 1 to 32 of a-z, 0-9 and '-', not 'vin', and 1 to 128 characters")]
    ExternalId,
    /// The external id is another vehicle's.
    #[error("the external id belongs to another vehicle than the VIN")]
    ExternalIdTaken,
    /// Neither `true` nor `false`.
    #[error("must be true or false")]
    Removed,
    /// The same fleet and VIN stand further up, with other values.
    #[error("line {line} says something else of the same fleet and vehicle")]
    Contradicts {
        /// The line that counts.
        line: u64,
    },
    /// The register refuses it.
    #[error("the stores refuse the row")]
    Unstorable,
}

impl RowFault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::Columns => "columns",
            Self::Member => "unknown_member",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::FleetId => "fleet_id",
            Self::FleetUnknown => "fleet_unknown",
            Self::Vin(InvalidVin::Length) => "vin_length",
            Self::Vin(InvalidVin::Character) => "vin_character",
            Self::Vin(InvalidVin::CheckDigit) => "vin_check_digit",
            Self::Detail => "detail",
            Self::ExternalId => "external_id",
            Self::ExternalIdTaken => "external_id_taken",
            Self::Removed => "removed",
            Self::Contradicts { .. } => "contradicts",
            Self::Unstorable => "unstorable",
        }
    }
}

/// Which of two files is newer: when the bucket took the file, then the bucket's own order, then its name. Compared as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileVersion(String);

impl FileVersion {
    /// The version of a file that was taken at `taken_at`; `sequencer` orders those of one name (S3's, in hex) and `digest`
    /// those of different names.
    pub fn new(taken_at: Timestamp, sequencer: &str, digest: &str) -> Self {
        // Sequencers are compared as if the shorter one went on with zeros.
        Self(format!("{taken_at}#{sequencer:0<32}#{digest}"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the bucket took the file.
    pub fn taken_at(&self) -> Option<Timestamp> {
        let (taken_at, _) = self.0.split_once('#')?;
        Timestamp::parse_rfc3339(taken_at).ok()
    }
}

impl From<String> for FileVersion {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// That a customer has a vehicle, or no longer has it, and which file says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VehicleMapping {
    /// The customer.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vid: VehicleId,
    /// What the file says of the vehicle.
    #[serde(flatten)]
    pub described: MappedDetails,
    /// Whether the customer no longer has it.
    #[serde(default)]
    pub removed: bool,
    /// The file.
    pub version: FileVersion,
    /// The line in it.
    pub line: u64,
}

impl VehicleMapping {
    /// Whether both say the same, whichever file it stands in.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (&self.described, self.removed) == (&other.described, other.removed)
    }
}

/// What is known of the files that came: so that one that says again what the last one said needs no writes, and one that
/// comes late knows it.
///
/// A file that is the last one over again *affirms* it: the mappings stay at the version that wrote them, and count as the
/// affirming one's. That is safe while no other file is being loaded, since one that begins later reads it here first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportLedger {
    /// Raised at every change.
    pub revision: u64,
    /// The newest file.
    #[serde(default)]
    newest: Option<Newest>,
    /// Files that were begun and not ended, and when they were begun or went on the last time.
    #[serde(default)]
    begun: BTreeMap<FileVersion, Timestamp>,
    /// Versions in mappings, and the versions that they count as.
    #[serde(default)]
    affirmed: BTreeMap<FileVersion, FileVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    version: FileVersion,
    /// The version that its mappings carry.
    written_as: FileVersion,
    content: String,
    ended: bool,
}

/// The versions that mappings count as, for one file being loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AffirmedVersions(BTreeMap<FileVersion, FileVersion>);

impl AffirmedVersions {
    /// The version that a mapping counts as.
    pub fn version_of<'v>(&'v self, mapping: &'v VehicleMapping) -> &'v FileVersion {
        self.0.get(&mapping.version).unwrap_or(&mapping.version)
    }
}

impl ImportLedger {
    /// So many affirmed versions are remembered; beyond that, files are written anew.
    const AFFIRMED: usize = 64;
    /// Longer than a run can take, in milliseconds, with what clocks may differ. A file that was begun before that is not being
    /// loaded now: its run came to an end that nobody told, and one that goes on with it begins here.
    const RUN_MS: i64 = 30 * 60 * 1000;

    /// A file begins to be loaded, or goes on, at that time. `content` is the same for the same bytes.
    pub fn begin(&mut self, version: &FileVersion, content: &str, now: Timestamp) -> AffirmedVersions {
        self.begun.retain(|_, at| now.ms_since(*at) < Self::RUN_MS);
        let alone = self.begun.keys().all(|begun| begun == version);
        match &mut self.newest {
            Some(newest) if newest.version >= *version => {}
            Some(newest) if newest.ended && alone && newest.content == content && self.affirmed.len() < Self::AFFIRMED => {
                newest.version = version.clone();
                newest.ended = false;
                self.affirmed.insert(newest.written_as.clone(), version.clone());
            }
            newest => {
                let (version, content) = (version.clone(), content.to_owned());
                *newest = Some(Newest { written_as: version.clone(), version, content, ended: false });
            }
        }
        self.begun.insert(version.clone(), now);
        self.revision += 1;
        AffirmedVersions(self.affirmed.clone())
    }

    /// The newest file's version, where it is of that content.
    pub fn newest_of(&self, content: &str) -> Option<&FileVersion> {
        self.newest.as_ref().filter(|newest| newest.content == content).map(|newest| &newest.version)
    }

    /// A file was loaded to its end, or is given up.
    pub fn end(&mut self, version: &FileVersion) {
        self.begun.remove(version);
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.version == *version) {
            newest.ended = true;
        }
        self.revision += 1;
    }
}

#[cfg(test)]
mod tests;
