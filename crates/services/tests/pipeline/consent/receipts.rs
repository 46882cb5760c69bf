//! Receipts: when a subscription was active and what was delivered.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_services::authz::Reader;
use roadcast_services::fleets::Transition;
use roadcast_services::fleets::receipts::{Deliveries, Period, Receipt, Receipts};
use roadcast_testbed::{FaultPlan, InMemory};

use super::{only_subscription, request};
use crate::fixture::{PipelineFixture, admin, admin_of, client_of};

fn receipts_of(pipeline: &PipelineFixture) -> Receipts<InMemory> {
    let memory = || pipeline.memory.clone();
    Receipts {
        fleets: memory(),
        subscriptions: memory(),
        index: memory(),
        entitlements: memory(),
        clock: pipeline.clock.clone(),
    }
}

/// Returns the number of events in the receipt of a subscription to one vehicle.
pub(crate) async fn counted_events(pipeline: &PipelineFixture, fleet: &FleetId, id: &SubscriptionId) -> usize {
    let own = client_of::<Reader>(fleet).of_fleet(fleet).unwrap();
    receipts_of(pipeline).receipt(&own, id, None, None).await.unwrap().vehicles[0].events
}

#[tokio::test]
async fn receipt_counts_what_was_held_back_only_after_resuming() {
    for packages in [&["telematics"][..], &["telematics", "track-and-trace"]] {
        let pipeline = PipelineFixture::new(64);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), packages).await;
        // With another subscription, the fleet sees a part of each event.
        let other = request(std::slice::from_ref(&vid), &["track-and-trace"], DeliveryFormat::Json);
        let id = only_subscription(&pipeline, &fleet).await.subscription_id;
        let sees_a_part = packages.len() > 1;
        if sees_a_part {
            pipeline.subscribe(&fleet, other).await;
        }
        let counted = async || counted_events(&pipeline, &fleet, &id).await;
        pipeline.upload(&vid, "before", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(10_000);
        assert_eq!(counted().await, 1);
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
        for name in ["a", "b", "c", "d", "e"] {
            pipeline.clock.advance_ms(10_000);
            pipeline.upload(&vid, name, &[(5, 50.0)]).await;
            pipeline.process_all(|_| FaultPlan::healthy()).await;
        }
        pipeline.clock.advance_ms(10_000);
        assert_eq!(counted().await, if sees_a_part { 6 } else { 1 }, "five events are held back");
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Resume).await.unwrap();
        pipeline.clock.advance_ms(10_000);
        assert_eq!(counted().await, 6, "the events are delivered now");
    }
}

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

    let receipts = receipts_of(&pipeline);
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
    let receipts = receipts_of(&pipeline);
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
