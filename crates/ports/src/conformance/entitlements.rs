//! [`Subscriptions::write_grants`], [`Subscriptions::narrow_grants`] and [`Entitlements`]

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::{Subscription, SubscriptionState, Validity};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::entitlements::Entitlements;
use crate::subscriptions::Subscriptions;

/// Checks [`Subscriptions`] and [`Entitlements`] on the same store.
pub async fn subscriptions_and_entitlements(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    pending_subscription_grants_nothing(subscriptions, entitlements, &fixtures).await;
    written_grants_are_found_by_every_query(subscriptions, entitlements, &fixtures).await;
    two_subscriptions_are_two_grants_of_one_entitlement(subscriptions, entitlements, &fixtures).await;
    all_fleets_of_a_vehicle_are_found(subscriptions, entitlements, &fixtures).await;
    pages_contain_each_entitlement_once(subscriptions, entitlements, &fixtures).await;
    every_change_changes_the_version(entitlements, subscriptions, &fixtures).await;
    removed_grants_raise_the_epoch(subscriptions, entitlements, &fixtures).await;
    narrowing_affects_only_one_subscription(subscriptions, entitlements, &fixtures).await;
    older_version_cannot_change_grants(subscriptions, entitlements, &fixtures).await;
    built_in_packages_exist(entitlements).await;
}

async fn pending_subscription_grants_nothing(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let pending = fixtures.subscription(&fixtures.fleet_id(), vec![fixtures.vid()], &["telematics"]);
    subscriptions.create(&pending, &fixtures.change(&pending.fleet_id)).await.expect("a new subscription is created");
    let (fleet, vid) = (&pending.fleet_id, &pending.vehicles[0]);
    assert!(by_vehicle(entitlements, vid).await.is_empty(), "a pending subscription entitles no fleet");
    assert_eq!(one(entitlements, fleet, vid).await, None, "a pending subscription entitles its fleet to nothing");
    assert!(pages(entitlements, fleet, 10).await.is_empty(), "a fleet with a pending subscription lists no entitlement");
}

async fn written_grants_are_found_by_every_query(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    // More vehicles than any service writes in one request. The validity has ended: the caller checks it.
    let mut vids: Vec<VehicleId> = (0..120).map(|_| fixtures.vid()).collect();
    let fleet = fixtures.fleet_id();
    let active = activated(subscriptions, fixtures.subscription(&fleet, vids.clone(), &["telematics", "alerts"])).await;
    vids.sort();
    for times in ["once", "twice"] {
        let by_fleet = pages(entitlements, &fleet, 1000).await;
        let listed: Vec<&VehicleId> = by_fleet.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(
            listed,
            vids.iter().collect::<Vec<_>>(),
            "grants written {times} entitle to every vehicle, ordered by id"
        );
        for vid in [&vids[0], &vids[60], &vids[119]] {
            let found = one(entitlements, &fleet, vid).await.expect("a granted vehicle is found by fleet and vehicle");
            assert_eq!(found.grants, [Grant::for_subscription(&active)], "grants written {times} match the subscription");
            assert!(by_fleet.contains(&found), "the list by fleet and the single read agree");
            assert_eq!(by_vehicle(entitlements, vid).await, [found], "the list by vehicle and the single read agree");
        }
        subscriptions.write_grants(&active).await.expect("grants are written again");
    }
    let other = one(entitlements, &fleet, &fixtures.vid()).await;
    assert_eq!(other, None, "a vehicle outside the subscription is not granted");
    assert_eq!(one(entitlements, &fixtures.fleet_id(), &vids[0]).await, None, "another fleet is not entitled");
}

async fn two_subscriptions_are_two_grants_of_one_entitlement(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let (fleet, vid) = (fixtures.fleet_id(), fixtures.vid());
    let mut grants = Vec::new();
    for package in ["telematics", "track-and-trace"] {
        let pending = fixtures.subscription(&fleet, vec![vid.clone()], &[package]);
        grants.push(Grant::for_subscription(&activated(subscriptions, pending).await));
    }
    grants.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    let mut found = one(entitlements, &fleet, &vid).await.expect("the vehicle is granted");
    found.grants.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    assert_eq!(found.grants, grants, "two subscriptions to a vehicle are two grants of one entitlement");
    assert_eq!(by_vehicle(entitlements, &vid).await.len(), 1, "a vehicle lists a fleet once");
    assert_eq!(pages(entitlements, &fleet, 1).await.len(), 1, "a fleet lists a vehicle once, even in pages of 1");
}

async fn all_fleets_of_a_vehicle_are_found(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let vid = fixtures.vid();
    let mut fleets = Vec::new();
    for _ in 0..3 {
        let pending = fixtures.subscription(&fixtures.fleet_id(), vec![vid.clone()], &["alerts"]);
        fleets.push(activated(subscriptions, pending).await.fleet_id);
    }
    fleets.sort();
    let mut found: Vec<FleetId> =
        by_vehicle(entitlements, &vid).await.into_iter().map(|entitlement| entitlement.fleet_id).collect();
    found.sort();
    assert_eq!(found, fleets, "every fleet that is entitled to a vehicle is found once");
}

async fn pages_contain_each_entitlement_once(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let fleet = fixtures.fleet_id();
    let mut vids: Vec<VehicleId> = (0..6).map(|_| fixtures.vid()).collect();
    // Each entitlement has two grants: a page counts vehicles, not grants.
    for package in ["telematics", "track-and-trace"] {
        activated(subscriptions, fixtures.subscription(&fleet, vids.clone(), &[package])).await;
    }
    vids.sort();
    for limit in 1..=vids.len() + 1 {
        let listed = pages(entitlements, &fleet, limit).await;
        let found: Vec<&VehicleId> = listed.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(found, vids.iter().collect::<Vec<_>>(), "pages of {limit} contain every vehicle once, ordered by id");
        assert!(listed.iter().all(|entitlement| entitlement.grants.len() == 2), "pages of {limit} split no entitlement");
    }
}

async fn built_in_packages_exist(entitlements: &impl Entitlements) {
    let packages = entitlements.packages().await.expect("packages succeeds");
    for built_in in Packages::built_in().iter() {
        assert!(packages.get(built_in.name.as_str()).is_some(), "the built-in package {} exists", built_in.name);
    }
}

async fn removed_grants_raise_the_epoch(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    // More vehicles than any service writes in one request.
    let mut vids: Vec<VehicleId> = (0..120).map(|_| fixtures.vid()).collect();
    vids.sort();
    let fleet = fixtures.fleet_id();
    let active = activated(subscriptions, fixtures.subscription(&fleet, vids.clone(), &["telematics", "alerts"])).await;
    let (removed, kept) = vids.split_at(60);
    let narrowed = Grant {
        packages: vec!["alerts".parse().expect("a package name")],
        validity: Validity { valid_from: NOON.plus_ms(10), valid_until: Some(NOON.plus_ms(20)) },
        suspended: true,
        ..Grant::for_subscription(&active)
    };
    let before = entitlements.version().await.expect("version succeeds");
    subscriptions.narrow_grants(&active, removed, None).await.expect("grants are removed");
    let between = entitlements.version().await.expect("version succeeds");
    assert_ne!(before, between, "removing grants changes the version");
    subscriptions.narrow_grants(&active, &kept[..50], Some(&narrowed)).await.expect("grants are narrowed");
    assert_ne!(between, entitlements.version().await.expect("version succeeds"), "narrowing grants changes the version");

    for times in ["once", "twice"] {
        let by_fleet = pages(entitlements, &fleet, 7).await;
        let listed: Vec<&VehicleId> = by_fleet.iter().map(|entitlement| &entitlement.vid).collect();
        assert_eq!(listed, kept.iter().collect::<Vec<_>>(), "a fleet lists the remaining vehicles, narrowed {times}");
        for vid in [&removed[0], &removed[59]] {
            assert_eq!(
                one(entitlements, &fleet, vid).await,
                None,
                "a grant removed {times} is not found by fleet and vehicle"
            );
            assert!(by_vehicle(entitlements, vid).await.is_empty(), "a grant removed {times} is not found by vehicle");
        }
        for vid in [&kept[0], &kept[49]] {
            let found = one(entitlements, &fleet, vid).await.expect("the narrowed grant is found");
            assert_eq!(found.grants, std::slice::from_ref(&narrowed), "a narrowed grant is returned unchanged");
            assert!(found.epoch >= 1, "narrowing raises the epoch");
            assert!(
                by_fleet.contains(&found),
                "the list by fleet and the single read agree on a narrowed grant and its epoch"
            );
            assert_eq!(by_vehicle(entitlements, vid).await, [found], "the list by vehicle and the single read agree");
        }
        let untouched = one(entitlements, &fleet, &kept[59]).await.expect("an unaffected grant is found");
        assert_eq!(
            (untouched.epoch, untouched.grants),
            (0, vec![Grant::for_subscription(&active)]),
            "an unaffected grant is unchanged"
        );
        subscriptions.narrow_grants(&active, removed, None).await.expect("grants are removed again");
        subscriptions.narrow_grants(&active, &kept[..50], Some(&narrowed)).await.expect("grants are narrowed again");
    }

    let raised = one(entitlements, &fleet, &kept[0]).await.expect("the grant is found").epoch;
    subscriptions.write_grants(&active).await.expect("grants are written again");
    let found = one(entitlements, &fleet, &kept[0]).await.expect("the grant is found");
    assert_eq!((found.epoch, found.grants), (raised, vec![Grant::for_subscription(&active)]), "widening keeps the epoch");
    let restored = one(entitlements, &fleet, &removed[0]).await.expect("a removed grant can be restored");
    assert!(restored.epoch >= 1, "the epoch remains after the grants are removed");
}

async fn narrowing_affects_only_one_subscription(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let (fleet, vid) = (fixtures.fleet_id(), fixtures.vid());
    let first = activated(subscriptions, fixtures.subscription(&fleet, vec![vid.clone()], &["telematics"])).await;
    let second = activated(subscriptions, fixtures.subscription(&fleet, vec![vid.clone()], &["alerts"])).await;
    let other = activated(subscriptions, fixtures.subscription(&fixtures.fleet_id(), vec![vid.clone()], &["alerts"])).await;
    // A request may contain a vehicle twice.
    subscriptions.narrow_grants(&first, &[vid.clone(), vid.clone()], None).await.expect("grants are removed");
    let remaining = one(entitlements, &fleet, &vid).await.expect("the other subscription remains");
    assert_eq!(remaining.grants, [Grant::for_subscription(&second)], "the grant of the other subscription remains");
    let other_fleet = one(entitlements, &other.fleet_id, &vid).await.expect("the other fleet is entitled");
    assert_eq!(
        (other_fleet.epoch, other_fleet.grants),
        (0, vec![Grant::for_subscription(&other)]),
        "the entitlement of another fleet is unchanged"
    );
}

async fn older_version_cannot_change_grants(
    subscriptions: &impl Subscriptions,
    entitlements: &impl Entitlements,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let old = activated(subscriptions, fixtures.subscription(&fixtures.fleet_id(), vec![fixtures.vid()], &["alerts"])).await;
    let (fleet, vid) = (&old.fleet_id, &old.vehicles[0]);
    subscriptions.claim_version(&old).await.expect("the next version is claimed");
    for rejected in [subscriptions.narrow_grants(&old, &old.vehicles, None).await, subscriptions.write_grants(&old).await] {
        let rejected = rejected.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "changing grants with an older version is a conflict");
    }
    assert!(one(entitlements, fleet, vid).await.is_some(), "a rejected narrowing removes nothing");

    let claimed = Subscription { version: old.version + 1, ..old.clone() };
    subscriptions.narrow_grants(&claimed, &old.vehicles, None).await.expect("grants are removed");
    let revoked = Subscription { state: SubscriptionState::Revoked, ..claimed };
    subscriptions.update(&revoked, &fixtures.change(&revoked.fleet_id)).await.expect("the subscription is revoked");
    let revoked = Subscription { version: revoked.version + 1, ..revoked };
    for late in [&old, &revoked] {
        let rejected = subscriptions.write_grants(late).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "writing grants of a revoked subscription is a conflict");
    }
    assert_eq!(one(entitlements, fleet, vid).await, None, "a rejected grant is not stored");
}

/// Activates a subscription: its grants are visible once both its state and its grants are written.
async fn every_change_changes_the_version(
    entitlements: &impl Entitlements,
    subscriptions: &impl Subscriptions,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let before = entitlements.version().await.expect("version succeeds");
    let (fleet_id, vid) = (fixtures.fleet_id(), fixtures.vid());
    activated(subscriptions, fixtures.subscription(&fleet_id, vec![vid], &["alerts"])).await;
    let after = entitlements.version().await.expect("version succeeds");
    assert_ne!(before, after, "adding grants changes the version");
}

async fn activated(subscriptions: &impl Subscriptions, pending: Subscription) -> Subscription {
    use SubscriptionState::{Active, Pending, Provisioning};
    let change = Change::subscription_changed(Author::Provisioning, None, &pending);
    subscriptions.create(&pending, &change).await.expect("a new subscription is created");
    let provisioning = Subscription { state: Provisioning, ..pending };
    subscriptions.replace(&provisioning, Pending).await.expect("the subscription is provisioned");
    let active = Subscription { state: Active, version: provisioning.version + 1, ..provisioning };
    subscriptions.write_grants(&active).await.expect("its grants are written");
    subscriptions.replace(&active, Provisioning).await.expect("the subscription becomes active");
    Subscription { version: active.version + 1, ..active }
}

async fn by_vehicle(entitlements: &impl Entitlements, vid: &VehicleId) -> Vec<Entitlement> {
    entitlements.list_by_vehicle(vid).await.expect("list_by_vehicle succeeds")
}

async fn one(entitlements: &impl Entitlements, fleet: &FleetId, vid: &VehicleId) -> Option<Entitlement> {
    let found = entitlements.entitlement(fleet, vid).await.expect("entitlement succeeds");
    // A missing entitlement and one without grants are equivalent.
    found.filter(|entitlement| !entitlement.grants.is_empty())
}

async fn pages(entitlements: &impl Entitlements, fleet: &FleetId, limit: usize) -> Vec<Entitlement> {
    let mut listed: Vec<Entitlement> = Vec::new();
    loop {
        let after = listed.last().map(|last| last.vid.clone());
        let page = entitlements.list_by_fleet(fleet, after.as_ref(), limit).await.expect("list_by_fleet succeeds");
        assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
        let is_full = page.len() == limit;
        assert!(
            page.first().is_none_or(|first| after.is_none_or(|after| first.vid > after)),
            "a page starts after the previous one"
        );
        listed.extend(page);
        if !is_full {
            return listed;
        }
    }
}
