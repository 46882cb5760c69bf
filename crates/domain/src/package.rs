//! Packages: named sets of signals and event types. What a subscription grants is made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::EventType;

mod custom;

pub use custom::{CustomPackage, InvalidPackageName, PackageFault, check_name};

/// A package's name, such as `track-and-trace`.
pub type PackageName = String;

/// A named set of signal paths and event types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Signals: a path, or all below a branch where it ends with `.*`.
    pub signals: Vec<String>,
    /// Event types that are handed out whole. Telemetry is cut by signal instead.
    pub event_types: Vec<EventType>,
}

impl Package {
    /// Whether the package holds the signal of that path.
    pub fn holds_signal(&self, path: &str) -> bool {
        self.signals.iter().any(|pattern| pattern_names(pattern, path))
    }
}

/// Whether a pattern, which is a path or a branch followed by `.*`, names the signal of that path.
pub(crate) fn pattern_names(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        // The dot stays in the branch, so that `Vehicle.OBD.*` does not reach `Vehicle.OBDX`.
        Some(branch) => path.len() > branch.len() && path.starts_with(branch),
        None => pattern == path,
    }
}

/// The packages there are, by name. Clones share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages(Arc<BTreeMap<PackageName, Package>>);

impl Packages {
    /// The packages that every stack begins with.
    pub fn built_in() -> Self {
        let package = |name: &str, signals: &[&str], event_types: &[EventType]| Package {
            name: name.to_owned(),
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

    /// These, and those that admins made. One of these stays as it is, whatever else has its name.
    #[must_use]
    pub fn and_custom(&self, custom: impl IntoIterator<Item = CustomPackage>) -> Self {
        let custom = custom.into_iter().map(|custom| custom.package);
        custom.chain(self.iter().cloned()).collect()
    }

    /// The package of that name.
    pub fn get(&self, name: &str) -> Option<&Package> {
        self.0.get(name)
    }

    /// Every package, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.0.values()
    }
}

impl FromIterator<Package> for Packages {
    fn from_iter<I: IntoIterator<Item = Package>>(packages: I) -> Self {
        Self(Arc::new(packages.into_iter().map(|package| (package.name.clone(), package)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn track_and_trace_holds_positions_and_nothing_else() {
        let packages = Packages::built_in();
        let package = packages.get("track-and-trace").unwrap();
        assert!(package.holds_signal("Vehicle.CurrentLocation.Latitude"));
        for path in ["Vehicle.Speed", "Vehicle.CurrentLocation", "Vehicle.CurrentLocationX.Latitude", "Vehicle.OBD.Speed"] {
            assert!(!package.holds_signal(path), "{path}");
        }
    }

    #[test]
    fn no_package_but_identification_holds_the_vin() {
        let holding: Vec<String> = Packages::built_in()
            .iter()
            .filter(|package| package.holds_signal("Vehicle.VehicleIdentification.VIN"))
            .map(|package| package.name.clone())
            .collect();
        assert_eq!(holding, ["identification"]);
    }
}
