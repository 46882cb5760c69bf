//! Vehicles: who they are, not what they report.

use std::collections::BTreeMap;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, VehicleId};
use crate::subject::Subject;
use crate::vin::Vin;

/// A vehicle, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vehicle {
    /// Its id.
    pub vid: VehicleId,
    /// What is known of it.
    pub details: VehicleDetails,
    /// Counts its changes; its `ETag` follows from it.
    pub version: u64,
    /// The ingest client that registered it and may send its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ClientId>,
    /// When it was taken out of service. Its names are free from then on, nobody sends its events any more, and what it
    /// reported before stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Vehicle {
    /// The names that no other vehicle may have; a retired vehicle has none.
    pub fn names(&self) -> impl Iterator<Item = Subject> {
        let details = (self.retired_at.is_none()).then_some(&self.details);
        let vin = details.and_then(|details| details.vin.clone()).map(Subject::Vin);
        let external = details.into_iter().flat_map(|details| details.external_ids.iter().cloned()).map(Subject::External);
        vin.into_iter().chain(external)
    }
}

/// What a caller may say of a vehicle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VehicleDetails {
    /// Its VIN, if it has one. A unique attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vin: Option<Vin>,
    /// Its names elsewhere. Each is a unique attribute.
    #[serde(default)]
    pub external_ids: Vec<ExternalId>,
    /// Make, such as `Renault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Model, such as `Twizy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_year: Option<u16>,
    /// Fuel type, such as `gasoline`, `diesel`, `electric`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_type: Option<String>,
    /// The owner's own attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A vehicle's name in somebody's scheme, such as a bus number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawExternalId")]
pub struct ExternalId {
    scheme: String,
    value: String,
}

/// Why a text is no external id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExternalId {
    /// The scheme is not 1 to 32 of a–z, 0–9 and `-`, or is `vin`, which has a field of its own.
    #[error("scheme must be 1 to 32 of a-z, 0-9 and '-', and not 'vin'")]
    Scheme,
    /// The value is empty, longer than 128 bytes, or holds control characters.
    #[error("value must be 1 to 128 bytes without control characters")]
    Value,
}

impl ExternalId {
    /// Checks and takes the two parts.
    pub fn new(scheme: &str, value: &str) -> Result<Self, InvalidExternalId> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if scheme.is_empty() || scheme.len() > 32 || scheme == "vin" || !scheme.bytes().all(plain) {
            return Err(InvalidExternalId::Scheme);
        }
        if value.is_empty() || value.len() > 128 || value.chars().any(char::is_control) {
            return Err(InvalidExternalId::Value);
        }
        Ok(Self { scheme: scheme.to_owned(), value: value.to_owned() })
    }

    /// Whose scheme it is.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The name in that scheme.
    pub fn value(&self) -> &str {
        &self.value
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExternalId {
    scheme: String,
    value: String,
}

impl TryFrom<RawExternalId> for ExternalId {
    type Error = InvalidExternalId;

    fn try_from(raw: RawExternalId) -> Result<Self, InvalidExternalId> {
        Self::new(&raw.scheme, &raw.value)
    }
}

/// A detail of a vehicle that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDetail {
    /// JSON pointer to it.
    pub pointer: &'static str,
    /// What is wrong with it.
    pub detail: &'static str,
}

impl VehicleDetails {
    /// Checks what the field types do not.
    pub fn check(&self) -> Result<(), Vec<InvalidDetail>> {
        let mut wrong = Vec::new();
        if self.vin.is_none() && self.external_ids.is_empty() {
            let detail = "a vehicle needs a vin or at least one external id, so that registering it again finds it";
            wrong.push(InvalidDetail { pointer: "", detail });
        }
        if self.external_ids.len() > 16 {
            wrong.push(InvalidDetail { pointer: "/externalIds", detail: "at most 16" });
        }
        for (pointer, text) in [("/make", &self.make), ("/model", &self.model), ("/fuelType", &self.fuel_type)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 128) {
                wrong.push(InvalidDetail { pointer, detail: "must be 1 to 128 bytes" });
            }
        }
        if self.model_year.is_some_and(|year| !(1886..=2100).contains(&year)) {
            wrong.push(InvalidDetail { pointer: "/modelYear", detail: "must be between 1886 and 2100" });
        }
        let attribute_bytes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.attributes.len() > 64 || attribute_bytes > 8 * 1024 {
            wrong.push(InvalidDetail { pointer: "/attributes", detail: "at most 64 attributes and 8 KiB together" });
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// What the caller should know, though it refuses nothing.
    pub fn warnings(&self) -> Vec<&'static str> {
        let doubtful = self.vin.as_ref().is_some_and(|vin| !vin.check_digit_fits());
        if doubtful {
            vec!["the VIN's 9th character is not a check digit; outside North America it need not be"]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vehicle_without_any_name_is_refused_because_a_repeat_would_make_a_second() {
        assert!(VehicleDetails::default().check().is_err());
        let named =
            VehicleDetails { external_ids: vec![ExternalId::new("bus", "2619").unwrap()], ..VehicleDetails::default() };
        assert!(named.check().is_ok());
    }

    #[test]
    fn the_scheme_vin_is_kept_for_the_vin_field() {
        assert_eq!(ExternalId::new("vin", "WVWZZZ3CZEE140287"), Err(InvalidExternalId::Scheme));
        assert!(serde_json::from_str::<ExternalId>(r#"{"scheme":"Bus","value":"1"}"#).is_err());
    }
}
