//! A fleet reads exactly what its subscriptions cover at the time of the read. A suspended subscription resumes without a
//! gap, and data that is no longer covered becomes unreadable.

mod audit_trail;
mod interrupted_changes;
mod random_histories;
mod receipts;

use std::collections::BTreeSet;
use std::time::Duration;

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::ServiceError;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::EventsRange;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_testbed::FaultPlan;

pub(crate) use receipts::counted_events;

use crate::fixture::{PipelineFixture, admin, admin_of, client_of, signal_paths};

const SPEED: &str = "Vehicle.Speed";
const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";
const LONGITUDE: &str = "Vehicle.CurrentLocation.Longitude";
const PACKAGES: [&str; 2] = ["telematics", "track-and-trace"];

fn request(vehicles: &[VehicleId], packages: &[&str], format: DeliveryFormat) -> SubscriptionRequest {
    SubscriptionRequest {
        vehicles: vehicles.to_vec(),
        packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
        delivery_format: format,
        valid_from: None,
        valid_until: None,
    }
}

/// Returns the fleet's only subscription.
async fn only_subscription(pipeline: &PipelineFixture, fleet: &FleetId) -> Subscription {
    pipeline.onboarding().subscriptions(&admin_of(fleet), None, 10).await.unwrap().remove(0)
}

#[tokio::test]
async fn suspended_subscription_shows_nothing_and_resumes_without_a_gap() {
    for seed in [50, 51] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let id = only_subscription(&pipeline, &fleet).await.subscription_id;
        let transition =
            async |step| pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, step).await.unwrap().state;
        pipeline.upload(&vid, "queued", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        assert_eq!(transition(Transition::Suspend).await, SubscriptionState::Suspended);
        pipeline.upload(&vid, "meanwhile", &[(50, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;

        assert!(pipeline.drain_feed(&fleet).await.is_empty());
        assert_eq!(pipeline.memory.queued(&fleet).len(), 2, "retained events stay in the queue");
        let range = EventsRange::between(vid.clone(), None, None, 10);
        let caller = client_of(&fleet);
        assert!(matches!(pipeline.queries().events(&caller, &range).await, Err(ServiceError::NotFound)));

        assert_eq!(
            transition(Transition::Suspend).await,
            SubscriptionState::Suspended,
            "a repeated transition is not an error"
        );
        assert_eq!(transition(Transition::Resume).await, SubscriptionState::Active);
        assert_eq!(transition(Transition::Resume).await, SubscriptionState::Active);
        pipeline.clock.advance_ms(60_000);
        assert_eq!(pipeline.drain_feed(&fleet).await.len(), 2);
        assert_eq!(pipeline.queries().events(&caller, &range).await.unwrap().events.len(), 2);
    }
}

#[tokio::test]
async fn feed_waits_past_messages_that_are_held_back() {
    let pipeline = PipelineFixture::new(58);
    let (hidden, shown) = (pipeline.vehicle("hidden").await, pipeline.vehicle("shown").await);
    let fleet = pipeline.fleet(std::slice::from_ref(&hidden), &["telematics"]).await;
    let id = only_subscription(&pipeline, &fleet).await.subscription_id;
    pipeline.subscribe(&fleet, request(std::slice::from_ref(&shown), &["telematics"], pipeline.delivery_format)).await;
    pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
    for name in ["a", "b", "c"] {
        pipeline.upload(&hidden, name, &[(10, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
    }
    pipeline.upload(&shown, "d", &[(10, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.memory.queued(&fleet).len(), 4);
    let options = ReceiveOptions { max: 1, wait_s: 5, timeout: Duration::from_secs(25) };
    let feed = pipeline.feed_reader().read(&client_of(&fleet), options).await.unwrap();
    assert_eq!(feed.events.iter().map(|delivered| &delivered.event.vid).collect::<Vec<_>>(), [&shown]);
}

#[tokio::test]
async fn revoked_data_leaves_the_queue_and_never_returns() {
    let pipeline = PipelineFixture::new(52);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only_subscription(&pipeline, &fleet).await.subscription_id;
    pipeline.upload(&vid, "queued", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    for _ in 0..2 {
        let revoked =
            pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Revoke).await.unwrap();
        assert_eq!(revoked.state, SubscriptionState::Revoked, "a repeated transition is not an error");
    }
    assert!(pipeline.drain_feed(&fleet).await.is_empty());
    assert!(pipeline.memory.queued(&fleet).is_empty());
    for step in [Transition::Suspend, Transition::Resume] {
        let refused = pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, step).await;
        assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    }
    let request = request(&[vid], &["telematics"], DeliveryFormat::Json);
    let refused = pipeline
        .onboarding()
        .replace_subscription(&admin(), &fleet, &id, request, only_subscription(&pipeline, &fleet).await.version)
        .await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn partly_suspended_event_is_delivered_in_part_and_then_entirely() {
    for seed in [54, 55] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let position = request(std::slice::from_ref(&vid), &["track-and-trace"], pipeline.delivery_format);
        let id = pipeline.subscribe(&fleet, position).await;
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
        pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        assert_eq!(signal_paths(&pipeline.drain_feed(&fleet).await), BTreeSet::from([SPEED.to_owned()]));
        assert!(pipeline.drain_feed(&fleet).await.is_empty(), "delivered signals are not repeated with the retained ones");
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Resume).await.unwrap();
        pipeline.clock.advance_ms(60_000);
        let all = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
        assert_eq!(signal_paths(&pipeline.drain_feed(&fleet).await), BTreeSet::from(all));
    }
}

#[tokio::test]
async fn duplicate_event_in_the_queue_is_delivered_with_all_its_signals() {
    let pipeline = PipelineFixture::new(57);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
    // Published but not stored: it is published again, when the fleet is entitled to fewer signals.
    pipeline.process_without_log().await;
    for packages in [&PACKAGES[..1], &PACKAGES[..]] {
        let stored = only_subscription(&pipeline, &fleet).await;
        let request = request(std::slice::from_ref(&vid), packages, pipeline.delivery_format);
        pipeline
            .onboarding()
            .replace_subscription(&admin(), &fleet, &stored.subscription_id, request, stored.version)
            .await
            .unwrap();
        pipeline.process_all(|_| FaultPlan::healthy()).await;
    }
    assert_eq!(pipeline.memory.queued(&fleet).len(), 2);
    let all = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
    assert_eq!(signal_paths(&pipeline.drain_feed(&fleet).await), BTreeSet::from(all));
}

#[tokio::test]
async fn withdrawn_data_is_unreadable_within_five_seconds_despite_caches() {
    let pipeline = PipelineFixture::new(56);
    let (vid, other) = (pipeline.vehicle("v").await, pipeline.vehicle("o").await);
    let fleet = pipeline.fleet(&[vid.clone(), other.clone()], &PACKAGES).await;
    let before = only_subscription(&pipeline, &fleet).await;
    let start = ArrivalPosition::first_at(pipeline.clock.now());
    for vid in [&vid, &other] {
        pipeline.upload(vid, "a", &[(60, 50.0)]).await;
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    pipeline.clock.advance_ms(20_000);
    let (states, feed_reader, fleet_events) = (pipeline.states(), pipeline.feed_reader(), pipeline.fleet_events());
    let (caller, owner) = (client_of(&fleet), client_of(&fleet));
    let range = EventsRange::between(vid.clone(), None, None, 10);
    let arrived = FleetEventsRange { from: start, to: None, selection: Selection::default(), limit: 10 };
    // Each of them fills its cache.
    assert_eq!(states.queries.events(&caller, &range).await.unwrap().events.len(), 1);
    assert_eq!(feed_reader.read(&owner, ReceiveOptions::default()).await.unwrap().events.len(), 2);
    assert_eq!(fleet_events.page(&owner, &arrived).await.unwrap().events.len(), 2);

    let narrower = request(std::slice::from_ref(&other), &["track-and-trace"], pipeline.delivery_format);
    let after = pipeline
        .onboarding()
        .replace_subscription(&admin(), &fleet, &before.subscription_id, narrower, before.version)
        .await
        .unwrap();
    assert!(after.version > before.version);
    pipeline.clock.advance_ms(5_000);
    assert!(matches!(states.queries.events(&caller, &range).await, Err(ServiceError::NotFound)));
    assert!(matches!(states.state(&caller, &vid).await, Err(ServiceError::NotFound)));
    let position = BTreeSet::from([LATITUDE, LONGITUDE].map(str::to_owned));
    let visible = fleet_events.page(&owner, &arrived).await.unwrap().events;
    assert!(visible.iter().all(|event| event.vid == other) && signal_paths(&visible) == position);
    pipeline.clock.advance_ms(60_000);
    let feed = feed_reader.read(&owner, ReceiveOptions::default()).await.unwrap();
    assert!(feed.events.iter().all(|delivered| delivered.event.vid == other && delivered.consent_epoch > 0));
    assert_eq!(signal_paths(&feed.events.iter().map(|delivered| delivered.event.clone()).collect::<Vec<_>>()), position);

    pipeline
        .onboarding()
        .transition_subscription(&admin(), &fleet, &before.subscription_id, Transition::Revoke)
        .await
        .unwrap();
    pipeline.clock.advance_ms(60_000);
    assert!(fleet_events.page(&owner, &arrived).await.unwrap().events.is_empty());
    assert!(feed_reader.read(&owner, ReceiveOptions::default()).await.unwrap().events.is_empty());
    assert!(pipeline.memory.queued(&fleet).is_empty());
}
