//! Receipts: when a subscription was active and what was delivered.

use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock as _;
use roadcast_services::authz::Reader;
use roadcast_services::fleets::Transition;
use roadcast_services::fleets::receipts::{Deliveries, Period, Receipts};
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
