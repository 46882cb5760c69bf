//! Custom packages, which admins create.

use std::collections::BTreeSet;

use roadcast_signals::{Catalogue, SignalPath};
use serde::{Deserialize, Serialize};

use super::{Package, Packages, pattern_matches};
use crate::Timestamp;
use crate::event::{CustomType, EventType};
use crate::json_pointer::JsonPointer;
use crate::limits;

/// The only package that grants signals that identify a vehicle.
const IDENTIFICATION: &str = "identification";

const DUPLICATE: &str = "duplicate entry";

/// A custom package, which an admin created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomPackage {
    /// The signals and event types.
    #[serde(flatten)]
    pub package: Package,
    /// Incremented by each change. The first version is 1.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An invalid part of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFault {
    /// JSON pointer into the package.
    pub pointer: JsonPointer,
    /// What is wrong.
    pub detail: String,
}

impl PackageFault {
    fn new(pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl Package {
    /// Returns every fault of a custom package, in the order of its members; empty if the package is valid.
    /// `is_registered` states whether a custom event type is registered.
    pub fn faults(&self, is_registered: impl Fn(&CustomType) -> bool) -> Vec<PackageFault> {
        let mut faults = Vec::new();
        if self.signals.is_empty() && self.event_types.is_empty() {
            faults.push(PackageFault::new(JsonPointer::ROOT, "is empty: send signals, eventTypes or both"));
        }
        let sizes = [
            ("signals", self.signals.len(), limits::PACKAGE_SIGNALS),
            ("eventTypes", self.event_types.len(), limits::PACKAGE_EVENT_TYPES),
        ];
        let too_many = sizes.into_iter().filter(|(_, length, max)| length > max);
        faults
            .extend(too_many.map(|(member, _, max)| PackageFault::new([member], format!("must have at most {max} items"))));
        if !faults.is_empty() {
            return faults;
        }
        let mut seen = BTreeSet::new();
        for (index, pattern) in self.signals.iter().enumerate() {
            let fault = if seen.insert(pattern) { pattern_fault(pattern) } else { Some(DUPLICATE.to_owned()) };
            faults.extend(fault.map(|detail| PackageFault::new(JsonPointer::from(["signals"]).index(index), detail)));
        }
        let mut seen = BTreeSet::new();
        for (index, event_type) in self.event_types.iter().enumerate() {
            let detail = match event_type {
                _ if !seen.insert(event_type) => DUPLICATE,
                EventType::Telemetry => "telemetry is granted by signals, not by event type",
                EventType::Custom(custom) if !is_registered(custom) => "unregistered event type",
                EventType::Diagnostic | EventType::Alert | EventType::Custom(_) => continue,
            };
            faults.push(PackageFault::new(JsonPointer::from(["eventTypes"]).index(index), detail));
        }
        faults
    }
}

/// Returns what is wrong with a signal pattern of a package; `None` if it is valid.
fn pattern_fault(pattern: &str) -> Option<String> {
    let path = pattern.strip_suffix(".*").unwrap_or(pattern);
    if SignalPath::parse(path).is_err() {
        return Some("must be the path of a signal, or a branch followed by .*".to_owned());
    }
    let mut matched = Catalogue::get().iter().map(|def| def.path).filter(|path| pattern_matches(pattern, path)).peekable();
    if matched.peek().is_none() {
        // A signal outside the catalogue could be anything, so it belongs to no package.
        return Some("matches no signal of the catalogue; GET /signals lists all signals".to_owned());
    }
    let built_in = Packages::built_in();
    let identifies = |path: &&str| built_in.get(IDENTIFICATION).is_some_and(|package| package.contains_signal(path));
    matched.find(identifies).map(|path| format!("includes {path}, which only the package {IDENTIFICATION} may grant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::PackageName;

    fn pointers(signals: &[&str], event_types: &[&str]) -> Vec<JsonPointer> {
        let package = Package {
            name: PackageName::built_in("test"),
            signals: signals.iter().map(|&pattern| pattern.to_owned()).collect(),
            event_types: event_types.iter().filter_map(|name| EventType::from_name(name)).collect(),
        };
        let registered = |custom: &CustomType| custom.as_str() == "com.example.tyre.v1";
        package.faults(registered).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn catalogue_signals_and_registered_types_are_valid() {
        assert!(pointers(&["Vehicle.Speed", "Vehicle.OBD.*"], &["roadcast.alert.v1", "com.example.tyre.v1"]).is_empty());
        assert!(pointers(&["Vehicle.Speed"], &[]).is_empty() && pointers(&[], &["roadcast.diagnostic.v1"]).is_empty());
    }

    #[test]
    fn every_invalid_part_is_reported() {
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
        let expected = (1..signals.len()).map(|index| JsonPointer::from(["signals"]).index(index)).collect::<Vec<_>>();
        assert_eq!(pointers(&signals, &[]), expected);
        let types = ["roadcast.telemetry.v1", "com.example.door.v1", "roadcast.alert.v1", "roadcast.alert.v1"];
        assert_eq!(pointers(&[], &types), ["/eventTypes/0", "/eventTypes/1", "/eventTypes/3"]);
    }

    #[test]
    fn custom_package_cannot_grant_identifying_signals() {
        for pattern in ["Vehicle.VehicleIdentification.VIN", "Vehicle.VehicleIdentification.*", "Vehicle.*"] {
            assert_eq!(pointers(&[pattern], &[]), ["/signals/0"], "{pattern}");
        }
    }

    #[test]
    fn number_of_signals_is_limited() {
        let paths: Vec<&str> = Catalogue::get().iter().map(|def| def.path).collect();
        let paths: Vec<&str> = paths.into_iter().filter(|path| pattern_fault(path).is_none()).collect();
        assert!(pointers(&paths[..limits::PACKAGE_SIGNALS], &[]).is_empty());
        assert_eq!(pointers(&paths[..=limits::PACKAGE_SIGNALS], &[]), ["/signals"]);
    }

    #[test]
    fn built_in_package_is_not_replaced_by_a_custom_one() {
        let package = |name: &str| CustomPackage {
            package: Package {
                name: PackageName::built_in(name),
                signals: vec!["Vehicle.Speed".to_owned()],
                event_types: vec![],
            },
            version: 1,
            created_at: Timestamp::from_ms(0),
            updated_at: Timestamp::from_ms(0),
        };
        let packages = Packages::built_in().with_custom([package("alerts"), package("speed")]);
        assert_eq!(packages.get("alerts"), Packages::built_in().get("alerts"));
        assert!(packages.get("speed").is_some_and(|package| package.contains_signal("Vehicle.Speed")));
    }
}
