//! The `subject` of an event: how it refers to its vehicle.

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
