//! The `subject` of an event: how it refers to its vehicle.

use serde::{Deserialize, Serialize};

use crate::external_id::ExternalId;
use crate::ids::VehicleId;
use crate::vin::Vin;

/// A parsed CloudEvents `subject`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `veh_…`: the id that Roadcast assigned.
    Vid(VehicleId),
    /// `vin:…`
    Vin(Vin),
    /// `scheme:value`
    External(ExternalId),
}

/// A name of a vehicle: a unique attribute that its sender or a fleet assigned. Unlike a [`Subject`], it is never an id that
/// Roadcast assigned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VehicleName {
    /// A VIN.
    Vin(Vin),
    /// An external id.
    External(ExternalId),
}

impl From<VehicleName> for Subject {
    fn from(name: VehicleName) -> Self {
        match name {
            VehicleName::Vin(vin) => Self::Vin(vin),
            VehicleName::External(id) => Self::External(id),
        }
    }
}

/// A text that is not a name of a vehicle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name of a vehicle (vin:… or scheme:value)")]
pub struct InvalidVehicleName;

impl VehicleName {
    /// Returns the name as a subject. It is personal data: never log it, and never store it in a key.
    pub fn to_subject_text(&self) -> String {
        match self {
            Self::Vin(vin) => format!("vin:{}", vin.as_str()),
            Self::External(id) => format!("{}:{}", id.scheme(), id.value()),
        }
    }
}

impl TryFrom<String> for VehicleName {
    type Error = InvalidVehicleName;

    fn try_from(text: String) -> Result<Self, InvalidVehicleName> {
        match Subject::parse(&text) {
            Some(Subject::Vin(vin)) => Ok(Self::Vin(vin)),
            Some(Subject::External(id)) => Ok(Self::External(id)),
            Some(Subject::Vid(_)) | None => Err(InvalidVehicleName),
        }
    }
}

impl From<VehicleName> for String {
    fn from(name: VehicleName) -> Self {
        name.to_subject_text()
    }
}

impl Subject {
    /// Parses a subject. `None` if it has none of the three forms.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(vid) = text.parse() {
            return Some(Self::Vid(vid));
        }
        let (scheme, value) = text.split_once(':')?;
        if scheme == "vin" {
            return value.parse().ok().map(Self::Vin);
        }
        ExternalId::new(scheme, value).ok().map(Self::External)
    }
}
