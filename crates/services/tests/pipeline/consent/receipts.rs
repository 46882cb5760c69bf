//! Receipts: when a subscription was active and what was delivered.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_services::authz::Reader;
use roadcast_services::fleets::Transition;
use roadcast_services::fleets::receipts::{Deliveries, Period, Receipt, Receipts};
use roadcast_testbed::{FaultPlan, InMemory};

use super::{only_subscription, request};
use crate::fixture::{PipelineFixture, admin, admin_of, client_of};

#[tokio::test]
async fn receipt_shows_active_periods_and_deliveries_after_revocation() {
    let pipeline = PipelineFixture::new(63);
    let (vid, other) = (pipeline.vehicle("v").await, pipeline.vehicle("o").await);
    let fleet = pipeline.fleet(&[vid.clone(), other.clone()], &["telematics"]).await;
    let start = pipeline.clock.now();
    let before = only_subscription(&pipeline, &fleet).await;
    let id = &before.subscription_id;
    let mut delivered = Vec::new();
    for name in ["a", "b"] {
        pipeline.clock.advance_ms(60_000);
        delivered.push(pipeline.clock.now());
        pipeline.upload(&vid, name, &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
    }
    // A vehicle that was removed from the subscription remains in the receipt.
    let fewer = request(std::slice::from_ref(&vid), &["telematics"], DeliveryFormat::Json);
    pipeline.onboarding().replace_subscription(&admin(), &fleet, id, fewer, before.version).await.unwrap();
    pipeline.clock.advance_ms(60_000);
    pipeline.onboarding().transition_subscription(&admin(), &fleet, id, Transition::Revoke).await.unwrap();
    let end = pipeline.clock.now();
    pipeline.clock.advance_ms(60_000);

    let memory = || pipeline.memory.clone();
    let (fleets, subscriptions, index, clock) = (memory(), memory(), memory(), pipeline.clock.clone());
    let receipts = Receipts::<InMemory> { fleets, subscriptions, index, clock };
    let own = client_of::<Reader>(&fleet).of_fleet(&fleet).unwrap();
    let receipt = receipts.receipt(&own, id, None, None).await.unwrap();
    assert_eq!(receipt.active, [Period { from: start, to: Some(end) }]);
    assert_eq!(receipt.audited, Period { from: start, to: Some(pipeline.clock.now()) });
    assert_eq!(receipt.counted, Period { from: start, to: Some(pipeline.clock.now()) });
    let mut expected = vec![
        Deliveries { vid: vid.clone(), events: 2, first: Some(delivered[0]), last: Some(delivered[1]) },
        Deliveries { vid: other, events: 0, first: None, last: None },
    ];
    expected.sort_by(|a, b| a.vid.cmp(&b.vid));
    assert_eq!(receipt.vehicles, expected);

    let second = receipts.receipt(&admin_of(&fleet), id, Some(delivered[1]), Some(end)).await.unwrap();
    assert_eq!(second.vehicles.iter().map(|vehicle| vehicle.events).sum::<usize>(), 1);
}

/// Records changes of the fleet, one per second.
async fn change_fleet(pipeline: &PipelineFixture, fleet_id: &FleetId, changes: u64) {
    let stored = pipeline.memory.get(fleet_id).await.unwrap().unwrap();
    for version in 0..changes {
        pipeline.clock.advance_ms(1000);
        let before = Fleet { version: stored.version + version, ..stored.clone() };
        let after = Fleet { name: format!("A fleet, {version}"), ..before.clone() };
        let change = Change::fleet_changed(Author::Provisioning, Some(&before), &after, pipeline.clock.now());
        pipeline.memory.update(&after, &change).await.unwrap();
    }
}

/// Returns the receipt of a subscription that was active during `changes` changes of its fleet and was revoked then, and the
/// start and the end of that time.
async fn receipt_after(changes: u64) -> (Receipt, [Timestamp; 2]) {
    let pipeline = PipelineFixture::new(63);
    let (vid, other) = (pipeline.vehicle("v").await, pipeline.vehicle("o").await);
    let fleet = pipeline.fleet(&[vid.clone(), other], &["telematics"]).await;
    let start = pipeline.clock.now();
    let before = only_subscription(&pipeline, &fleet).await;
    let fewer = request(&[vid], &["telematics"], DeliveryFormat::Json);
    let id = &before.subscription_id;
    pipeline.onboarding().replace_subscription(&admin(), &fleet, id, fewer, before.version).await.unwrap();
    change_fleet(&pipeline, &fleet, changes).await;
    pipeline.onboarding().transition_subscription(&admin(), &fleet, id, Transition::Revoke).await.unwrap();
    let end = pipeline.clock.now();
    change_fleet(&pipeline, &fleet, 200).await;
    let memory = || pipeline.memory.clone();
    let (fleets, subscriptions, index, clock) = (memory(), memory(), memory(), pipeline.clock.clone());
    let receipts = Receipts::<InMemory> { fleets, subscriptions, index, clock };
    (receipts.receipt(&admin_of(&fleet), id, None, None).await.unwrap(), [start, end])
}

#[tokio::test]
async fn receipt_is_exact_beyond_5000_changes_of_the_fleet() {
    let (receipt, [start, end]) = receipt_after(6_000).await;
    assert_eq!(receipt.audited.from, start, "all changes were read");
    assert_eq!(receipt.active, [Period { from: start, to: Some(end) }]);
    assert_eq!(receipt.vehicles.len(), 2, "a vehicle that was removed long ago is listed");
}

#[tokio::test]
async fn receipt_states_the_period_that_it_could_read() {
    let (receipt, [start, end]) = receipt_after(51_000).await;
    let from = receipt.audited.from;
    assert!(start < from && from < end, "{from}");
    assert_eq!(receipt.active, [Period { from, to: Some(end) }], "active at the start of that period");
    assert_eq!(receipt.vehicles.len(), 1);
}
