//! Changing a subscription: where it may stop, who may not undo it, and what is told of it afterwards.

use roadcast_domain::audit::{Author, Change, Changed};
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::subscription::{DeliveryFormat, SubscriptionState};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::ServiceError;
use roadcast_services::fleets::Transition;
use roadcast_services::fleets::receipts::{Deliveries, Period, Receipts};
use roadcast_testbed::{Fault, FaultPlan};

use super::{PACKAGES, only, request};
use crate::world::{World, admin};

/// What a subscription is asked, in [`a_change_that_stops_anywhere_shows_no_more_than_the_record_says_and_a_repeat_ends_it`].
#[derive(Copy, Clone, Debug)]
enum Asked {
    Transition(Transition),
    Fewer,
    Wider,
}

#[tokio::test]
async fn a_change_that_stops_anywhere_shows_no_more_than_the_record_says_and_a_repeat_ends_it() {
    let moves = [Transition::Suspend, Transition::Resume, Transition::Revoke].map(Asked::Transition);
    for change in moves.into_iter().chain([Asked::Fewer, Asked::Wider]) {
        for (step, fault) in (0..7).flat_map(|step| [Fault::Unavailable, Fault::LostAnswer].map(|fault| (step, fault))) {
            let world = World::new(60);
            let vehicles = [world.vehicle("a").await, world.vehicle("b").await, world.vehicle("c").await];
            let fleet = world.fleet(&vehicles[..2], &["telematics"]).await;
            let id = only(&world, &fleet).await.subscription_id;
            if matches!(change, Asked::Transition(Transition::Resume)) {
                world.onboard().move_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
            }
            let plan = FaultPlan::script((0..step).map(|_| None).chain([Some(fault)]));
            let (mut done, mut onboard) = (false, world.onboard_with(plan));
            while !done {
                let version = only(&world, &fleet).await.version;
                let (wanted, packages) = match change {
                    Asked::Fewer => (&vehicles[1..], &PACKAGES[1..]),
                    _ => (&vehicles[..], &PACKAGES[..]),
                };
                let request = request(wanted, packages, DeliveryFormat::Json);
                done = match change {
                    Asked::Transition(step) => onboard.move_subscription(&admin(), &fleet, &id, step).await.is_ok(),
                    _ => onboard.replace_subscription(&admin(), &fleet, &id, request, version).await.is_ok(),
                };
                no_more_than_the_record(&world, &fleet, &vehicles, &format!("{change:?} {step} {fault:?}")).await;
                onboard = world.onboard();
            }
            let record = only(&world, &fleet).await;
            let granted = world.memory.of_fleet(&fleet, None, 10).await.unwrap();
            let vids: Vec<&VehicleId> = granted.iter().map(|entitlement| &entitlement.vid).collect();
            let mut expected: Vec<&VehicleId> = record.grant().iter().flat_map(|_| &record.vehicles).collect();
            expected.sort();
            assert_eq!(vids, expected, "{change:?} {step} {fault:?}");
            let grant = Grant::of(&record);
            assert!(granted.iter().all(|entitlement| entitlement.grants == [grant.clone()]), "{change:?} {step} {fault:?}");
        }
    }
}

#[tokio::test]
async fn who_read_a_subscription_before_a_change_began_grants_nothing_any_more() {
    for step in [Transition::Suspend, Transition::Revoke] {
        let world = World::new(61);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let read_before = only(&world, &fleet).await;
        // The version is claimed and the grants are narrowed, and there it stops.
        let onboard = world.onboard_with(FaultPlan::script([None, None, None, Some(Fault::Unavailable)]));
        let id = &read_before.subscription_id;
        assert!(onboard.move_subscription(&admin(), &fleet, id, step).await.is_err());
        assert_eq!(only(&world, &fleet).await.state, SubscriptionState::Active);
        let refused = world.memory.write_grants(&read_before).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "{step:?}");
        let left = world.memory.of_fleet_to_vehicle(&fleet, &vid).await.unwrap();
        assert!(left.is_none_or(|left| !left.is_live(world.clock.now())), "{step:?}");
    }
}

async fn no_more_than_the_record(world: &World, fleet: &FleetId, vehicles: &[VehicleId], when: &str) {
    let record = only(world, fleet).await;
    for vid in vehicles {
        let Some(entitlement) = world.memory.of_fleet_to_vehicle(fleet, vid).await.unwrap() else { continue };
        let said = record.grant().filter(|_| record.vehicles.contains(vid));
        let within = said.is_some_and(|said| entitlement.grants.iter().all(|grant| !grant.exceeds(&said)));
        assert!(within, "{when}: {vid} is granted {:?}, and the record says {record:?}", entitlement.grants);
    }
}

#[tokio::test]
async fn every_change_is_told_with_who_made_it_and_a_repeat_is_none() {
    use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
    let world = World::new(62);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only(&world, &fleet).await.subscription_id;
    for step in [Transition::Suspend, Transition::Suspend, Transition::Resume, Transition::Revoke, Transition::Revoke] {
        world.clock.advance_ms(1);
        world.onboard().move_subscription(&admin(), &fleet, &id, step).await.unwrap();
    }
    let trail = world.onboard().changes(&admin(), &fleet, None, 100).await.unwrap();
    let states: Vec<_> = trail.iter().rev().filter_map(Change::state).collect();
    assert_eq!(states, [Pending, Provisioning, Active, Suspended, Active, Revoked]);
    let by_admin = Author::Admin { client_id: ClientId::new("admin") };
    let workflow = &Author::Provisioning;
    // The app client that provisioning made was made in the same millisecond as all else, and stands anywhere in it.
    let (clients, others): (Vec<&Change>, Vec<&Change>) =
        trail.iter().rev().partition(|change| matches!(change.of, Changed::Client { .. }));
    assert_eq!(clients.iter().map(|change| &change.by).collect::<Vec<_>>(), [workflow]);
    let by: Vec<&Author> = others.iter().map(|change| &change.by).collect();
    // The fleet itself comes first.
    assert_eq!(by, [&by_admin, &by_admin, workflow, workflow, &by_admin, &by_admin, &by_admin]);
    for caller in [Caller::Fleet(fleet.clone()), Caller::Ingest(ClientId::new("i"))] {
        let refused = world.onboard().changes(&caller, &fleet, None, 10).await;
        assert!(matches!(refused, Err(ServiceError::Forbidden(_))), "{caller:?}");
    }
}

#[tokio::test]
async fn a_receipt_tells_when_it_was_active_and_what_was_delivered_also_after_its_end() {
    let world = World::new(63);
    let (vid, other) = (world.vehicle("v").await, world.vehicle("o").await);
    let fleet = world.fleet(&[vid.clone(), other.clone()], &["telematics"]).await;
    let began = world.clock.now();
    let before = only(&world, &fleet).await;
    let id = &before.subscription_id;
    let mut delivered = Vec::new();
    for name in ["a", "b"] {
        world.clock.advance_ms(60_000);
        delivered.push(world.clock.now());
        world.upload(&vid, name, &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
    }
    // A vehicle that was taken out is told of still.
    let fewer = request(std::slice::from_ref(&vid), &["telematics"], DeliveryFormat::Json);
    world.onboard().replace_subscription(&admin(), &fleet, id, fewer, before.version).await.unwrap();
    world.clock.advance_ms(60_000);
    world.onboard().move_subscription(&admin(), &fleet, id, Transition::Revoke).await.unwrap();
    let ended = world.clock.now();
    world.clock.advance_ms(60_000);

    let memory = || world.memory.clone();
    let receipts = Receipts { fleets: memory(), subscriptions: memory(), index: memory(), clock: world.clock.clone() };
    let caller = Caller::Fleet(fleet.clone());
    let receipt = receipts.receipt(&caller, &fleet, id, None, None).await.unwrap();
    assert_eq!(receipt.active, [Period { from: began, to: Some(ended) }]);
    assert_eq!(receipt.counted, Period { from: began, to: Some(world.clock.now()) });
    let mut expected = vec![
        Deliveries { vid: vid.clone(), events: 2, first: Some(delivered[0]), last: Some(delivered[1]) },
        Deliveries { vid: other, events: 0, first: None, last: None },
    ];
    expected.sort_by(|a, b| a.vid.cmp(&b.vid));
    assert_eq!(receipt.vehicles, expected);

    let second = receipts.receipt(&admin(), &fleet, id, Some(delivered[1]), Some(ended)).await.unwrap();
    assert_eq!(second.vehicles.iter().map(|vehicle| vehicle.events).sum::<usize>(), 1);
    let stranger = Caller::Fleet(world.fleet(&[], &[]).await);
    assert!(matches!(receipts.receipt(&stranger, &fleet, id, None, None).await, Err(ServiceError::NotFound)));
}
