//! How an event names its vehicle.

use crate::ids::VehicleId;
use crate::vehicle::ExternalId;
use crate::vin::Vin;

/// A CloudEvents `subject`, read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The vehicle's own id.
    Vid(VehicleId),
    /// `vin:…`
    Vin(Vin),
    /// `scheme:value`
    External(ExternalId),
}

impl Subject {
    /// Reads a subject; `None` where it is none of the three forms.
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
