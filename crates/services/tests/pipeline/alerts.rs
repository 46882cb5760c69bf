//! Alerts, from the steps of the alert evaluator to the fleets.

use std::collections::BTreeSet;

use roadcast_codec::alert_record;
use roadcast_domain::alert::{Alert, AlertChange};
use roadcast_domain::event::{Body, Event, EventType, StoredEvent};
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_domain::secret::{Secret, StackSecrets};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::{FeedIndex as _, FeedRange};
use roadcast_services::ServiceError;
use roadcast_services::authz::Reader;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::EventsRange;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_services::stream::Record;
use roadcast_testbed::{Fault, FaultPlan};
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, client_of, record};

const PACKAGES: [&str; 2] = ["telematics", "alerts"];

/// The events of a vehicle that a caller gets by query.
async fn queried(pipeline: &PipelineFixture, reader: &Reader, vid: &VehicleId, selection: Selection) -> Vec<Event> {
    let range = EventsRange { selection, ..EventsRange::between(vid.clone(), None, None, 100) };
    match pipeline.queries().events(reader, &range).await {
        Ok(page) => page.events,
        Err(ServiceError::NotFound) => Vec::new(),
        Err(error) => panic!("{error:?}"),
    }
}

/// The events of a fleet in the order of arrival, from a time on.
async fn arrived(pipeline: &PipelineFixture, fleet: &FleetId, start: ArrivalPosition) -> Vec<Event> {
    let range = FleetEventsRange { from: start, to: None, selection: Selection::default(), limit: 100 };
    pipeline.fleet_events().page(&client_of(fleet), &range).await.unwrap().events
}

/// The number of events that the feed index names for a fleet.
async fn pointers(pipeline: &PipelineFixture, fleet: &FleetId) -> usize {
    let (from, to) = (ArrivalStamp::lower_bound(pipeline.clock.now().plus_ms(-600_000)), ArrivalStamp::MAX);
    let page = pipeline.memory.read(&FeedRange { fleet_id: fleet.clone(), from, to, limit: 1000 }).await.unwrap();
    page.pointers.iter().map(|pointer| pointer.events.len()).sum()
}

fn records(pipeline: &PipelineFixture) -> Vec<Record> {
    pipeline.memory.stream().records().into_iter().map(record).collect()
}

fn reasons(pipeline: &PipelineFixture) -> Vec<Reason> {
    pipeline.memory.quarantined().iter().map(|item| item.reason).collect()
}

#[tokio::test]
async fn alert_is_in_every_read_before_its_record_is_processed() {
    for seed in [90, 91] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
        let start = ArrivalPosition::first_at(pipeline.clock.now());
        let alert = pipeline.alert(&vid, Some(&fleet), 1);
        pipeline.raise(&alert).await;
        pipeline.enrich(&|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(11_000);
        assert_eq!(arrived(&pipeline, &fleet, start.clone()).await, std::slice::from_ref(&alert.event), "by arrival");
        assert_eq!(pipeline.drain_feed(&fleet).await, std::slice::from_ref(&alert.event), "in the feed");
        let of_type = Selection { types: Some([EventType::Alert].into()), ..Selection::default() };
        for reader in [&admin(), &client_of(&fleet)] {
            assert_eq!(
                queried(&pipeline, reader, &vid, of_type.clone()).await,
                std::slice::from_ref(&alert.event),
                "by query"
            );
        }
        let one = pipeline.queries().event(&client_of(&fleet), &vid, alert.event.eid).await.unwrap();
        assert_eq!(one, alert.event);

        // The stream processor finds it stored, and delivers nothing again.
        pipeline.process_all(|n| FaultPlan::seeded(n, 25)).await;
        pipeline.clock.advance_ms(11_000);
        assert_eq!(pipeline.stored_events(), std::slice::from_ref(&alert));
        assert_eq!(arrived(&pipeline, &fleet, start).await, [alert.event]);
        assert!(pipeline.drain_feed(&fleet).await.is_empty());
        assert_eq!(pointers(&pipeline, &fleet).await, 1);
    }
}

#[tokio::test]
async fn alert_on_the_stream_is_stored_and_changes_nothing_else() {
    let pipeline = PipelineFixture::new(92);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    pipeline.drain_feed(&fleet).await;
    let state = pipeline.states().state(&client_of(&fleet), &vid).await.unwrap().0;

    // Two days later, so that an event of the vehicle would advance the watermark.
    pipeline.clock.advance_ms(2 * 24 * 60 * 60 * 1000);
    let alert = pipeline.alert(&vid, Some(&fleet), 1);
    for _ in 0..2 {
        pipeline.put_alert(&alert).await;
    }
    let processor = pipeline.processor(&|_| FaultPlan::healthy());
    let archived = pipeline.memory.archived().len();
    let outcome = processor.process_batch(&records(&pipeline)).await;
    assert_eq!((outcome.retry_from, outcome.counts.samples_received), (None, 3));
    assert_eq!((outcome.counts.samples_stored, outcome.counts.events_deduplicated), (1, 2));
    assert_eq!(pipeline.memory.archived().len(), archived + 1);
    assert!(pipeline.memory.take_published().is_empty() && reasons(&pipeline).is_empty());
    assert!(pipeline.stored_events().contains(&alert), "with its own received time");
    assert_eq!(pipeline.states().state(&client_of(&fleet), &vid).await.unwrap().0, state);
    let outcome = processor.process_batch(&records(&pipeline)).await;
    assert_eq!((outcome.counts.samples_stored, outcome.counts.events_deduplicated), (0, 3), "a repeated batch");
}

#[tokio::test]
async fn alerts_are_stored_whatever_fails_meanwhile() {
    for seed in 0..24 {
        let pipeline = PipelineFixture::new(seed);
        let vehicles = [pipeline.vehicle("a").await, pipeline.vehicle("b").await];
        let mut expected = BTreeSet::new();
        for number in 0..6 {
            let vid = &vehicles[usize::try_from(number).unwrap() % 2];
            let alert = pipeline.alert(vid, None, number);
            expected.insert((vid.clone(), alert.event.eid));
            pipeline.put_alert(&alert).await;
            pipeline.upload(vid, &number.to_string(), &[(60, 50.0)]).await;
        }
        pipeline.process_all(|n| FaultPlan::seeded(n, 40)).await;
        let alerts = pipeline.stored_events().into_iter().filter(|stored| stored.event.event_type() == EventType::Alert);
        let stored: BTreeSet<(VehicleId, Eid)> = alerts.map(|stored| (stored.event.vid, stored.event.eid)).collect();
        assert_eq!(stored, expected, "seed {seed}");
        assert_eq!(pipeline.stored_events().len(), 12);
        assert_eq!(reasons(&pipeline), []);
    }
}

fn foreign_secret() -> StackSecrets {
    StackSecrets::single(Secret::new([7; Secret::MIN_LEN]).unwrap())
}

#[tokio::test]
async fn forged_alert_is_quarantined_and_no_caller_sees_it() {
    let pipeline = PipelineFixture::new(93);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    let alert = pipeline.alert(&vid, Some(&fleet), 1);
    let event = serde_json::to_value(alert.event.to_cloud_event()).unwrap();
    let forged = [
        alert_record::write(&alert.event, &foreign_secret()).unwrap(),
        format!(r#"{{"alertMac":"","event":{event}}}"#).into_bytes(),
        br#"{"alertMac":"#.to_vec(),
        event.to_string().into_bytes(),
        format!(r#"{{"event":{event},"alertMac":""}}"#).into_bytes(),
        json!([event]).to_string().into_bytes(),
    ];
    for record in &forged {
        pipeline.memory.stream().put_bytes(vid.as_str(), record);
    }
    pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let mut found = reasons(&pipeline);
    found.sort();
    let (forged, unknown) = (Reason::AlertNotAuthentic, Reason::TypeUnknown);
    assert_eq!(found, [Reason::NotACloudEvent, unknown, unknown, forged, forged, forged]);
    let bytes = |reason| pipeline.memory.quarantined().into_iter().find(|item| item.reason == reason).unwrap().bytes;
    assert!(bytes(forged).starts_with(br#"{"alertMac":""#), "the record is kept unchanged");
    assert_eq!(pipeline.stored_events().len(), 1);
    assert_eq!(pipeline.drain_feed(&fleet).await.len(), 1, "only the upload");
}

#[tokio::test]
async fn quarantined_alert_is_stored_once_its_secret_is_known() {
    let pipeline = PipelineFixture::new(94);
    let vid = pipeline.vehicle("v").await;
    let alert = pipeline.alert(&vid, None, 1);
    let written = alert_record::write(&alert.event, &foreign_secret()).unwrap();
    pipeline.memory.stream().put_bytes(vid.as_str(), &written);
    let processor = pipeline.processor(&|_| FaultPlan::healthy());
    processor.process_batch(&records(&pipeline)).await;
    assert_eq!((reasons(&pipeline), pipeline.stored_events()), (vec![Reason::AlertNotAuthentic], vec![]));
    pipeline.memory.rotate_secret(7);
    let outcome = processor.redrive_batch(&records(&pipeline)).await;
    assert_eq!((outcome.counts.samples_stored, outcome.counts.samples_quarantined.len()), (1, 0));
    assert_eq!(pipeline.stored_events(), [alert]);
}

#[tokio::test]
async fn unreadable_secret_is_retried_and_quarantines_nothing() {
    let pipeline = PipelineFixture::new(95);
    let vid = pipeline.vehicle("v").await;
    pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
    let alert = pipeline.alert(&vid, None, 1);
    pipeline.put_alert(&alert).await;
    let outcome = pipeline.process_once(&|_| FaultPlan::always(Fault::Unavailable).only(&["secrets"])).await;
    assert!(outcome.retry_from.is_some() && !outcome.failures.is_empty());
    assert_eq!((outcome.counts.samples_stored, reasons(&pipeline)), (1, vec![]), "the upload is stored");
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert!(pipeline.stored_events().contains(&alert));
}

#[tokio::test]
async fn alert_of_a_fleet_is_invisible_to_every_other_one() {
    for seed in [96, 97] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        let owner = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
        let other = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
        let without_signal = pipeline.fleet(std::slice::from_ref(&vid), &["track-and-trace", "alerts"]).await;
        let start = ArrivalPosition::first_at(pipeline.clock.now());
        let own = pipeline.alert(&vid, Some(&owner), 1);
        let of_operator = pipeline.alert(&vid, None, 2);
        for alert in [&own, &of_operator] {
            pipeline.raise(alert).await;
        }
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(11_000);
        let eids = |events: &[Event]| events.iter().map(|event| event.eid).collect::<BTreeSet<_>>();
        let all = [&own, &of_operator].map(|alert: &StoredEvent| alert.event.eid);
        for (fleet, expected) in [(&owner, &all[..]), (&other, &all[1..]), (&without_signal, &[])] {
            let expected: BTreeSet<Eid> = expected.iter().copied().collect();
            assert_eq!(pointers(&pipeline, fleet).await, expected.len(), "pointers");
            assert_eq!(eids(&arrived(&pipeline, fleet, start.clone()).await), expected, "by arrival");
            assert_eq!(eids(&queried(&pipeline, &client_of(fleet), &vid, Selection::default()).await), expected);
            assert_eq!(pipeline.memory.queued(fleet).is_empty(), expected.is_empty(), "messages");
            assert_eq!(eids(&pipeline.drain_feed(fleet).await), expected, "in the feed");
            let got = pipeline.queries().event(&client_of(fleet), &vid, own.event.eid).await;
            assert_eq!(got.is_ok(), fleet == &owner);
        }
        assert_eq!(queried(&pipeline, &admin(), &vid, Selection::default()).await.len(), 2, "an admin sees both");
    }
}

#[tokio::test]
async fn alert_needs_all_its_subscriptions_and_is_not_lost() {
    let pipeline = PipelineFixture::new(98);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(&[], &[]).await;
    let request = |packages: &[&str]| SubscriptionRequest {
        vehicles: vec![vid.clone()],
        packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
        delivery_format: DeliveryFormat::Json,
        valid_from: None,
        valid_until: None,
    };
    let mut ids = Vec::new();
    for package in PACKAGES {
        ids.push(pipeline.subscribe(&fleet, request(&[package])).await);
    }
    // With a third subscription, the fleet has a feed and may read by arrival.
    pipeline.subscribe(&fleet, request(&["track-and-trace"])).await;
    let start = ArrivalPosition::first_at(pipeline.clock.now());
    let transition = async |id, step| {
        pipeline.onboarding().transition_subscription(&admin(), &fleet, id, step).await.unwrap();
        pipeline.clock.advance_ms(60_000);
    };
    transition(&ids[0], Transition::Suspend).await;
    transition(&ids[1], Transition::Suspend).await;
    let alert = pipeline.alert(&vid, Some(&fleet), 1);
    pipeline.raise(&alert).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    for id in &ids {
        pipeline.clock.advance_ms(60_000);
        assert_eq!(crate::consent::counted_events(&pipeline, &fleet, id).await, 0, "not in a receipt");
        assert!(pipeline.drain_feed(&fleet).await.is_empty() && arrived(&pipeline, &fleet, start.clone()).await.is_empty());
        transition(id, Transition::Resume).await;
    }
    assert_eq!(crate::consent::counted_events(&pipeline, &fleet, &ids[0]).await, 1);
    assert_eq!(pipeline.drain_feed(&fleet).await, std::slice::from_ref(&alert.event));
    assert_eq!(arrived(&pipeline, &fleet, start).await, [alert.event]);
}

#[tokio::test]
async fn withdrawal_is_another_event_with_the_received_time_of_its_cause() {
    let pipeline = PipelineFixture::new(99);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    let raised = pipeline.alert(&vid, Some(&fleet), 1);
    let Body::Alert(alert) = &raised.event.body else { panic!("an alert") };
    let withdrawn = Alert {
        change: AlertChange::Withdrawn,
        withdraws: Some(alert.transition_kind()),
        revision: 2,
        late: true,
        ..Alert::clone(alert)
    };
    pipeline.clock.advance_ms(600_000);
    let withdrawn = withdrawn.into_event(vid.clone());
    assert_ne!(withdrawn.event.eid, raised.event.eid);
    assert_eq!(withdrawn.event.received, raised.event.received);
    for alert in [&raised, &withdrawn, &withdrawn] {
        pipeline.raise(alert).await;
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.drain_feed(&fleet).await.len(), 2);
}
