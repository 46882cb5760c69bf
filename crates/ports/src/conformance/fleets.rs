//! [`Fleets`], alone and together with their clients and subscriptions.

use roadcast_domain::fleet::{ClientRole, FeedDisposition, Fleet, FleetState};
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clients::Clients;
use crate::clock::Randomness;
use crate::fleets::{FleetCreation, Fleets};
use crate::subscriptions::Subscriptions;

/// Checks every implementation of [`Fleets`].
pub async fn fleets(fleets: &impl Fleets, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let mine = [fixtures.fleet("bus-a"), fixtures.fleet("bus-b"), fixtures.fleet("bus-a")];
    for fleet in &mine {
        assert_eq!(
            fleets.get(&fleet.fleet_id).await.expect("get succeeds"),
            None,
            "a fleet does not exist before it is created"
        );
        fleets.create(fleet, &fixtures.change(&fleet.fleet_id)).await.expect("a new fleet is created");
        let stored = fleets.get(&fleet.fleet_id).await.expect("get succeeds");
        assert_eq!(stored.as_ref(), Some(fleet), "a fleet is returned unchanged");
    }

    let duplicate = Fleet { name: "other".to_owned(), ..mine[0].clone() };
    let rejected = fleets.create(&duplicate, &fixtures.change(&duplicate.fleet_id)).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Conflict), "an existing id is a conflict");
    let stored = fleets.get(&mine[0].fleet_id).await.expect("get succeeds");
    assert_eq!(stored.as_ref(), Some(&mine[0]), "a rejected fleet changes nothing");

    let [first, second, mut third] = mine;
    let offboarding = first.begin_offboarding(FeedDisposition::Drain, NOON);
    fleets.update(&offboarding, &fixtures.change(&offboarding.fleet_id)).await.expect("a fleet is updated at its version");
    let late = fleets.update(&offboarding, &fixtures.change(&offboarding.fleet_id)).await.map_err(|error| error.kind());
    assert_eq!(late, Err(PortErrorKind::Conflict), "updating an older version is a conflict");
    let offboarded = Fleet { version: 2, ..offboarding };
    let stored = fleets.get(&offboarded.fleet_id).await.expect("get succeeds");
    assert_eq!(stored.as_ref(), Some(&offboarded), "the update is stored as the next version");
    third.fleet_id = fixtures.fleet_id();
    let unknown = fleets.update(&third, &fixtures.change(&third.fleet_id)).await.map_err(|error| error.kind());
    assert_eq!(unknown, Err(PortErrorKind::Conflict), "updating an unknown fleet is a conflict");
    let mine = [offboarded, second];

    for limit in [1, 2, 1000] {
        let mut listed: Vec<Fleet> = Vec::new();
        loop {
            let page = fleets.list(listed.last().map(|fleet| &fleet.fleet_id), limit).await.expect("list succeeds");
            assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert!(listed.is_sorted_by(|a, b| a.fleet_id < b.fleet_id), "fleets are listed once, ordered by id");
        for fleet in &mine {
            assert!(listed.contains(fleet), "every fleet is listed unchanged");
        }
    }
}

/// Checks that every implementation of [`Fleets`] limits the fleets on a bus, also if they are created concurrently.
pub async fn places_on_buses(fleets: &impl Fleets, random: &impl Randomness) {
    const PLACES: u32 = 3;
    let fixtures = Fixtures::new(random);
    let bus = format!("bus-{}", fixtures.fleet_id());
    let count = async || fleets.bus_counts().await.expect("the buses are read").get(&bus).copied();
    assert_eq!(count().await, None, "a bus that never had a fleet is absent");
    let new: Vec<Fleet> = (0..6).map(|_| fixtures.fleet(&bus)).collect();
    let create = async |fleet: &Fleet| {
        fleets.create_within(fleet, PLACES, &fixtures.change(&fleet.fleet_id)).await.expect("a fleet is created")
    };
    let created = futures::future::join_all(new.iter().map(create)).await;
    let placed: Vec<Fleet> =
        new.into_iter().zip(&created).filter(|(_, of)| **of == FleetCreation::Created).map(|(fleet, _)| fleet).collect();
    assert_eq!(placed.len(), 3, "as many fleets as the bus has places: {created:?}");
    assert_eq!(count().await, Some(PLACES), "each fleet takes a place");

    let refused = fixtures.fleet(&bus);
    assert_eq!(create(&refused).await, FleetCreation::BusFull, "a full bus takes no fleet");
    let stored = fleets.get(&refused.fleet_id).await.expect("get succeeds");
    assert_eq!(stored, None, "a refused fleet is not stored");
    let again = fleets.create_within(&placed[0], PLACES, &fixtures.change(&placed[0].fleet_id)).await;
    assert_eq!(again.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "an existing id is a conflict");

    let offboarded = placed[0].clone().begin_offboarding(FeedDisposition::Discard, NOON).finish_offboarding();
    fleets.release_bus(&offboarded, &fixtures.change(&offboarded.fleet_id)).await.expect("the place is freed");
    let late = fleets.release_bus(&offboarded, &fixtures.change(&offboarded.fleet_id)).await;
    assert_eq!(late.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "a place is freed once");
    assert_eq!(count().await, Some(PLACES - 1), "the bus has a place again");
    let stored = fleets.get(&offboarded.fleet_id).await.expect("get succeeds").expect("the fleet exists");
    assert_eq!(stored, Fleet { version: 2, ..offboarded }, "the fleet is stored without a place");
    assert_eq!(create(&refused).await, FleetCreation::Created, "the freed place is used");
}

/// Checks [`Fleets`], [`Clients`] and [`Subscriptions`] on the same store during the offboarding of a fleet.
pub async fn offboarding_fleets(
    fleets: &impl Fleets,
    clients: &impl Clients,
    subscriptions: &impl Subscriptions,
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    let fleet = fixtures.fleet("bus");
    fleets.create(&fleet, &fixtures.change(&fleet.fleet_id)).await.expect("a new fleet is created");
    let change = || fixtures.change(&fleet.fleet_id);
    let client = || fixtures.client(ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() });
    let subscription = || fixtures.subscription(&fleet.fleet_id, vec![fixtures.vid()], &["alerts"]);
    let (existing_client, existing_subscription) = (client(), subscription());
    clients.put(&existing_client, &change()).await.expect("an active fleet accepts a client");
    subscriptions.create(&existing_subscription, &change()).await.expect("an active fleet accepts a subscription");

    let offboarding = fleet.clone().begin_offboarding(FeedDisposition::Drain, NOON);
    fleets.update(&offboarding, &fixtures.change(&offboarding.fleet_id)).await.expect("the offboarding starts");
    let offboarded = Fleet { state: FleetState::Offboarded, version: 2, ..offboarding };
    for state in ["offboarding", "offboarded"] {
        let rejected = clients.put(&client(), &change()).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "an {state} fleet accepts no client");
        let rejected = subscriptions.create(&subscription(), &change()).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "an {state} fleet accepts no subscription");
        if state == "offboarding" {
            fleets.update(&offboarded, &fixtures.change(&offboarded.fleet_id)).await.expect("the offboarding completes");
        }
    }
    let revoked = Subscription { state: SubscriptionState::Revoked, ..existing_subscription };
    subscriptions.update(&revoked, &change()).await.expect("an existing subscription can be revoked");
    clients.remove(&existing_client, &change()).await.expect("an existing client can be removed");
}
