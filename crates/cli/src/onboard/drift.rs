//! Compares existing fleets and subscriptions with the specification. A member that the specification does not have is not
//! compared.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::spec::{FleetSpec, SubscriptionSpec};
use crate::api::{Fleet, Subscription};
use roadcast_domain::Timestamp;

/// The plan of a fleet, if it is not the specified one: the text states both.
pub(super) fn of_plan(spec: &FleetSpec, fleet: &Fleet) -> Option<String> {
    let plan = spec.plan.as_ref().filter(|plan| **plan != fleet.plan)?;
    Some(format!("plan {} -> {plan}", fleet.plan))
}

/// The specified apps that an existing fleet does not have.
pub(super) fn missing_apps<'s>(spec: &'s FleetSpec, existing: &[String]) -> Vec<&'s String> {
    spec.apps.iter().filter(|app| !existing.contains(app)).collect()
}

/// The members of a subscription that are not the specified ones: each text states both values.
pub(super) fn of_subscription(spec: &SubscriptionSpec, subscription: &Subscription) -> Vec<String> {
    let mut drift = Vec::new();
    if let Some(format) = spec.delivery_format.as_ref().filter(|format| **format != subscription.delivery_format) {
        drift.push(format!("deliveryFormat {} -> {format}", subscription.delivery_format));
    }
    if let Some(from) = &spec.valid_from
        && Timestamp::parse_rfc3339(from).ok() != Timestamp::parse_rfc3339(&subscription.valid_from).ok()
    {
        drift.push(format!("validFrom {} -> {from}", subscription.valid_from));
    }
    drift
}

/// The subscriptions with the packages of the specification that have some of the vehicles, but another delivery format. For
/// mapped vehicles, whose subscriptions start and end as coverage requires.
pub(super) fn of_mapped<'s>(
    spec: &SubscriptionSpec,
    vids: &BTreeSet<String>,
    existing: &'s [Subscription],
) -> Vec<(&'s Subscription, String)> {
    let packages: BTreeSet<&String> = spec.packages.iter().collect();
    let format_only = SubscriptionSpec { valid_from: None, ..spec.clone() };
    let is_of_spec = |subscription: &&Subscription| {
        subscription.state != "revoked"
            && subscription.packages.iter().collect::<BTreeSet<_>>() == packages
            && subscription.vehicles.iter().any(|vid| vids.contains(vid))
    };
    let drift = |subscription| Some((subscription, of_subscription(&format_only, subscription).into_iter().next()?));
    existing.iter().filter(is_of_spec).filter_map(drift).collect()
}

/// The body that replaces a subscription. It retains what the specification does not have.
pub(super) fn replacement(spec: &SubscriptionSpec, subscription: &Subscription) -> Value {
    let mut body = json!({
        "vehicles": subscription.vehicles,
        "packages": subscription.packages,
        "deliveryFormat": spec.delivery_format.as_ref().unwrap_or(&subscription.delivery_format),
    });
    // Without `validFrom`, the API retains it; without `validUntil`, the subscription would have no end.
    for (name, value) in [("validFrom", &spec.valid_from), ("validUntil", &subscription.valid_until)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscription() -> Subscription {
        serde_json::from_value(json!({
            "subscriptionId": "sub_x", "vehicles": ["veh_a"], "packages": ["alerts"], "deliveryFormat": "json",
            "validFrom": "2026-01-01T00:00:00.000Z", "validUntil": "2027-01-01T00:00:00.000Z", "state": "active",
        }))
        .unwrap()
    }

    fn spec(members: &str) -> SubscriptionSpec {
        serde_norway::from_str(&format!("{{vehicles: [veh_a], packages: [alerts]{members}}}")).unwrap()
    }

    #[test]
    fn other_format_and_start_are_drift_and_absent_members_are_not() {
        let drift = |members| of_subscription(&spec(members), &subscription());
        assert_eq!(drift(""), Vec::<String>::new());
        assert_eq!(drift(", deliveryFormat: json, validFrom: 2026-01-01T01:00:00+01:00"), Vec::<String>::new());
        assert_eq!(drift(", deliveryFormat: block"), ["deliveryFormat json -> block"]);
        assert_eq!(
            drift(", validFrom: 2025-12-31T00:00:00Z"),
            ["validFrom 2026-01-01T00:00:00.000Z -> 2025-12-31T00:00:00Z"]
        );
    }

    #[test]
    fn replacement_retains_what_the_specification_does_not_have() {
        let body = replacement(&spec(", validFrom: 2025-12-31T00:00:00Z"), &subscription());
        assert_eq!(
            body,
            json!({
                "vehicles": ["veh_a"], "packages": ["alerts"], "deliveryFormat": "json",
                "validFrom": "2025-12-31T00:00:00Z", "validUntil": "2027-01-01T00:00:00.000Z",
            })
        );
        assert!(replacement(&spec(""), &subscription()).get("validFrom").is_none());
    }

    #[test]
    fn plan_and_apps_of_an_existing_fleet_are_compared() {
        let fleet: Fleet =
            serde_json::from_value(json!({"fleetId": "flt_x", "name": "A", "plan": "standard", "state": "active"})).unwrap();
        let spec = |text: &str| serde_norway::from_str::<FleetSpec>(text).unwrap();
        assert_eq!(of_plan(&spec("{name: A}"), &fleet), None);
        assert_eq!(of_plan(&spec("{name: A, plan: standard}"), &fleet), None);
        assert_eq!(of_plan(&spec("{name: A, plan: premium}"), &fleet).unwrap(), "plan standard -> premium");
        assert_eq!(missing_apps(&spec("{name: A, apps: [a, b]}"), &["b".to_owned(), "c".to_owned()]), ["a"]);
    }

    #[test]
    fn mapped_vehicles_compare_subscriptions_with_the_same_packages() {
        let (existing, vids) = ([subscription()], BTreeSet::from(["veh_a".to_owned()]));
        let drift = |members: &str, vids: &BTreeSet<String>| of_mapped(&spec(members), vids, &existing).len();
        assert_eq!(drift(", deliveryFormat: block, validFrom: 2026-06-01T00:00:00Z", &vids), 1);
        assert_eq!(drift(", validFrom: 2026-06-01T00:00:00Z", &vids), 0);
        assert_eq!(drift(", deliveryFormat: block", &BTreeSet::from(["veh_b".to_owned()])), 0);
    }
}
