//! [`Subscriptions::write_grants`], [`Subscriptions::narrow_grants`] and [`Entitlements`]

use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::{Subscription, SubscriptionState, Validity};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
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
    what_is_taken_away_is_gone_in_every_direction_under_a_new_epoch(subscriptions, entitlements, &fresh).await;
    narrowing_takes_from_one_subscription_and_no_other(subscriptions, entitlements, &fresh).await;
    who_read_an_older_version_writes_no_grants(subscriptions, entitlements, &fresh).await;
    the_seed_packages_are_there(entitlements).await;
}

async fn nobody_is_entitled_before_grants_are_written(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let pending = fresh.subscription(&fresh.fleet_id(), vec![fresh.vid()], &["telematics"]);
    subscriptions.create(&pending, None).await.expect("a new subscription is created");
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
    for seed in Packages::built_in().iter() {
        assert!(packages.get(&seed.name).is_some(), "the package {} is there from the start", seed.name);
    }
}

async fn what_is_taken_away_is_gone_in_every_direction_under_a_new_epoch(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    // More vehicles than any service writes in one request.
    let mut vids: Vec<VehicleId> = (0..120).map(|_| fresh.vid()).collect();
    vids.sort();
    let fleet = fresh.fleet_id();
    let active = activated(subscriptions, fresh.subscription(&fleet, vids.clone(), &["telematics", "alerts"])).await;
    let (gone, kept) = vids.split_at(60);
    let left = Grant {
        packages: vec!["alerts".to_owned()],
        validity: Validity { valid_from: NOON.plus_ms(10), valid_until: Some(NOON.plus_ms(20)) },
        suspended: true,
        ..Grant::of(&active)
    };
    let before = entitlements.version().await.expect("version answers");
    subscriptions.narrow_grants(&active, gone, None).await.expect("grants are taken away");
    let between = entitlements.version().await.expect("version answers");
    assert_ne!(before, between, "taking away makes another version");
    subscriptions.narrow_grants(&active, &kept[..50], Some(&left)).await.expect("grants are narrowed");
    assert_ne!(between, entitlements.version().await.expect("version answers"), "narrowing makes another version");

    for times in ["once", "twice"] {
        let of_fleet = pages(entitlements, &fleet, 7).await;
        let listed: Vec<&VehicleId> = of_fleet.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(listed, kept.iter().collect::<Vec<_>>(), "a fleet lists what was left to it, having narrowed {times}");
        for vid in [&gone[0], &gone[59]] {
            assert_eq!(one(entitlements, &fleet, vid).await, None, "what was taken away {times} is not found by the pair");
            assert!(
                to_vehicle(entitlements, vid).await.is_empty(),
                "what was taken away {times} is not found by the vehicle"
            );
        }
        for vid in [&kept[0], &kept[49]] {
            let found = one(entitlements, &fleet, vid).await.expect("what is left is found");
            assert_eq!(found.grants, std::slice::from_ref(&left), "a narrowed grant is as it was given");
            assert!(found.epoch >= 1, "taking away raises the epoch");
            assert!(
                of_fleet.contains(&found),
                "a fleet's list and a single look-up agree on a narrowed grant and its epoch"
            );
            assert_eq!(to_vehicle(entitlements, vid).await, [found], "a vehicle's fleets and a single look-up agree");
        }
        let untouched = one(entitlements, &fleet, &kept[59]).await.expect("what is not named stays");
        assert_eq!((untouched.epoch, untouched.grants), (0, vec![Grant::of(&active)]), "what is not named stays as it is");
        subscriptions.narrow_grants(&active, gone, None).await.expect("grants are taken away again");
        subscriptions.narrow_grants(&active, &kept[..50], Some(&left)).await.expect("grants are narrowed again");
    }

    let raised = one(entitlements, &fleet, &kept[0]).await.expect("it is there").epoch;
    subscriptions.write_grants(&active).await.expect("grants are written again");
    let found = one(entitlements, &fleet, &kept[0]).await.expect("it is there");
    assert_eq!((found.epoch, found.grants), (raised, vec![Grant::of(&active)]), "widening keeps the epoch");
    let back = one(entitlements, &fleet, &gone[0]).await.expect("what was taken away may come back");
    assert!(back.epoch >= 1, "an epoch outlasts the grants");
}

async fn narrowing_takes_from_one_subscription_and_no_other(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let (fleet, vid) = (fresh.fleet_id(), fresh.vid());
    let first = activated(subscriptions, fresh.subscription(&fleet, vec![vid.clone()], &["telematics"])).await;
    let second = activated(subscriptions, fresh.subscription(&fleet, vec![vid.clone()], &["alerts"])).await;
    let other = activated(subscriptions, fresh.subscription(&fresh.fleet_id(), vec![vid.clone()], &["alerts"])).await;
    // Named twice, as a request may.
    subscriptions.narrow_grants(&first, &[vid.clone(), vid.clone()], None).await.expect("grants are taken away");
    let left = one(entitlements, &fleet, &vid).await.expect("the other subscription is left");
    assert_eq!(left.grants, [Grant::of(&second)], "the other subscription's grant stays");
    let theirs = one(entitlements, &other.fleet_id, &vid).await.expect("the other fleet is entitled");
    assert_eq!((theirs.epoch, theirs.grants), (0, vec![Grant::of(&other)]), "another fleet's pair stays as it is");
}

async fn who_read_an_older_version_writes_no_grants(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let old = activated(subscriptions, fresh.subscription(&fresh.fleet_id(), vec![fresh.vid()], &["alerts"])).await;
    let (fleet, vid) = (&old.fleet_id, &old.vehicles[0]);
    subscriptions.update(&old, None).await.expect("the next version is claimed");
    for refused in [subscriptions.narrow_grants(&old, &old.vehicles, None).await, subscriptions.write_grants(&old).await] {
        let refused = refused.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "changing grants of an older version is a conflict");
    }
    assert!(one(entitlements, fleet, vid).await.is_some(), "a refused narrowing takes nothing away");

    let claimed = Subscription { version: old.version + 1, ..old.clone() };
    subscriptions.narrow_grants(&claimed, &old.vehicles, None).await.expect("grants are taken away");
    let revoked = Subscription { state: SubscriptionState::Revoked, ..claimed };
    subscriptions.update(&revoked, None).await.expect("it is revoked");
    let revoked = Subscription { version: revoked.version + 1, ..revoked };
    for late in [&old, &revoked] {
        let refused = subscriptions.write_grants(late).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "a revoked subscription grants nothing any more");
    }
    assert_eq!(one(entitlements, fleet, vid).await, None, "a refused grant is not there");
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
    subscriptions.create(&pending, None).await.expect("a new subscription is created");
    let provisioning = Subscription { state: Provisioning, ..pending };
    subscriptions.replace(&provisioning, Pending).await.expect("it is provisioned");
    let active = Subscription { state: Active, version: provisioning.version + 1, ..provisioning };
    subscriptions.write_grants(&active).await.expect("its grants are written");
    subscriptions.replace(&active, Provisioning).await.expect("it becomes active");
    Subscription { version: active.version + 1, ..active }
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
