//! Events with many signals: a few hundred bytes as a block are megabytes in JSON, and a response is limited to 6 MiB.

use std::collections::BTreeSet;

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock as _;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_services::query::{EventsRange, HistoryRange, Resolution};
use roadcast_signals::{Catalogue, Sample, SignalPath, Signals, Value};
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, client_of, delivered_events, event};

/// Maximum size of a Lambda response, which contains the body as a JSON string.
const RESPONSE_BYTES: usize = 6 * 1024 * 1024;
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

/// Approximate size of a response: its body as a JSON string.
fn response_bytes(events: &[Event]) -> usize {
    let bodies = events.iter().map(|event| serde_json::to_string(&event.to_cloud_event()).unwrap());
    bodies.map(|body| serde_json::to_string(&body).unwrap().len()).sum()
}

fn ids(events: &[Event]) -> Vec<Eid> {
    events.iter().map(|event| event.eid).collect()
}

#[tokio::test]
async fn events_too_large_for_the_bus_in_json_are_delivered_as_blocks() {
    let (pipeline, _, fleet, _) = pipeline_with_wide_events().await;
    let feed_reader = pipeline.feed_reader();
    let feed = feed_reader.read(&client_of(&fleet), 10, 0).await.unwrap();
    assert!(feed.events.iter().all(|delivered| delivered.format == DeliveryFormat::Blocks));
    let delivered: BTreeSet<Eid> = delivered_events(&feed).iter().map(|event| event.eid).collect();
    assert_eq!(delivered, pipeline.stored_events().iter().map(|stored| stored.event.eid).collect());
    let bytes: usize = feed.cloud_events().unwrap().iter().map(|cloud_event| cloud_event.get().len()).sum();
    assert!(bytes < 100_000, "{bytes}");
}

#[tokio::test]
async fn page_ends_before_an_event_that_exceeds_the_response_size() {
    let (pipeline, vid, fleet, width) = pipeline_with_wide_events().await;
    let stored: Vec<Eid> = pipeline.stored_events().iter().map(|stored| stored.event.eid).collect();
    assert!(SAMPLES * width * EVENTS * 30 > 2 * RESPONSE_BYTES, "together they exceed the response size: {width} signals");

    let mut found = Vec::new();
    let mut range = EventsRange::between(vid.clone(), None, None, 1000);
    loop {
        let page = pipeline.queries().events(&client_of(&fleet), &range).await.unwrap();
        assert!((1..EVENTS).contains(&page.events.len()) && response_bytes(&page.events) < RESPONSE_BYTES);
        found.extend(ids(&page.events));
        let Some(next) = page.next else { break };
        range.from = next;
    }
    assert_eq!(found, stored);

    let mut position = ArrivalPosition::first_at(pipeline.clock.now().plus_ms(-60_000));
    pipeline.clock.advance_ms(20_000);
    let mut arrived = Vec::new();
    loop {
        let range = FleetEventsRange { from: position, to: None, selection: Selection::default(), limit: 1000 };
        let page = pipeline.fleet_events().page(&client_of(&fleet), &range).await.unwrap();
        assert!(page.events.len() < EVENTS && response_bytes(&page.events) < RESPONSE_BYTES);
        arrived.extend(ids(&page.events));
        position = page.next.unwrap();
        if !page.more {
            break;
        }
    }
    arrived.sort();
    assert_eq!(arrived, stored);
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
        assert!(page.rows.iter().map(|row| bytes(&row.signals)).sum::<usize>() < RESPONSE_BYTES);
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
        assert!(signals * 100 < RESPONSE_BYTES, "{signals} signals");
        seconds += page.rows.len();
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seconds, SAMPLES * EVENTS / 2);
}
