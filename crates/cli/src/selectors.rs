//! How fleets, vehicles and clients are named on the command line. Every name is checked before it becomes part of a path.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use roadcast_domain::ids::{FleetId, VehicleId};

use crate::api::{Api, Fleet};

/// A fleet: its id or its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FleetSelector {
    Id(String),
    Name(String),
}

impl FromStr for FleetSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("flt_") {
            let id = text.parse::<FleetId>();
            return id.map(|id| Self::Id(id.as_str().to_owned())).map_err(|error| error.to_string());
        }
        if text.trim().is_empty() {
            return Err("expected the id of a fleet, or its name".to_owned());
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl FleetSelector {
    /// The id of the fleet. A name must be that of one active fleet.
    pub(crate) async fn id(&self, api: &Api) -> Result<String> {
        let name = match self {
            Self::Id(id) => return Ok(id.clone()),
            Self::Name(name) => name,
        };
        let mut fleets = api.fleets().await?;
        fleets.retain(|fleet| fleet.name == *name);
        match fleets.as_slice() {
            [fleet] => Ok(fleet.id.clone()),
            [] => bail!("there is no active fleet with the name {name}: list them with `cargo roadcast fleets list`"),
            _ => bail!("{} active fleets have the name {name}: use the id of one{}", fleets.len(), listed(&fleets)),
        }
    }

    /// The id of the fleet, or that of the only active one if none is given.
    pub(crate) async fn id_or_only(selector: Option<&Self>, api: &Api) -> Result<String> {
        if let Some(selector) = selector {
            return selector.id(api).await;
        }
        let fleets = api.fleets().await?;
        match fleets.as_slice() {
            [fleet] => Ok(fleet.id.clone()),
            [] => bail!("there is no active fleet: create one with `cargo roadcast onboard`"),
            _ => bail!("there are {} active fleets: choose one with --fleet{}", fleets.len(), listed(&fleets)),
        }
    }
}

fn listed(fleets: &[Fleet]) -> String {
    let lines: Vec<String> = fleets.iter().map(|fleet| format!("\n  {}  {}", fleet.id, fleet.name)).collect();
    lines.concat()
}

/// A vehicle: its vid or an external id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VehicleSelector {
    Vid(String),
    ExternalId(String),
}

impl FromStr for VehicleSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("veh_") {
            let vid = text.parse::<VehicleId>();
            return vid.map(|vid| Self::Vid(vid.as_str().to_owned())).map_err(|error| error.to_string());
        }
        match text.split_once(':') {
            Some((scheme, value)) if !scheme.is_empty() && !value.is_empty() => Ok(Self::ExternalId(text.to_owned())),
            _ => Err("expected a vid such as veh_0123456789abcdef, or an external id such as bus:2619".to_owned()),
        }
    }
}

impl VehicleSelector {
    /// The vid of the vehicle.
    pub(crate) async fn vid(&self, api: &Api) -> Result<String> {
        match self {
            Self::Vid(vid) => Ok(vid.clone()),
            Self::ExternalId(name) => api.vehicle_named(name).await?.with_context(|| {
                format!("no vehicle has the external id {name}: find it with `cargo roadcast vehicles list`")
            }),
        }
    }
}

/// The id of a client or of a credential.
pub(crate) fn client_id(text: &str) -> Result<String, String> {
    let is_valid = (1..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_+".contains(&c));
    if is_valid { Ok(text.to_owned()) } else { Err("expected the id of a client, as `clients list` prints it".to_owned()) }
}

/// The id of a redrive, which the caller chooses.
pub(crate) fn redrive_id(text: &str) -> Result<String, String> {
    let is_valid = (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c));
    if is_valid { Ok(text.to_owned()) } else { Err("expected 1 to 64 letters, digits, `_` and `-`".to_owned()) }
}

/// The name of a run of `restore`.
pub(crate) fn run_name(text: &str) -> Result<String, String> {
    redrive_id(text).map_err(|_| "expected the name of a run, as `restore` prints it".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fleet_is_an_id_or_a_name() {
        let id = "flt_0123456789abcdef";
        assert_eq!(id.parse(), Ok(FleetSelector::Id(id.to_owned())));
        assert_eq!("Nordwind".parse(), Ok(FleetSelector::Name("Nordwind".to_owned())));
        assert!("flt_../clients".parse::<FleetSelector>().is_err());
        assert!(" ".parse::<FleetSelector>().is_err());
    }

    #[test]
    fn vehicle_is_a_vid_or_an_external_id() {
        let vid = "veh_0123456789abcdef";
        assert_eq!(vid.parse(), Ok(VehicleSelector::Vid(vid.to_owned())));
        assert_eq!("bus:2619".parse(), Ok(VehicleSelector::ExternalId("bus:2619".to_owned())));
        for invalid in ["veh_1", "2619", ":x", "bus:"] {
            assert!(invalid.parse::<VehicleSelector>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn ids_that_would_change_a_path_are_refused() {
        assert!(client_id("4d1kq8+_").is_ok() && redrive_id("tyre-2").is_ok());
        for invalid in ["", "a/b", "a?b", "a b", "../x"] {
            assert!(client_id(invalid).is_err() && redrive_id(invalid).is_err(), "{invalid}");
        }
    }
}
