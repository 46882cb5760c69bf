//! The specification of what to onboard, from a file or flags.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::OnboardArgs;

/// The vehicles and fleets to onboard.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OnboardingSpec {
    #[serde(default)]
    pub(super) vehicles: Vec<VehicleSpec>,
    #[serde(default)]
    pub(super) fleets: Vec<FleetSpec>,
}

/// A vehicle.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VehicleSpec {
    /// The external ids, as `scheme:value`.
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) vin: Option<String>,
    #[serde(default)]
    pub(super) make: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) model_year: Option<u16>,
    #[serde(default)]
    pub(super) fuel_type: Option<String>,
}

/// A fleet, identified by its id or else by its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FleetSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fleet_id: Option<String>,
    #[serde(default)]
    pub(super) plan: Option<String>,
    /// The names of its apps.
    #[serde(default)]
    pub(super) apps: Vec<String>,
    #[serde(default)]
    pub(super) subscriptions: Vec<SubscriptionSpec>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SubscriptionSpec {
    pub(super) vehicles: VehicleSelection,
    pub(super) packages: Vec<String>,
    #[serde(default)]
    pub(super) delivery_format: Option<String>,
    #[serde(default)]
    pub(super) valid_from: Option<String>,
    #[serde(default)]
    pub(super) valid_until: Option<String>,
}

/// The vehicles of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a list of vehicles, or the word mapped")]
pub(super) enum VehicleSelection {
    /// All vehicles that bulk files map to the fleet.
    Mapped(MappedKeyword),
    /// A list of vids or external ids (`scheme:value`).
    Named(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum MappedKeyword {
    Mapped,
}

/// Reads the file and adds what the flags specify. Fails if both are empty.
pub(super) fn load(options: &OnboardArgs) -> Result<OnboardingSpec> {
    let mut spec = match &options.file {
        None => OnboardingSpec::default(),
        Some(path) => read(path)?,
    };
    if let Some(name) = &options.fleet {
        let vehicles = options.vehicles.clone();
        let packages = options.packages.clone();
        let names = vehicles.iter().filter(|name| !name.starts_with("veh_"));
        let by_name = |name: &String| VehicleSpec {
            names: vec![name.clone()],
            vin: None,
            make: None,
            model: None,
            model_year: None,
            fuel_type: None,
        };
        spec.vehicles.extend(names.map(by_name));
        let of_mapped = options.mapped.then_some(VehicleSelection::Mapped(MappedKeyword::Mapped));
        let of_named = (!vehicles.is_empty()).then_some(VehicleSelection::Named(vehicles));
        let subscription = |vehicles| {
            let packages = packages.clone();
            SubscriptionSpec { vehicles, packages, delivery_format: None, valid_from: None, valid_until: None }
        };
        let subscriptions = of_mapped.into_iter().chain(of_named).map(subscription).collect();
        let apps = options.app.iter().cloned().collect();
        spec.fleets.push(FleetSpec { name: name.clone(), fleet_id: None, plan: None, apps, subscriptions });
    }
    if spec.vehicles.is_empty() && spec.fleets.is_empty() {
        bail!("nothing to onboard: pass a file, or --fleet with --package and --vehicle or --mapped (see --help)");
    }
    Ok(spec)
}

fn read(path: &Path) -> Result<OnboardingSpec> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_norway::from_str(&text)
        .with_context(|| format!("{} is not a valid onboarding file (see `cargo roadcast onboard --help`)", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unknown_member_is_named_in_the_error() {
        let error = serde_norway::from_str::<OnboardingSpec>("fleets:\n  - name: A\n    subscribtions: []\n").unwrap_err();
        assert!(error.to_string().contains("subscribtions"), "{error}");
    }

    #[test]
    fn subscription_has_named_vehicles_or_all_mapped_ones() {
        let read = |vehicles: &str| {
            serde_norway::from_str::<SubscriptionSpec>(&format!("{{vehicles: {vehicles}, packages: [alerts]}}"))
        };
        assert_eq!(read("mapped").unwrap().vehicles, VehicleSelection::Mapped(MappedKeyword::Mapped));
        assert_eq!(read("['bus:1']").unwrap().vehicles, VehicleSelection::Named(vec!["bus:1".to_owned()]));
        assert!(read("all").unwrap_err().to_string().contains("the word mapped"));
    }
}
