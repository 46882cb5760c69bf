//! Vehicle mappings: which fleet has which vehicle, imported from bulk files row by row.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::external_id::ExternalId;
use crate::ids::{FleetId, VehicleId};

mod ledger;
mod row;

pub use ledger::{ConfirmedVersions, ImportLedger};
pub use row::{InvalidRow, MappingRow, RowFault, RowFields};

/// States that a fleet has a vehicle or no longer has it, and the file that contains this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VehicleMapping {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vid: VehicleId,
    /// The details of the vehicle in the file.
    #[serde(flatten)]
    pub details: MappedDetails,
    /// Whether the fleet no longer has the vehicle.
    #[serde(default)]
    pub removed: bool,
    /// The version of the file.
    pub version: FileVersion,
    /// The line in the file.
    pub line: u64,
}

impl VehicleMapping {
    /// Whether both have the same content, even if they are from different files.
    pub fn has_same_content(&self, other: &Self) -> bool {
        (&self.details, self.removed) == (&other.details, other.removed)
    }
}

/// The details of a vehicle in an import file.
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
    /// Identifier in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
}

/// Version of an import file, which determines which of two files is newer: by the time at which the bucket received the
/// file, then by the bucket's own order, then by the name of the file. Compared as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileVersion(String);

impl FileVersion {
    /// Creates the version of a file that the bucket received at `uploaded_at`. `sequencer` (of S3, in hex) orders the
    /// versions of one file name; `digest` orders files with different names.
    pub fn new(uploaded_at: Timestamp, sequencer: &str, digest: &str) -> Self {
        // A shorter sequencer is compared as if it were padded with zeros on the right.
        Self(format!("{uploaded_at}#{sequencer:0<32}#{digest}"))
    }

    /// Returns the version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the time at which the bucket received the file; `None` if the text is not a valid version.
    pub fn uploaded_at(&self) -> Option<Timestamp> {
        let (uploaded_at, _) = self.0.split_once('#')?;
        Timestamp::parse_rfc3339(uploaded_at).ok()
    }
}

impl From<String> for FileVersion {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_time_then_by_sequencer() {
        let at = |ms, sequencer| FileVersion::new(Timestamp::from_ms(ms), sequencer, "d");
        assert!(at(999, "ff") < at(1000, "00"));
        assert!(at(1, "0055AED6DCD9") < at(1, "0055AED6DCD90281E5"));
        assert_eq!(at(1, "0055"), at(1, "005500"));
    }
}
