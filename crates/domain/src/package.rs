//! Packages: named sets of signals and event types. A subscription grants packages.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::EventType;

mod custom;
mod indexed;
mod name;

pub use custom::{CustomPackage, PackageFault};
pub(crate) use indexed::IndexedPackage;
pub use name::{InvalidPackageName, PackageName};

/// A named set of signal paths and event types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// The package's name.
    pub name: PackageName,
    /// Signal patterns: the path of a signal, or a branch followed by `.*` for every signal below it.
    pub signals: Vec<String>,
    /// Event types that are delivered as entire events. Telemetry is redacted by signal instead.
    pub event_types: Vec<EventType>,
}

impl Package {
    /// Whether the package contains the signal with this path.
    pub fn contains_signal(&self, path: &str) -> bool {
        self.signals.iter().any(|pattern| pattern_matches(pattern, path))
    }
}

/// Whether a signal pattern (a path, or a branch followed by `.*`) matches a path.
pub(crate) fn pattern_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        // The dot remains in the branch, so that `Vehicle.OBD.*` does not match `Vehicle.OBDX`.
        Some(branch) => path.len() > branch.len() && path.starts_with(branch),
        None => pattern == path,
    }
}

/// All packages, by name. Clones share the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages(Arc<BTreeMap<PackageName, IndexedPackage>>);

impl Packages {
    /// Returns the built-in packages, which every stack has.
    pub fn built_in() -> Self {
        let package = |name: &str, signals: &[&str], event_types: &[EventType]| Package {
            name: PackageName::built_in(name),
            signals: signals.iter().map(|&pattern| pattern.to_owned()).collect(),
            event_types: event_types.to_vec(),
        };
        Self::from_iter([
            package(
                "telematics",
                &[
                    "Vehicle.Speed",
                    "Vehicle.TraveledDistance",
                    "Vehicle.TraveledDistanceHighRes",
                    "Vehicle.AverageSpeed",
                    "Vehicle.IsMoving",
                    "Vehicle.CurrentOverallWeight",
                    "Vehicle.RoadSpeedLimit",
                    "Vehicle.Acceleration.*",
                    "Vehicle.AngularVelocity.*",
                    "Vehicle.Chassis.*",
                    "Vehicle.Exterior.*",
                    "Vehicle.OBD.*",
                    "Vehicle.Powertrain.*",
                    "Vehicle.Tachograph.*",
                    "Vehicle.Traffic.*",
                ],
                &[],
            ),
            package("track-and-trace", &["Vehicle.CurrentLocation.*"], &[]),
            package(
                "diagnostics",
                &[
                    "Vehicle.Diagnostics.*",
                    "Vehicle.OBD.Status.*",
                    "Vehicle.OBD.DTCList",
                    "Vehicle.OBD.FreezeDTC",
                    "Vehicle.OBD.DistanceWithMIL",
                    "Vehicle.OBD.TimeWithMIL",
                    "Vehicle.OBD.WarmupsSinceDTCClear",
                    "Vehicle.OBD.DistanceSinceDTCClear",
                    "Vehicle.OBD.TimeSinceDTCCleared",
                ],
                &[EventType::Diagnostic],
            ),
            package("alerts", &[], &[EventType::Alert]),
            package("ev-battery", &["Vehicle.Powertrain.TractionBattery.*"], &[]),
            package("identification", &["Vehicle.VehicleIdentification.*"], &[]),
        ])
    }

    /// Adds custom packages. A package that is already present is not replaced by a custom one with the same name.
    #[must_use]
    pub fn with_custom(&self, custom: impl IntoIterator<Item = CustomPackage>) -> Self {
        let custom = custom.into_iter().map(|custom| custom.package);
        custom.chain(self.iter().cloned()).collect()
    }

    /// Returns the package with this name.
    pub fn get(&self, name: &str) -> Option<&Package> {
        self.indexed(name).map(IndexedPackage::package)
    }

    /// Returns the package with this name and its index.
    pub(crate) fn indexed(&self, name: &str) -> Option<&IndexedPackage> {
        self.0.get(name)
    }

    /// Returns every package, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.0.values().map(IndexedPackage::package)
    }
}

impl FromIterator<Package> for Packages {
    fn from_iter<I: IntoIterator<Item = Package>>(packages: I) -> Self {
        Self(Arc::new(packages.into_iter().map(|package| (package.name.clone(), package.into())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn track_and_trace_contains_only_positions() {
        let packages = Packages::built_in();
        let package = packages.get("track-and-trace").unwrap();
        assert!(package.contains_signal("Vehicle.CurrentLocation.Latitude"));
        for path in ["Vehicle.Speed", "Vehicle.CurrentLocation", "Vehicle.CurrentLocationX.Latitude", "Vehicle.OBD.Speed"] {
            assert!(!package.contains_signal(path), "{path}");
        }
    }

    #[test]
    fn number_of_built_in_packages_is_the_limit() {
        assert_eq!(Packages::built_in().iter().count(), crate::limits::BUILT_IN_PACKAGES);
    }

    #[test]
    fn only_identification_contains_the_vin() {
        let built_in = Packages::built_in();
        let names: Vec<&str> = built_in
            .iter()
            .filter(|package| package.contains_signal("Vehicle.VehicleIdentification.VIN"))
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(names, ["identification"]);
    }

    #[test]
    fn names_of_built_in_packages_are_valid() {
        for package in Packages::built_in().iter() {
            assert_eq!(package.name.as_str().parse().as_ref(), Ok(&package.name));
        }
    }
}
