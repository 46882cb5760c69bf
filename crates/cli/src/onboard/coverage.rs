//! Compares a subscription of the specification with the subscriptions of the fleet.

use std::collections::{BTreeSet, HashSet};

use roadcast_domain::Timestamp;

use super::drift;
use super::spec::SubscriptionSpec;
use crate::api::Subscription;

/// The subscription with the same vehicles, packages and end, unless it is revoked; None if there is none. Of several, that with
/// the fewest other differences.
pub(super) fn find_equal<'s>(
    spec: &SubscriptionSpec,
    vids: &BTreeSet<String>,
    existing: &'s [Subscription],
) -> Option<&'s Subscription> {
    let packages: BTreeSet<&String> = spec.packages.iter().collect();
    let is_equal = |subscription: &&Subscription| {
        subscription.state != "revoked"
            && subscription.vehicles.iter().collect::<BTreeSet<_>>() == vids.iter().collect()
            && subscription.packages.iter().collect::<BTreeSet<_>>() == packages
            && parse_time(subscription.valid_until.as_ref()) == parse_time(spec.valid_until.as_ref())
    };
    existing.iter().filter(is_equal).min_by_key(|subscription| drift::of_subscription(spec, subscription).len())
}

/// The vehicles that no subscription covers. A subscription covers its vehicles if it is not revoked, has all the packages,
/// and starts no later and ends no earlier than the specification.
pub(super) fn uncovered(vids: BTreeSet<String>, spec: &SubscriptionSpec, existing: &[Subscription]) -> Vec<String> {
    let covers = |subscription: &&Subscription| {
        let from = parse_time(Some(&subscription.valid_from));
        let starts_in_time = spec.valid_from.as_ref().is_none_or(|valid_from| from <= parse_time(Some(valid_from)));
        let end = |until: Option<&String>| parse_time(until).unwrap_or(Timestamp::from_ms(i64::MAX));
        subscription.state != "revoked"
            && spec.packages.iter().all(|package| subscription.packages.contains(package))
            && starts_in_time
            && end(subscription.valid_until.as_ref()) >= end(spec.valid_until.as_ref())
    };
    let covered: HashSet<&String> = existing.iter().filter(covers).flat_map(|subscription| &subscription.vehicles).collect();
    vids.into_iter().filter(|vid| !covered.contains(vid)).collect()
}

/// Parses an RFC 3339 time; None if it is absent or invalid.
fn parse_time(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|text| Timestamp::parse_rfc3339(text).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscription(state: &str, vehicles: &[&str], packages: &[&str], until: Option<&str>) -> Subscription {
        Subscription {
            id: "sub_x".to_owned(),
            vehicles: vehicles.iter().map(|&vid| vid.to_owned()).collect(),
            packages: packages.iter().map(|&package| package.to_owned()).collect(),
            delivery_format: "json".to_owned(),
            state: state.to_owned(),
            reason: None,
            valid_from: "2026-01-01T00:00:00.000Z".to_owned(),
            valid_until: until.map(str::to_owned),
        }
    }

    #[test]
    fn equal_subscription_is_found_in_any_order_unless_revoked() {
        let text = "{vehicles: [veh_b, veh_a], packages: [alerts, telematics], validUntil: 2027-01-01T01:00:00+01:00}";
        let spec: SubscriptionSpec = serde_norway::from_str(text).unwrap();
        let vids = BTreeSet::from(["veh_a".to_owned(), "veh_b".to_owned()]);
        let is_found = |state: &str, vehicles: &[&str], until: Option<&str>| {
            find_equal(&spec, &vids, &[subscription(state, vehicles, &["telematics", "alerts"], until)]).is_some()
        };
        assert!(is_found("active", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z")));
        assert!(!is_found("revoked", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z")));
        assert!(!is_found("active", &["veh_a"], Some("2027-01-01T00:00:00.000Z")));
        assert!(!is_found("active", &["veh_a", "veh_b"], None));
    }

    #[test]
    fn subscription_covers_at_most_its_packages_and_time() {
        let existing =
            |state: &str, packages: &[&str], until: Option<&str>| subscription(state, &["veh_a"], packages, until);
        let is_covered = |spec: &str, existing: Subscription| {
            let spec: SubscriptionSpec = serde_norway::from_str(spec).unwrap();
            let vids = ["veh_a", "veh_b"].map(str::to_owned).into();
            uncovered(vids, &spec, &[existing]) == ["veh_b"]
        };
        let (open_ended, end) = ("{vehicles: mapped, packages: [alerts]}", Some("2027-01-01T00:00:00.000Z"));
        assert!(is_covered(open_ended, existing("active", &["alerts", "telematics"], None)));
        assert!(is_covered(open_ended, existing("suspended", &["alerts"], None)));
        assert!(!is_covered(open_ended, existing("revoked", &["alerts"], None)));
        assert!(!is_covered(open_ended, existing("active", &["telematics"], None)));
        assert!(!is_covered(open_ended, existing("active", &["alerts"], end)));
        let until = "{vehicles: mapped, packages: [alerts], validUntil: 2027-01-01T01:00:00+01:00}";
        assert!(is_covered(until, existing("active", &["alerts"], end)));
        let from = "{vehicles: mapped, packages: [alerts], validFrom: 2025-12-31T00:00:00Z}";
        assert!(!is_covered(from, existing("active", &["alerts"], None)));
    }
}
