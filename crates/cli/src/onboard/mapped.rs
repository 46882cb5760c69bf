//! The vehicles that files of bulk data say a fleet has, and which of them it is not subscribed to yet.

use std::collections::{BTreeSet, HashSet};

use anyhow::Result;
use reqwest::Method;
use roadcast_domain::Timestamp;
use serde::Deserialize;

use super::subscriptions::instant;
use super::wanted::WantedSubscription;
use crate::api::{Api, Subscription};

/// As many as a page may hold.
const PER_PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    items: Vec<MappedVehicle>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct MappedVehicle {
    vid: String,
}

/// The ids of the vehicles that the fleet has, page by page; `told` is told how many there are so far.
pub(super) async fn vehicles(api: &Api, fleet_id: &str, mut told: impl FnMut(usize)) -> Result<BTreeSet<String>> {
    let mut vids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/fleets/{fleet_id}/vehicles?limit={PER_PAGE}{cursor}");
        let page: Page = api.json(Method::GET, &path, None).await?;
        vids.extend(page.items.into_iter().map(|vehicle| vehicle.vid));
        told(vids.len());
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(vids),
        }
    }
}

/// Those that no subscription covers which is not revoked, has all the packages, and begins and ends no later and no earlier
/// than what is wanted.
pub(super) fn uncovered(mapped: BTreeSet<String>, wanted: &WantedSubscription, existing: &[Subscription]) -> Vec<String> {
    let covers = |there: &&Subscription| {
        let from = instant(Some(&there.valid_from));
        let has_begun = wanted.valid_from.as_ref().is_none_or(|wanted| from <= instant(Some(wanted)));
        let end = |until: Option<&String>| instant(until).unwrap_or(Timestamp::from_ms(i64::MAX));
        there.state != "revoked"
            && wanted.packages.iter().all(|package| there.packages.contains(package))
            && has_begun
            && end(there.valid_until.as_ref()) >= end(wanted.valid_until.as_ref())
    };
    let covered: HashSet<&String> = existing.iter().filter(covers).flat_map(|there| &there.vehicles).collect();
    mapped.into_iter().filter(|vid| !covered.contains(vid)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_vehicle_is_covered_by_a_subscription_of_at_least_the_same_packages_and_time() {
        let there = |state: &str, packages: &[&str], until: Option<&str>| Subscription {
            id: "sub_x".to_owned(),
            vehicles: vec!["veh_a".to_owned()],
            packages: packages.iter().map(|&package| package.to_owned()).collect(),
            state: state.to_owned(),
            reason: None,
            valid_from: "2026-01-01T00:00:00.000Z".to_owned(),
            valid_until: until.map(str::to_owned),
        };
        let open = |wanted: &str, there: Subscription| {
            let wanted: WantedSubscription = serde_norway::from_str(wanted).unwrap();
            let mapped = ["veh_a", "veh_b"].map(str::to_owned).into();
            uncovered(mapped, &wanted, &[there]) == ["veh_b"]
        };
        let (one, ending) = ("{vehicles: mapped, packages: [alerts]}", Some("2027-01-01T00:00:00.000Z"));
        assert!(open(one, there("active", &["alerts", "telematics"], None)));
        assert!(open(one, there("suspended", &["alerts"], None)));
        assert!(!open(one, there("revoked", &["alerts"], None)));
        assert!(!open(one, there("active", &["telematics"], None)));
        assert!(!open(one, there("active", &["alerts"], ending)));
        let until = "{vehicles: mapped, packages: [alerts], validUntil: 2027-01-01T01:00:00+01:00}";
        assert!(open(until, there("active", &["alerts"], ending)));
        let from = "{vehicles: mapped, packages: [alerts], validFrom: 2025-12-31T00:00:00Z}";
        assert!(!open(from, there("active", &["alerts"], None)));
    }
}
