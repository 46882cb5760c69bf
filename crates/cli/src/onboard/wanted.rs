//! What is wanted, as a file or flags say it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::args;

/// What is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    pub(super) vehicles: Vec<WantedVehicle>,
    #[serde(default)]
    pub(super) fleets: Vec<WantedFleet>,
}

/// A vehicle, by its names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WantedVehicle {
    /// `scheme:value`, each.
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

/// A fleet. It is known by its id, or else by its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WantedFleet {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fleet_id: Option<String>,
    #[serde(default)]
    pub(super) plan: Option<String>,
    /// Names of its applications; they are made together with a fleet that is new.
    #[serde(default)]
    pub(super) apps: Vec<String>,
    #[serde(default)]
    pub(super) subscriptions: Vec<WantedSubscription>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WantedSubscription {
    pub(super) vehicles: WantedVehicles,
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
pub(super) enum WantedVehicles {
    /// All that files of bulk data say the fleet has.
    Mapped(Mapped),
    /// `vid`s or names, `scheme:value`.
    Named(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mapped {
    Mapped,
}

/// The file's wants, and those of the flags.
pub(super) fn of(options: &args::Onboard) -> Result<Wanted> {
    let mut wanted = match &options.file {
        None => Wanted::default(),
        Some(path) => read(path)?,
    };
    if let Some(name) = &options.fleet {
        let vehicles = options.vehicles.clone();
        let packages = options.packages.clone();
        let names = vehicles.iter().filter(|name| !name.starts_with("veh_"));
        let by_name = |name: &String| WantedVehicle {
            names: vec![name.clone()],
            vin: None,
            make: None,
            model: None,
            model_year: None,
            fuel_type: None,
        };
        wanted.vehicles.extend(names.map(by_name));
        let of_mapped = options.mapped.then_some(WantedVehicles::Mapped(Mapped::Mapped));
        let of_named = (!vehicles.is_empty()).then_some(WantedVehicles::Named(vehicles));
        let subscription = |vehicles| {
            let packages = packages.clone();
            WantedSubscription { vehicles, packages, delivery_format: None, valid_from: None, valid_until: None }
        };
        let subscriptions = of_mapped.into_iter().chain(of_named).map(subscription).collect();
        let apps = options.app.iter().cloned().collect();
        wanted.fleets.push(WantedFleet { name: name.clone(), fleet_id: None, plan: None, apps, subscriptions });
    }
    if wanted.vehicles.is_empty() && wanted.fleets.is_empty() {
        bail!("nothing to onboard: give a file, or --fleet with --package and --vehicle or --mapped; --help shows both");
    }
    Ok(wanted)
}

fn read(path: &Path) -> Result<Wanted> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_norway::from_str(&text).with_context(|| format!("{} does not say what to onboard", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_misspelt_member_of_the_file_is_named() {
        let error = serde_norway::from_str::<Wanted>("fleets:\n  - name: A\n    subscribtions: []\n").unwrap_err();
        assert!(error.to_string().contains("subscribtions"), "{error}");
    }

    #[test]
    fn a_subscription_is_of_named_vehicles_or_of_all_that_are_mapped() {
        let read = |vehicles: &str| {
            serde_norway::from_str::<WantedSubscription>(&format!("{{vehicles: {vehicles}, packages: [alerts]}}"))
        };
        assert_eq!(read("mapped").unwrap().vehicles, WantedVehicles::Mapped(Mapped::Mapped));
        assert_eq!(read("['bus:1']").unwrap().vehicles, WantedVehicles::Named(vec!["bus:1".to_owned()]));
        assert!(read("all").unwrap_err().to_string().contains("the word mapped"));
    }
}
