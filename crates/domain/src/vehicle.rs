//! Vehicles: their reference data, not the data they report.

use std::collections::BTreeMap;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::external_id::ExternalId;
use crate::ids::{ClientId, VehicleId};
use crate::json_pointer::JsonPointer;
use crate::subject::VehicleName;
use crate::vin::Vin;

/// A vehicle, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vehicle {
    /// The vehicle's id.
    pub vid: VehicleId,
    /// The data that callers provide.
    pub details: VehicleDetails,
    /// Incremented by each change; the `ETag` is derived from it.
    pub version: u64,
    /// The ingest client that registered it and may send its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ClientId>,
    /// When the vehicle was retired. From then on, its unique attributes can be used by another vehicle and its events
    /// are no longer accepted. The data that it reported before remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Vehicle {
    /// Returns the unique attributes: the VIN and the external ids, which no other vehicle may have. A retired vehicle
    /// has none.
    pub fn names(&self) -> impl Iterator<Item = VehicleName> {
        let details = (self.retired_at.is_none()).then_some(&self.details);
        let vin = details.and_then(|details| details.vin.clone()).map(VehicleName::Vin);
        let external =
            details.into_iter().flat_map(|details| details.external_ids.iter().cloned()).map(VehicleName::External);
        vin.into_iter().chain(external)
    }

    /// Whether events resolve to both versions of a vehicle alike, from the same senders: the names, the owner and the
    /// retirement are equal. What is cached of one version then holds for the other.
    pub fn resolves_like(&self, other: &Self) -> bool {
        (&self.owner, self.retired_at) == (&other.owner, other.retired_at) && self.names().eq(other.names())
    }
}

/// The data of a vehicle that a caller provides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VehicleDetails {
    /// The VIN, if the vehicle has one. A unique attribute.
    #[serde(default, deserialize_with = "crate::deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub vin: Option<Vin>,
    /// Identifiers in other systems. Each is a unique attribute.
    #[serde(default)]
    pub external_ids: Vec<ExternalId>,
    /// Make, such as `Renault`.
    #[serde(default, deserialize_with = "crate::deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Model, such as `Twizy`.
    #[serde(default, deserialize_with = "crate::deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model year.
    #[serde(default, deserialize_with = "crate::deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub model_year: Option<u16>,
    /// Fuel type, such as `gasoline`, `diesel`, `electric`.
    #[serde(default, deserialize_with = "crate::deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub fuel_type: Option<String>,
    /// Free attributes of the owner.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// An invalid member of [`VehicleDetails`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDetail {
    /// The member; `None` for the details as a whole.
    pub member: Option<&'static str>,
    /// What is wrong and what is allowed.
    pub detail: &'static str,
}

impl InvalidDetail {
    /// Returns the pointer to the invalid part of the details.
    pub fn pointer(&self) -> JsonPointer {
        self.member.map_or(JsonPointer::ROOT, |member| [member].into())
    }
}

impl VehicleDetails {
    /// Checks what the field types cannot express. Returns every invalid member.
    pub fn check(&self) -> Result<(), Vec<InvalidDetail>> {
        let mut invalid = Vec::new();
        if self.vin.is_none() && self.external_ids.is_empty() {
            let detail = "must have vin or at least one of externalIds, so that a repeated registration finds the vehicle";
            invalid.push(InvalidDetail { member: None, detail });
        }
        if self.external_ids.len() > 16 {
            invalid.push(InvalidDetail { member: Some("externalIds"), detail: "must have at most 16 items" });
        }
        for (member, text) in [("make", &self.make), ("model", &self.model), ("fuelType", &self.fuel_type)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > 128) {
                invalid.push(InvalidDetail { member: Some(member), detail: "must be 1 to 128 characters" });
            }
        }
        if self.model_year.is_some_and(|year| !(1886..=2100).contains(&year)) {
            invalid.push(InvalidDetail { member: Some("modelYear"), detail: "must be between 1886 and 2100" });
        }
        let attribute_bytes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.attributes.len() > 64 || attribute_bytes > 8 * 1024 {
            invalid.push(InvalidDetail {
                member: Some("attributes"),
                detail: "must have at most 64 members and 8 KiB in total",
            });
        }
        if invalid.is_empty() { Ok(()) } else { Err(invalid) }
    }

    /// Returns the attributes that alert rules may name in their scope: make, model, year, fuel type and the free attributes. A
    /// caller that may know that the vehicle exists may see them. A member has precedence over a free attribute of its name.
    pub fn rule_attributes(&self) -> BTreeMap<String, String> {
        let members = [
            ("make", self.make.clone()),
            ("model", self.model.clone()),
            ("modelYear", self.model_year.map(|year| year.to_string())),
            ("fuelType", self.fuel_type.clone()),
        ];
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        self.attributes.clone().into_iter().chain(members).collect()
    }

    /// Returns warnings for the caller: doubtful values that are accepted.
    pub fn warnings(&self) -> Vec<&'static str> {
        let doubtful = self.vin.as_ref().is_some_and(|vin| !vin.has_valid_check_digit());
        if doubtful {
            vec!["the 9th character of the VIN is not a valid check digit, which is only required in North America"]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_precedence_over_free_attributes_in_rules() {
        let attributes = [("make", "x"), ("depot", "north")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let details = VehicleDetails {
            make: Some("Renault".to_owned()),
            model_year: Some(2015),
            attributes: attributes.into(),
            ..VehicleDetails::default()
        };
        let expected = [("depot", "north"), ("make", "Renault"), ("modelYear", "2015")];
        assert_eq!(details.rule_attributes(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn vehicle_without_unique_attribute_is_invalid() {
        // A repeated registration would create a second vehicle.
        assert!(VehicleDetails::default().check().is_err());
        let identified =
            VehicleDetails { external_ids: vec![ExternalId::new("bus", "2619").unwrap()], ..VehicleDetails::default() };
        assert!(identified.check().is_ok());
    }
}
