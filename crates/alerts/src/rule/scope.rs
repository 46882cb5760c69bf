//! The vehicles that a rule concerns.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::ids::VehicleId;
use serde::Serialize;
use serde_json::Value;

use crate::limits;
use crate::parse::{Mistakes, Part};

/// The vehicles that a rule concerns: those that meet all that is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// One of these vehicles; any vehicle if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicles: Option<BTreeSet<VehicleId>>,
    /// With all of these attributes, such as `make`. The caller decides which attributes of a vehicle its owner may see.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Scope {
    /// Whether it contains all vehicles.
    pub fn is_all(&self) -> bool {
        self.vehicles.is_none() && self.attributes.is_empty()
    }

    /// Whether it contains a vehicle with these attributes.
    pub fn contains(&self, vid: &VehicleId, attributes: &BTreeMap<String, String>) -> bool {
        self.vehicles.as_ref().is_none_or(|vehicles| vehicles.contains(vid))
            && self.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value))
    }

    /// Returns how many of these scopes contain the same vehicle at most, whatever vehicles there are. It is an upper bound: a vehicle
    /// has one value of each attribute, and only the first attribute of a scope counts.
    pub fn most_rules_of_one_vehicle<'s>(scopes: impl IntoIterator<Item = &'s Self>) -> usize {
        let mut of_all = 0;
        let mut by_vehicle: BTreeMap<&VehicleId, usize> = BTreeMap::new();
        let mut by_attribute: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for scope in scopes {
            if let Some(vehicles) = &scope.vehicles {
                for vid in vehicles {
                    *by_vehicle.entry(vid).or_default() += 1;
                }
            } else if let Some((name, value)) = scope.attributes.first_key_value() {
                *by_attribute.entry(name).or_default().entry(value).or_default() += 1;
            } else {
                of_all += 1;
            }
        }
        let most_of_attribute = by_attribute.values().map(|by_value| by_value.values().max().copied().unwrap_or_default());
        of_all + most_of_attribute.sum::<usize>() + by_vehicle.values().max().copied().unwrap_or_default()
    }

    pub(super) fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&["vehicles", "attributes"], mistakes)?;
        let vehicles = members.or_default("vehicles", mistakes, |part, mistakes| {
            let vehicle = |part: &Part<'_>, mistakes: &mut Mistakes| {
                part.parsed("a vehicle id (veh_ and 16 of 0-9 a-z without i, l, o, u)", |text| text.parse().ok(), mistakes)
            };
            let vehicles = part.list_of(1, limits::VEHICLES_PER_RULE, mistakes, vehicle)?;
            Some(Some(vehicles.into_iter().collect()))
        });
        let attributes = members.or_default("attributes", mistakes, read_attributes);
        Some(Self { vehicles: vehicles?, attributes: attributes? })
    }
}

fn read_attributes(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<BTreeMap<String, String>> {
    let Value::Object(object) = part.value else { return part.mistake("must be an object", mistakes) };
    if !(1..=limits::ATTRIBUTES_PER_RULE).contains(&object.len()) {
        let detail = format!("must have 1 to {} members", limits::ATTRIBUTES_PER_RULE);
        return part.mistake(detail, mistakes);
    }
    let attribute = |(name, value): (&String, _)| {
        let part = Part { value, pointer: part.pointer.child(name) };
        Some((name.clone(), part.text(limits::TEXT_BYTES, mistakes)?.to_owned()))
    };
    let attributes: Vec<Option<(String, String)>> = object.iter().map(attribute).collect();
    attributes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_rules_of_one_vehicle_is_an_upper_bound() {
        let attributes = |names: &[(&str, &str)]| Scope {
            vehicles: None,
            attributes: names.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let vehicles = |vids: &[u128]| Scope {
            vehicles: Some(vids.iter().map(|bits| VehicleId::from_random_bits(*bits)).collect()),
            ..Scope::default()
        };
        let check =
            |scopes: &[Scope], expected| assert_eq!(Scope::most_rules_of_one_vehicle(scopes), expected, "{scopes:?}");
        check(&[], 0);
        check(&[Scope::default(), Scope::default()], 2);
        check(&[attributes(&[("make", "a")]), attributes(&[("make", "b")]), attributes(&[("make", "b")])], 2);
        check(&[attributes(&[("make", "a")]), attributes(&[("depot", "b")])], 2);
        check(&[vehicles(&[1, 2]), vehicles(&[2, 3]), vehicles(&[3])], 2);
        check(&[Scope::default(), attributes(&[("make", "a"), ("depot", "x")]), vehicles(&[1])], 3);
    }
}
