//! Events of many signals, which a few hundred bytes of a block say: each takes megabytes in JSON, and an answer takes 6 MiB.

use std::collections::BTreeSet;

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_services::query::arrivals::{ArrivalPosition, ArrivalsRange};
use roadcast_services::query::{EventsRange, HistoryRange, Resolution};
use roadcast_signals::{Catalogue, Sample, SignalPath, Signals, Value};
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::world::{NOON, World, admin, event, written};

/// What Lambda answers at most, of a body that is a JSON string in there.
const ANSWER_BYTES: usize = 6 * 1024 * 1024;
const SAMPLES: usize = 500;
const EVENTS: usize = 12;

/// Every number of one branch of the catalogue, as far as it may be 1.
fn signals() -> Signals {
    let of_branch = Catalogue::get().iter().filter(|def| def.path.starts_with("Vehicle.OBD.") && !def.is_array);
    let numbers = of_branch.filter(|def| def.resolution.is_some() && def.min.is_none_or(|min| min <= 1.0));
    numbers.map(|def| (SignalPath::parse(def.path).unwrap(), Value::Number(1.0))).collect()
}

/// A fleet that gets JSON, and a vehicle that sent such events.
async fn world() -> (World, VehicleId, FleetId, usize) {
    // Odd seeds make fleets that want JSON.
    let world = World::new(71);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let (noon, signals) = (Timestamp::parse_rfc3339(NOON).unwrap(), signals());
    for number in 0..EVENTS {
        let first = noon.plus_ms(-i64::try_from(number).unwrap() * 300_000 - 250_000);
        let sample =
            |place: usize| Sample { at: first.plus_ms(i64::try_from(place).unwrap() * 500), signals: signals.clone() };
        let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
        let mut event = event(&number.to_string(), &[]);
        event.as_object_mut().unwrap().remove("data");
        event["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
        event["data_base64"] = json!(stream_record::block_base64(&samples).unwrap());
        assert!(event.to_string().len() < 2000, "it is small");
        world.memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
    }
    world.settle(|_| FaultPlan::healthy()).await;
    assert_eq!((world.stored().len(), world.memory.quarantined().len()), (EVENTS, 0));
    (world, vid, fleet, signals.len())
}

/// About the size of an answer: of its body, and of the body in the answer.
fn answered_bytes(events: &[Event]) -> usize {
    let bodies = events.iter().map(|event| serde_json::to_string(&event.to_cloud_event()).unwrap());
    bodies.map(|body| serde_json::to_string(&body).unwrap().len()).sum()
}

fn ids(events: &[Event]) -> Vec<Eid> {
    events.iter().map(|event| event.eid).collect()
}

#[tokio::test]
async fn events_that_no_bus_takes_in_json_reach_a_feed_as_blocks() {
    let (world, _, fleet, _) = world().await;
    let deliver = world.deliver();
    let feed = deliver.feed(&Caller::Fleet(fleet.clone()), &fleet, 10, 0).await.unwrap();
    assert!(feed.events.iter().all(|delivered| delivered.format == DeliveryFormat::Blocks));
    let told: BTreeSet<Eid> = written(&feed).iter().map(|event| event.eid).collect();
    assert_eq!(told, world.stored().iter().map(|stored| stored.event.eid).collect());
    let bytes: usize = feed.cloud_events().unwrap().iter().map(|cloud_event| cloud_event.get().len()).sum();
    assert!(bytes < 100_000, "{bytes}");
}

#[tokio::test]
async fn a_page_ends_where_the_next_event_would_be_too_much_for_an_answer() {
    let (world, vid, fleet, width) = world().await;
    let caller = Caller::Fleet(fleet);
    let stored: Vec<Eid> = world.stored().iter().map(|stored| stored.event.eid).collect();
    assert!(SAMPLES * width * EVENTS * 30 > 2 * ANSWER_BYTES, "together they are too much: {width} signals");

    let mut found = Vec::new();
    let mut range = EventsRange::between(vid.clone(), None, None, 1000);
    loop {
        let page = world.query().events(&caller, &range).await.unwrap();
        assert!((1..EVENTS).contains(&page.events.len()) && answered_bytes(&page.events) < ANSWER_BYTES);
        found.extend(ids(&page.events));
        let Some(next) = page.next else { break };
        range.from = next;
    }
    assert_eq!(found, stored);

    world.clock.advance_ms(20_000);
    let mut place = ArrivalPosition::first_at(Timestamp::from_ms(0));
    let mut arrived = Vec::new();
    loop {
        let range = ArrivalsRange { from: place, to: None, selection: Selection::default(), limit: 1000 };
        let page = world.arrivals().page(&caller, &range).await.unwrap();
        assert!(page.events.len() < EVENTS && answered_bytes(&page.events) < ANSWER_BYTES);
        arrived.extend(ids(&page.events));
        place = page.next.unwrap();
        if !page.more {
            break;
        }
    }
    arrived.sort();
    assert_eq!(arrived, stored);
}

#[tokio::test]
async fn a_series_ends_where_the_next_sample_would_be_too_much_for_an_answer() {
    let (world, vid, _, _) = world().await;
    let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
    let range = HistoryRange { vid, from, to, selection: Selection::default(), limit: 10_000 };
    let bytes = |signals: &Signals| serde_json::to_string(&serde_json::to_string(signals).unwrap()).unwrap().len() + 60;
    let (mut rows, mut start) = (0, None);
    loop {
        let page = world.query().samples(&admin(), &range, start).await.unwrap();
        assert!(page.rows.iter().map(|row| bytes(&row.signals)).sum::<usize>() < ANSWER_BYTES);
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
        let page = world.query().windows(&admin(), &range, resolution, start).await.unwrap();
        let signals: usize = page.rows.iter().map(|window| window.signals.len()).sum();
        // A name of 30 characters, three numbers and a count at least.
        assert!(signals * 100 < ANSWER_BYTES, "{signals} signals");
        seconds += page.rows.len();
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seconds, SAMPLES * EVENTS / 2);
}
