//! A fleet sees what its subscriptions cover at that moment, and no less: what is suspended goes on without a gap, and what is
//! taken away is gone.

mod changes;
mod entitlement_histories;

use std::collections::BTreeSet;

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState};
use roadcast_ports::clock::Clock as _;
use roadcast_services::ServiceError;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::EventsRange;
use roadcast_services::query::arrivals::{ArrivalPosition, ArrivalsRange};
use roadcast_testbed::FaultPlan;

use crate::world::{World, admin};

const SPEED: &str = "Vehicle.Speed";
const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";
const LONGITUDE: &str = "Vehicle.CurrentLocation.Longitude";
const PACKAGES: [&str; 2] = ["telematics", "track-and-trace"];

fn request(vehicles: &[VehicleId], packages: &[&str], format: DeliveryFormat) -> SubscriptionRequest {
    SubscriptionRequest {
        vehicles: vehicles.to_vec(),
        packages: packages.iter().map(|&name| name.to_owned()).collect(),
        delivery_format: format,
        valid_from: None,
        valid_until: None,
    }
}

/// The fleet's only subscription.
async fn only(world: &World, fleet: &FleetId) -> Subscription {
    world.onboard().subscriptions(&admin(), fleet, None, 10).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_suspended_subscription_shows_nothing_and_goes_on_without_a_gap() {
    for seed in [50, 51] {
        let world = World::new(seed);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let id = only(&world, &fleet).await.subscription_id;
        let moved = async |step| world.onboard().move_subscription(&admin(), &fleet, &id, step).await.unwrap().state;
        world.upload(&vid, "queued", &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        assert_eq!(moved(Transition::Suspend).await, SubscriptionState::Suspended);
        world.upload(&vid, "meanwhile", &[(50, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;

        assert!(world.drain(&fleet).await.is_empty());
        assert_eq!(world.memory.queued(&fleet).len(), 2, "what is held back stays in the queue");
        let range = EventsRange::between(vid.clone(), None, None, 10);
        let caller = Caller::Fleet(fleet.clone());
        assert!(matches!(world.query().events(&caller, &range).await, Err(ServiceError::NotFound)));

        assert_eq!(moved(Transition::Suspend).await, SubscriptionState::Suspended, "repeating it is no error");
        assert_eq!(moved(Transition::Resume).await, SubscriptionState::Active);
        assert_eq!(moved(Transition::Resume).await, SubscriptionState::Active);
        world.clock.advance_ms(60_000);
        assert_eq!(world.drain(&fleet).await.len(), 2);
        assert_eq!(world.query().events(&caller, &range).await.unwrap().events.len(), 2);
    }
}

#[tokio::test]
async fn what_is_revoked_leaves_the_queue_and_never_comes_back() {
    let world = World::new(52);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only(&world, &fleet).await.subscription_id;
    world.upload(&vid, "queued", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    for _ in 0..2 {
        let revoked = world.onboard().move_subscription(&admin(), &fleet, &id, Transition::Revoke).await.unwrap();
        assert_eq!(revoked.state, SubscriptionState::Revoked, "repeating it is no error");
    }
    assert!(world.drain(&fleet).await.is_empty());
    assert!(world.memory.queued(&fleet).is_empty());
    for step in [Transition::Suspend, Transition::Resume] {
        let refused = world.onboard().move_subscription(&admin(), &fleet, &id, step).await;
        assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    }
    let request = request(&[vid], &["telematics"], DeliveryFormat::Json);
    let refused =
        world.onboard().replace_subscription(&admin(), &fleet, &id, request, only(&world, &fleet).await.version).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn an_event_of_which_part_is_held_back_comes_in_part_and_then_whole() {
    for seed in [54, 55] {
        let world = World::new(seed);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let position = request(std::slice::from_ref(&vid), &["track-and-trace"], world.delivery_format);
        let id = world.subscribe(&fleet, position).await;
        world.onboard().move_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
        world.upload(&vid, "a", &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from([SPEED.to_owned()]));
        assert!(world.drain(&fleet).await.is_empty(), "what was delivered does not come again with what is held back");
        world.onboard().move_subscription(&admin(), &fleet, &id, Transition::Resume).await.unwrap();
        world.clock.advance_ms(60_000);
        let whole = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
        assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from(whole));
    }
}

#[tokio::test]
async fn an_event_that_lies_in_the_queue_twice_comes_in_its_fullest_form() {
    let world = World::new(57);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    world.upload(&vid, "a", &[(60, 50.0)]).await;
    // Published, but not stored: it is published again, to a fleet that may see less by then.
    world.process_without_log().await;
    for packages in [&PACKAGES[..1], &PACKAGES[..]] {
        let kept = only(&world, &fleet).await;
        let request = request(std::slice::from_ref(&vid), packages, world.delivery_format);
        world.onboard().replace_subscription(&admin(), &fleet, &kept.subscription_id, request, kept.version).await.unwrap();
        world.settle(|_| FaultPlan::healthy()).await;
    }
    assert_eq!(world.memory.queued(&fleet).len(), 2);
    let whole = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
    assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from(whole));
}

#[tokio::test]
async fn what_is_taken_away_is_unreadable_within_five_seconds_by_whoever_remembered_it() {
    let world = World::new(56);
    let (vid, other) = (world.vehicle("v").await, world.vehicle("o").await);
    let fleet = world.fleet(&[vid.clone(), other.clone()], &PACKAGES).await;
    let before = only(&world, &fleet).await;
    let began = ArrivalPosition::first_at(world.clock.now());
    for vid in [&vid, &other] {
        world.upload(vid, "a", &[(60, 50.0)]).await;
    }
    world.settle(|_| FaultPlan::healthy()).await;
    world.clock.advance_ms(20_000);
    let (query, deliver, arrivals) = (world.query(), world.deliver(), world.arrivals());
    let caller = Caller::Fleet(fleet.clone());
    let range = EventsRange::between(vid.clone(), None, None, 10);
    let arrived = ArrivalsRange { from: began, to: None, selection: Selection::default(), limit: 10 };
    // Each remembers.
    assert_eq!(query.events(&caller, &range).await.unwrap().events.len(), 1);
    assert_eq!(deliver.feed(&caller, &fleet, 10, 0).await.unwrap().events.len(), 2);
    assert_eq!(arrivals.page(&caller, &arrived).await.unwrap().events.len(), 2);

    let less = request(std::slice::from_ref(&other), &["track-and-trace"], world.delivery_format);
    let after =
        world.onboard().replace_subscription(&admin(), &fleet, &before.subscription_id, less, before.version).await.unwrap();
    assert!(after.version > before.version);
    world.clock.advance_ms(5_000);
    assert!(matches!(query.events(&caller, &range).await, Err(ServiceError::NotFound)));
    assert!(matches!(query.state(&caller, &vid).await, Err(ServiceError::NotFound)));
    let position = BTreeSet::from([LATITUDE, LONGITUDE].map(str::to_owned));
    let seen = arrivals.page(&caller, &arrived).await.unwrap().events;
    assert!(seen.iter().all(|event| event.vid == other) && crate::world::paths(&seen) == position);
    world.clock.advance_ms(60_000);
    let fed = deliver.feed(&caller, &fleet, 10, 0).await.unwrap();
    assert!(fed.events.iter().all(|delivered| delivered.event.vid == other && delivered.consent_epoch > 0));
    assert_eq!(
        crate::world::paths(&fed.events.iter().map(|delivered| delivered.event.clone()).collect::<Vec<_>>()),
        position
    );

    world.onboard().move_subscription(&admin(), &fleet, &before.subscription_id, Transition::Revoke).await.unwrap();
    world.clock.advance_ms(60_000);
    assert!(arrivals.page(&caller, &arrived).await.unwrap().events.is_empty());
    assert!(deliver.feed(&caller, &fleet, 10, 0).await.unwrap().events.is_empty());
    assert!(world.memory.queued(&fleet).is_empty());
}
