//! [`Subscriptions::write_grants`] and [`Entitlements`]

use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use super::fresh::Fresh;
use crate::clock::Randomness;
use crate::entitlements::Entitlements;
use crate::subscriptions::Subscriptions;

/// What every pair of [`Subscriptions`] and [`Entitlements`] over the same store does.
pub async fn subscriptions_and_entitlements(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    random: &impl Randomness,
) {
    let fresh = Fresh::new(random);
    nobody_is_entitled_before_grants_are_written(subscriptions, entitlements, &fresh).await;
    grants_appear_in_every_direction_and_writing_them_again_changes_nothing(subscriptions, entitlements, &fresh).await;
    two_subscriptions_to_a_vehicle_are_two_grants_of_one_entitlement(subscriptions, entitlements, &fresh).await;
    every_fleet_of_a_vehicle_is_found(subscriptions, entitlements, &fresh).await;
    a_fleets_entitlements_page_without_loss_or_repeat_at_every_limit(subscriptions, entitlements, &fresh).await;
    every_change_is_another_version(entitlements, subscriptions, &fresh).await;
    the_seed_packages_are_there(entitlements).await;
}

async fn nobody_is_entitled_before_grants_are_written(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let pending = fresh.subscription(&fresh.fleet_id(), vec![fresh.vid()], &["telematics"]);
    subscriptions.create(&pending).await.expect("a new subscription is created");
    let (fleet, vid) = (&pending.fleet_id, &pending.vehicles[0]);
    assert!(to_vehicle(entitlements, vid).await.is_empty(), "nobody is entitled by a pending subscription");
    assert_eq!(one(entitlements, fleet, vid).await, None, "a pending subscription entitles its fleet to nothing");
    assert!(pages(entitlements, fleet, 10).await.is_empty(), "a fleet with a pending subscription lists no entitlement");
}

async fn grants_appear_in_every_direction_and_writing_them_again_changes_nothing(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    // More vehicles than any service writes in one request. The validity is long over: that is for the reader to compare.
    let mut vids: Vec<VehicleId> = (0..120).map(|_| fresh.vid()).collect();
    let fleet = fresh.fleet_id();
    let active = activated(subscriptions, fresh.subscription(&fleet, vids.clone(), &["telematics", "alerts"])).await;
    vids.sort();
    for times in ["once", "twice"] {
        let of_fleet = pages(entitlements, &fleet, 1000).await;
        let listed: Vec<&VehicleId> = of_fleet.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(listed, vids.iter().collect::<Vec<_>>(), "grants written {times} entitle to every vehicle, listed by id");
        for vid in [&vids[0], &vids[60], &vids[119]] {
            let found = one(entitlements, &fleet, vid).await.expect("a granted vehicle is found by fleet and vehicle");
            assert_eq!(found.grants, [Grant::of(&active)], "grants written {times} are as the subscription says");
            assert!(of_fleet.contains(&found), "a fleet's list and a single look-up agree");
            assert_eq!(to_vehicle(entitlements, vid).await, [found], "a vehicle's fleets and a single look-up agree");
        }
        subscriptions.write_grants(&active).await.expect("grants are written again");
    }
    let stranger = one(entitlements, &fleet, &fresh.vid()).await;
    assert_eq!(stranger, None, "a vehicle that the subscription does not name is not granted");
    assert_eq!(one(entitlements, &fresh.fleet_id(), &vids[0]).await, None, "another fleet is not entitled");
}

async fn two_subscriptions_to_a_vehicle_are_two_grants_of_one_entitlement(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let (fleet, vid) = (fresh.fleet_id(), fresh.vid());
    let mut grants = Vec::new();
    for package in ["telematics", "track-and-trace"] {
        let wanted = fresh.subscription(&fleet, vec![vid.clone()], &[package]);
        grants.push(Grant::of(&activated(subscriptions, wanted).await));
    }
    grants.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    let mut found = one(entitlements, &fleet, &vid).await.expect("the vehicle is granted");
    found.grants.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    assert_eq!(found.grants, grants, "two subscriptions to a vehicle are two grants of one entitlement");
    assert_eq!(to_vehicle(entitlements, &vid).await.len(), 1, "a fleet is found once at a vehicle");
    assert_eq!(pages(entitlements, &fleet, 1).await.len(), 1, "a vehicle is found once in a fleet, even in pages of 1");
}

async fn every_fleet_of_a_vehicle_is_found(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let vid = fresh.vid();
    let mut fleets = Vec::new();
    for _ in 0..3 {
        let wanted = fresh.subscription(&fresh.fleet_id(), vec![vid.clone()], &["alerts"]);
        fleets.push(activated(subscriptions, wanted).await.fleet_id);
    }
    fleets.sort();
    let mut found: Vec<FleetId> =
        to_vehicle(entitlements, &vid).await.into_iter().map(|entitlement| entitlement.fleet_id).collect();
    found.sort();
    assert_eq!(found, fleets, "every fleet that is entitled to a vehicle is found, once");
}

async fn a_fleets_entitlements_page_without_loss_or_repeat_at_every_limit(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let fleet = fresh.fleet_id();
    let mut vids: Vec<VehicleId> = (0..6).map(|_| fresh.vid()).collect();
    // Two grants each: a page counts vehicles, not grants.
    for package in ["telematics", "track-and-trace"] {
        activated(subscriptions, fresh.subscription(&fleet, vids.clone(), &[package])).await;
    }
    vids.sort();
    for limit in 1..=vids.len() + 1 {
        let listed = pages(entitlements, &fleet, limit).await;
        let found: Vec<&VehicleId> = listed.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(found, vids.iter().collect::<Vec<_>>(), "pages of {limit} give every vehicle once, by id");
        assert!(listed.iter().all(|entitlement| entitlement.grants.len() == 2), "pages of {limit} split no entitlement");
    }
}

async fn the_seed_packages_are_there(entitlements: &impl Entitlements) {
    let packages = entitlements.packages().await.expect("packages answers");
    for seed in Packages::seed().iter() {
        assert!(packages.get(&seed.name).is_some(), "the package {} is there from the start", seed.name);
    }
}

/// Takes a subscription the whole way: a store shows its grants once both its state and its grants are written.
async fn every_change_is_another_version(
    entitlements: &impl Entitlements,
    subscriptions: &impl Subscriptions,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let before = entitlements.version().await.expect("version answers");
    let (fleet_id, vid) = (fresh.fleet_id(), fresh.vid());
    activated(subscriptions, fresh.subscription(&fleet_id, vec![vid], &["alerts"])).await;
    let after = entitlements.version().await.expect("version answers");
    assert_ne!(before, after, "granting makes another version");
}

async fn activated(subscriptions: &impl Subscriptions, pending: Subscription) -> Subscription {
    use SubscriptionState::{Active, Pending, Provisioning};
    subscriptions.create(&pending).await.expect("a new subscription is created");
    let provisioning = Subscription { state: Provisioning, ..pending };
    subscriptions.replace(&provisioning, Pending).await.expect("it is provisioned");
    let active = Subscription { state: Active, ..provisioning };
    subscriptions.write_grants(&active).await.expect("its grants are written");
    subscriptions.replace(&active, Provisioning).await.expect("it becomes active");
    active
}

async fn to_vehicle(entitlements: &impl Entitlements, vid: &VehicleId) -> Vec<Entitlement> {
    entitlements.to_vehicle(vid).await.expect("to_vehicle answers")
}

async fn one(entitlements: &impl Entitlements, fleet: &FleetId, vid: &VehicleId) -> Option<Entitlement> {
    let found = entitlements.of_fleet_to_vehicle(fleet, vid).await.expect("of_fleet_to_vehicle answers");
    // No entitlement and one without grants say the same.
    found.filter(|entitlement| !entitlement.grants.is_empty())
}

async fn pages(entitlements: &impl Entitlements, fleet: &FleetId, limit: usize) -> Vec<Entitlement> {
    let mut listed: Vec<Entitlement> = Vec::new();
    loop {
        let after = listed.last().map(|last| last.vid.clone());
        let page = entitlements.of_fleet(fleet, after.as_ref(), limit).await.expect("of_fleet answers");
        assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
        let full = page.len() == limit;
        assert!(
            page.first().is_none_or(|first| after.is_none_or(|after| first.vid > after)),
            "a page starts after the one before"
        );
        listed.extend(page);
        if !full {
            return listed;
        }
    }
}
