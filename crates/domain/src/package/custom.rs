//! Packages that admins make.

use std::collections::BTreeSet;

use roadcast_signals::{Catalogue, SignalPath};
use serde::{Deserialize, Serialize};

use super::{Package, Packages, pattern_names};
use crate::Timestamp;
use crate::event::{CustomType, EventType};
use crate::limits;

/// The package that alone grants what names a vehicle.
const IDENTIFICATION: &str = "identification";

/// A package that an admin made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomPackage {
    /// What it grants.
    #[serde(flatten)]
    pub package: Package,
    /// Raised by every change; the first is 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A text that cannot name a package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a package's name is 1 to {} of a-z, 0-9 and inner hyphens", limits::PACKAGE_NAME_BYTES)]
pub struct InvalidPackageName;

/// Whether a package may be called so.
pub fn check_name(name: &str) -> Result<(), InvalidPackageName> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = name.as_bytes();
    let all = bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    let is_name = all && edge(bytes.first()) && edge(bytes.last()) && bytes.len() <= limits::PACKAGE_NAME_BYTES;
    if is_name { Ok(()) } else { Err(InvalidPackageName) }
}

/// A part of a package that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFault {
    /// JSON pointer into the package.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

impl PackageFault {
    fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl Package {
    /// What keeps the package from being made, in the order of its members; `is_registered` says which custom event types there
    /// are. Nothing where it may be made.
    pub fn faults(&self, is_registered: impl Fn(&CustomType) -> bool) -> Vec<PackageFault> {
        let mut faults = Vec::new();
        if self.signals.is_empty() && self.event_types.is_empty() {
            faults.push(PackageFault::new("", "holds nothing: name signals, event types or both"));
        }
        let sizes = [
            ("/signals", self.signals.len(), limits::PACKAGE_SIGNALS),
            ("/eventTypes", self.event_types.len(), limits::PACKAGE_EVENT_TYPES),
        ];
        let too_many = sizes.into_iter().filter(|(_, length, most)| length > most);
        faults.extend(too_many.map(|(pointer, _, most)| PackageFault::new(pointer, format!("must be at most {most}"))));
        if !faults.is_empty() {
            return faults;
        }
        let mut before = BTreeSet::new();
        for (place, pattern) in self.signals.iter().enumerate() {
            let wrong = if before.insert(pattern) { pattern_fault(pattern) } else { Some("is there twice".to_owned()) };
            faults.extend(wrong.map(|detail| PackageFault::new(format!("/signals/{place}"), detail)));
        }
        let mut before = BTreeSet::new();
        for (place, event_type) in self.event_types.iter().enumerate() {
            let wrong = match event_type {
                _ if !before.insert(event_type) => "is there twice",
                EventType::Telemetry => "telemetry is granted by its signals",
                EventType::Custom(custom) if !is_registered(custom) => "nobody registered such a type",
                EventType::Diagnostic | EventType::Alert | EventType::Custom(_) => continue,
            };
            faults.push(PackageFault::new(format!("/eventTypes/{place}"), wrong));
        }
        faults
    }
}

/// What is wrong with a signal or a branch of a package.
fn pattern_fault(pattern: &str) -> Option<String> {
    let path = pattern.strip_suffix(".*").unwrap_or(pattern);
    if SignalPath::parse(path).is_err() {
        return Some("must be a signal's path, or a branch followed by .*".to_owned());
    }
    let mut named = Catalogue::get().iter().map(|def| def.path).filter(|path| pattern_names(pattern, path)).peekable();
    if named.peek().is_none() {
        // What the catalogue does not know could be anything, and belongs to no package.
        return Some("names nothing of the catalogue; GET /signals lists it".to_owned());
    }
    let seed = Packages::built_in();
    let identifies = |path: &&str| seed.get(IDENTIFICATION).is_some_and(|package| package.holds_signal(path));
    named.find(identifies).map(|path| format!("holds {path}, which the package {IDENTIFICATION} alone grants"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(signals: &[&str], event_types: &[&str]) -> Vec<String> {
        let package = Package {
            name: "test".to_owned(),
            signals: signals.iter().map(|&pattern| pattern.to_owned()).collect(),
            event_types: event_types.iter().filter_map(|name| EventType::from_name(name)).collect(),
        };
        let registered = |custom: &CustomType| custom.as_str() == "com.example.tyre.v1";
        package.faults(registered).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn signals_of_the_catalogue_and_types_that_are_registered_make_a_package() {
        assert!(pointers(&["Vehicle.Speed", "Vehicle.OBD.*"], &["roadcast.alert.v1", "com.example.tyre.v1"]).is_empty());
        assert!(pointers(&["Vehicle.Speed"], &[]).is_empty() && pointers(&[], &["roadcast.diagnostic.v1"]).is_empty());
    }

    #[test]
    fn each_part_that_is_wrong_is_named() {
        assert_eq!(pointers(&[], &[]), [""]);
        let signals = [
            "Vehicle.Speed",
            "Vehicle.Spee",
            "Vehicle.Speed.*",
            "Oem.Thing",
            "*",
            "Vehicle.OBD*",
            "Vehicle.OBD.",
            "Vehicle.Speed",
            "Vehicle.OBD",
        ];
        let expected = (1..signals.len()).map(|place| format!("/signals/{place}")).collect::<Vec<_>>();
        assert_eq!(pointers(&signals, &[]), expected);
        let types = ["roadcast.telemetry.v1", "com.example.door.v1", "roadcast.alert.v1", "roadcast.alert.v1"];
        assert_eq!(pointers(&[], &types), ["/eventTypes/0", "/eventTypes/1", "/eventTypes/3"]);
    }

    #[test]
    fn what_names_a_vehicle_is_granted_by_no_package_of_an_admins_making() {
        for pattern in ["Vehicle.VehicleIdentification.VIN", "Vehicle.VehicleIdentification.*", "Vehicle.*"] {
            assert_eq!(pointers(&[pattern], &[]), ["/signals/0"], "{pattern}");
        }
    }

    #[test]
    fn so_many_signals_are_taken_and_no_more() {
        let paths: Vec<&str> = Catalogue::get().iter().map(|def| def.path).collect();
        let paths: Vec<&str> = paths.into_iter().filter(|path| pattern_fault(path).is_none()).collect();
        assert!(pointers(&paths[..limits::PACKAGE_SIGNALS], &[]).is_empty());
        assert_eq!(pointers(&paths[..=limits::PACKAGE_SIGNALS], &[]), ["/signals"]);
    }

    #[test]
    fn a_name_is_of_small_letters_digits_and_inner_hyphens() {
        for name in ["a", "tyres", "tyres-2", "2", &"x".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "-a", "a-", "-", "Tyres", "a_b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(check_name(name), Err(InvalidPackageName), "{name}");
        }
    }

    #[test]
    fn a_seed_package_is_not_replaced_by_one_of_its_name() {
        let package = |name: &str| CustomPackage {
            package: Package { name: name.to_owned(), signals: vec!["Vehicle.Speed".to_owned()], event_types: vec![] },
            version: 1,
            created_at: Timestamp::from_ms(0),
            updated_at: Timestamp::from_ms(0),
        };
        let packages = Packages::built_in().and_custom([package("alerts"), package("speed")]);
        assert_eq!(packages.get("alerts"), Packages::built_in().get("alerts"));
        assert!(packages.get("speed").is_some_and(|package| package.holds_signal("Vehicle.Speed")));
    }
}
