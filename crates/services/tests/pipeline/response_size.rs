//! Events with many signals: a few hundred bytes as a block are megabytes in JSON, and a response is limited to 6 MiB.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_codec::bus_entry::{self, BLOCK_TYPE};
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::ServiceError;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_services::query::{EventsRange, HistoryRange, Resolution};
use roadcast_services::response_budget::event_json;
use roadcast_signals::{Catalogue, Sample, SignalPath, Signals, Value};
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, client_of, delivered_events, event};

/// Maximum size of a Lambda response, which contains the body as a JSON string (*Lambda quotas*).
const PAYLOAD_BYTES: usize = 6_291_556;
const SAMPLES: usize = 500;
const EVENTS: usize = 12;

/// Every numeric signal of one branch of the catalogue that allows the value 1.
fn signals() -> Signals {
    let of_branch = Catalogue::get().iter().filter(|def| def.path.starts_with("Vehicle.OBD.") && !def.is_array);
    let numbers = of_branch.filter(|def| def.resolution.is_some() && def.min.is_none_or(|min| min <= 1.0));
    numbers.map(|def| (SignalPath::parse(def.path).unwrap(), Value::Number(1.0))).collect()
}

/// A pipeline with such events, their vehicle, a fleet with JSON delivery, and the number of signals per sample.
async fn pipeline_with_wide_events() -> (PipelineFixture, VehicleId, FleetId, usize) {
    // Odd seeds create fleets with JSON delivery.
    let pipeline = PipelineFixture::new(71);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let (noon, signals) = (Timestamp::parse_rfc3339(NOON).unwrap(), signals());
    for number in 0..EVENTS {
        let first = noon.plus_ms(-i64::try_from(number).unwrap() * 300_000 - 250_000);
        let sample =
            |index: usize| Sample { at: first.plus_ms(i64::try_from(index).unwrap() * 500), signals: signals.clone() };
        let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
        let mut event = event(&number.to_string(), &[]);
        event.as_object_mut().unwrap().remove("data");
        event["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
        event["data_base64"] = json!(stream_record::block_base64(&samples).unwrap());
        assert!(event.to_string().len() < 2000, "the record is small");
        pipeline.memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!((pipeline.stored_events().len(), pipeline.memory.quarantined().len()), (EVENTS, 0));
    (pipeline, vid, fleet, signals.len())
}

/// Returns the size of a response: its body as a JSON string.
fn response_bytes(events: &[Event]) -> usize {
    let events: Vec<String> = events.iter().map(|event| event_json(event).unwrap()).collect();
    let body = format!("{{\"events\":[{}]}}", events.join(","));
    serde_json::to_string(&body).unwrap().len()
}

fn ids(events: &[Event]) -> Vec<Eid> {
    events.iter().map(|event| event.eid).collect()
}

#[tokio::test]
async fn events_too_large_for_the_bus_in_json_are_delivered_as_blocks() {
    let (pipeline, _, fleet, _) = pipeline_with_wide_events().await;
    let feed_reader = pipeline.feed_reader();
    let feed = feed_reader.read(&client_of(&fleet), ReceiveOptions::default()).await.unwrap();
    assert!(feed.events.iter().all(|delivered| delivered.format == DeliveryFormat::Blocks));
    let delivered: BTreeSet<Eid> = delivered_events(&feed).iter().map(|event| event.eid).collect();
    assert_eq!(delivered, pipeline.stored_events().iter().map(|stored| stored.event.eid).collect());
    let bytes: usize = feed.cloud_events().unwrap().iter().map(|cloud_event| cloud_event.get().len()).sum();
    assert!(bytes < 100_000, "{bytes}");
}

#[tokio::test]
async fn wide_event_is_readable_as_a_block() {
    let (pipeline, vid, _, _) = pipeline_with_wide_events().await;
    let stored: Vec<Event> = pipeline.stored_events().into_iter().map(|stored| stored.event).collect();
    let range = EventsRange::between(vid.clone(), None, None, 1000);
    let page = pipeline.queries().events(&admin(), &range).await.unwrap();
    let events: Vec<Event> = page
        .events
        .iter()
        .flat_map(|event| {
            let json = event_json(event).unwrap();
            assert!(json.contains(BLOCK_TYPE) && json.len() < 10_000, "{}", json.len());
            bus_entry::decode(&json).unwrap().events
        })
        .collect();
    assert_eq!(events, stored[..events.len()]);
    let event = pipeline.queries().event(&admin(), &vid, stored[0].eid).await.unwrap();
    assert!(event_json(&event).unwrap().contains(BLOCK_TYPE));
}

/// Text signals in which each character takes four bytes of the payload.
fn quotes(length: usize) -> Signals {
    (0..10)
        .map(|n| (SignalPath::parse(&format!("acme.note{n}")).unwrap(), Value::from("\"".repeat(length).as_str())))
        .collect()
}

/// Uploads events about one vehicle, each with these samples, 250 seconds apart, and processes them.
async fn pipeline_with(samples: &[(i64, Signals)], events: i64) -> (PipelineFixture, VehicleId, FleetId) {
    let pipeline = PipelineFixture::new(73);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    for n in 0..events {
        let samples: Vec<_> = samples
            .iter()
            .map(|(after_ms, signals)| json!({"at": noon.plus_ms(after_ms - n * 250_000 - 250_000), "signals": signals}))
            .collect();
        let mut event = event(&n.to_string(), &[]);
        event["data"]["samples"] = samples.into();
        pipeline.memory.stream().put_bytes(vid.as_str(), &stream_record::compress(&event.to_string()));
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!((pipeline.stored_events().len(), pipeline.memory.quarantined().len()), (usize::try_from(events).unwrap(), 0));
    (pipeline, vid, fleet)
}

#[tokio::test]
async fn events_rich_in_quotes_are_readable_to_the_end() {
    let samples: Vec<(i64, Signals)> = (0..20).map(|n| (n, quotes(900))).collect();
    let (pipeline, vid, _) = pipeline_with(&samples, 30).await;
    let stored: Vec<Eid> = pipeline.stored_events().iter().map(|stored| stored.event.eid).collect();
    let mut found = Vec::new();
    let mut range = EventsRange::between(vid, None, None, 1000);
    loop {
        let page = pipeline.queries().events(&admin(), &range).await.unwrap();
        let bytes = response_bytes(&page.events);
        assert!(bytes < PAYLOAD_BYTES, "{bytes}");
        found.extend(ids(&page.events));
        let Some(next) = page.next else { break };
        assert!(bytes > PAYLOAD_BYTES / 2, "a page ends only because of its size: {bytes}");
        range.from = next;
    }
    assert_eq!(found, stored);
}

#[tokio::test]
async fn arrivals_rich_in_quotes_are_readable_to_the_end() {
    let mut signals = quotes(900);
    signals.insert(SignalPath::parse("Vehicle.Speed").unwrap(), Value::Number(1.0));
    let (pipeline, _, fleet) = pipeline_with(&(0..20).map(|n| (n, signals.clone())).collect::<Vec<_>>(), 30).await;
    let mut position = ArrivalPosition::first_at(pipeline.clock.now().plus_ms(-60_000));
    pipeline.clock.advance_ms(20_000);
    let mut arrived = BTreeSet::new();
    loop {
        let range = FleetEventsRange { from: position, to: None, selection: Selection::default(), limit: 1000 };
        let page = pipeline.fleet_events().page(&client_of(&fleet), &range).await.unwrap();
        assert!(response_bytes(&page.events) < PAYLOAD_BYTES);
        arrived.extend(ids(&page.events));
        position = page.next.unwrap();
        if !page.more {
            break;
        }
    }
    assert_eq!(arrived, pipeline.stored_events().iter().map(|stored| stored.event.eid).collect());
}

#[tokio::test]
async fn window_larger_than_a_response_is_an_error_that_a_selection_avoids() {
    let pipeline = PipelineFixture::new(74);
    let vid = pipeline.vehicle("v").await;
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    let text = Value::List(vec![Value::from("\"".repeat(200).as_str()); 8].into());
    // A window of a day has the signals of all events: 1,200 of 6.4 KB. They are stored without a state of the vehicle.
    for n in 0..20 {
        let signal = |k: usize| (SignalPath::parse(&format!("acme.list{}", n * 60 + k)).unwrap(), text.clone());
        let samples = vec![Sample { at: noon, signals: (0..60).map(signal).collect() }];
        let origin = Origin { source: "urn:test".to_owned(), id: n.to_string(), extensions: BTreeMap::new() };
        let eid = Eid::for_event(&vid, &origin.source, &origin.id, noon);
        let body = Body::Telemetry(Telemetry { samples: samples.into() });
        let event = Event { eid, vid: vid.clone(), received: noon, body };
        let stored = SegmentedLog { items: pipeline.items.clone() }.append(&[StoredEvent { event, origin }]).await;
        assert!(stored.iter().all(Result::is_ok));
    }
    let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
    let mut range = HistoryRange { vid, from, to, selection: Selection::default(), limit: 10 };
    let day = Resolution::from_seconds(86_400).unwrap();
    let result = pipeline.queries().windows(&admin(), &range, day, None).await;
    assert!(matches!(result, Err(ServiceError::ResponseTooLarge)), "{}", result.is_ok());
    range.selection.signals = Some(vec!["acme.list7".parse().unwrap()]);
    assert_eq!(pipeline.queries().windows(&admin(), &range, day, None).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn series_ends_before_a_sample_that_exceeds_the_response_size() {
    let (pipeline, vid, _, _) = pipeline_with_wide_events().await;
    let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
    let range = HistoryRange { vid, from, to, selection: Selection::default(), limit: 10_000 };
    let bytes = |signals: &Signals| serde_json::to_string(&serde_json::to_string(signals).unwrap()).unwrap().len() + 60;
    let (mut rows, mut start) = (0, None);
    loop {
        let page = pipeline.queries().samples(&admin(), &range, start).await.unwrap();
        assert!(page.rows.iter().map(|row| bytes(&row.signals)).sum::<usize>() < PAYLOAD_BYTES);
        assert!(page.rows.len() < SAMPLES * EVENTS);
        rows += page.rows.len();
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(rows, SAMPLES * EVENTS);

    let resolution = Resolution::from_seconds(1).unwrap();
    let (mut seconds, mut start) = (0, None);
    loop {
        let page = pipeline.queries().windows(&admin(), &range, resolution, start).await.unwrap();
        let signals: usize = page.rows.iter().map(|window| window.signals.len()).sum();
        // Per signal at least a name of 30 characters, three numbers and a count.
        assert!(signals * 100 < PAYLOAD_BYTES, "{signals} signals");
        seconds += page.rows.len();
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seconds, SAMPLES * EVENTS / 2);
}
