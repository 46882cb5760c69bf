//! The memory of reads of the log, measured: it is bounded by the budget, whatever the events contain.

// A test stops at the first error.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use allocation_counter::measure;
use futures::executor::block_on;
use roadcast_domain::cloudevent::{Data, Envelope};
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::schema::NoSchemas;
use roadcast_domain::validation;
use roadcast_event_log::{SegmentedLog, segment};
use roadcast_ports::event_log::{EventLog, EventRange, PAGE_BYTES};
use roadcast_signals::{Sample, Samples, SignalPath, Signals, Timestamp, Value};
use roadcast_testbed::MemoryItems;
use serde_json::value::RawValue;

const MIB: u64 = 1024 * 1024;
/// What the encoded items of one page of the table take: `DynamoDB` returns at most 1 MB.
const ENCODED_PAGE: u64 = MIB;

fn event(n: i64, samples: i64, signals: &Signals) -> StoredEvent {
    let vid = VehicleId::from_random_bits(1);
    let at = Timestamp::from_ms(1_793_016_000_000).plus_ms(n * 100);
    let samples: Samples = (0..samples).map(|s| Sample { at: at.plus_ms(s), signals: signals.clone() }).collect();
    let origin = Origin { source: "urn:test".to_owned(), id: n.to_string(), extensions: [].into() };
    let eid = Eid::for_event(&vid, &origin.source, &origin.id, at);
    StoredEvent { event: Event { eid, vid, received: at, body: Body::Telemetry(Telemetry { samples }) }, origin }
}

fn wide(signals: usize, value: &Value) -> Signals {
    (0..signals).map(|n| (SignalPath::parse(&format!("acme.signal{n:03}")).unwrap(), value.clone())).collect()
}

/// A log with 60 wide events within 6 seconds, each in a segment of its own that has about 1 KB.
fn log_of_wide_events() -> (SegmentedLog<MemoryItems>, Vec<StoredEvent>) {
    let log = SegmentedLog { items: MemoryItems::default() };
    let events: Vec<StoredEvent> = (0..60).map(|n| event(n, 200, &wide(40, &Value::Number(1.0)))).collect();
    for event in &events {
        block_on(log.append(std::slice::from_ref(event))).into_iter().for_each(Result::unwrap);
    }
    let encoded: usize = log.items.all().iter().map(roadcast_event_log::LogItem::item_bytes).sum();
    assert!(encoded < 300_000, "{encoded} bytes in the table");
    (log, events)
}

#[test]
fn estimated_memory_of_an_event_is_an_upper_bound() {
    // The catalogue is loaded once, with the first path.
    drop(event(0, 1, &wide(1, &Value::Bool(true))));
    let text = Value::from("x".repeat(100).as_str());
    let list = Value::List((0..64).map(|n| Value::from("y".repeat(n % 3).as_str())).collect());
    let values = [Value::Number(1.5), Value::Bool(true), text, list];
    for (signals, value) in [1, 5, 11, 12, 18, 64, 130].into_iter().flat_map(|n| values.iter().map(move |v| (n, v))) {
        // Built one by one, as validation does, and decoded from a segment.
        let mut built = None;
        let memory = measure(|| built = Some(event(0, 2, &wide(signals, value))));
        let built = built.unwrap();
        assert!(memory.bytes_current <= i64::try_from(built.memory_bytes()).unwrap(), "{signals} of {value:?}: {memory:?}");
        let log = SegmentedLog { items: MemoryItems::default() };
        block_on(log.append(std::slice::from_ref(&built))).into_iter().for_each(Result::unwrap);
        let mut decoded = None;
        let memory = measure(|| decoded = block_on(log.get(&built.event.vid, built.event.eid)).unwrap());
        assert_eq!(decoded.as_ref(), Some(&built));
        assert!(memory.bytes_current <= i64::try_from(built.memory_bytes()).unwrap(), "{signals} of {value:?}: {memory:?}");
    }
}

#[test]
fn page_of_wide_events_takes_the_budget_and_one_segment() {
    let (log, events) = log_of_wide_events();
    let one = events[0].memory_bytes() as u64;
    let mut range = EventRange {
        vid: events[0].event.vid.clone(),
        from: Eid::MIN,
        to: Eid::MAX,
        limit: 1000,
        max_bytes: PAGE_BYTES,
        consistent: true,
    };
    let (mut read, mut peak) = (0, 0);
    loop {
        let mut page = None;
        let memory = measure(|| page = Some(block_on(log.range(&range)).unwrap()));
        let page = page.unwrap();
        peak = peak.max(memory.bytes_max);
        assert!(!page.events.is_empty());
        read += page.events.len();
        let Some(next) = page.next else { break };
        range.from = next;
    }
    println!("{read} events of {} KiB: peak {} KiB in pages of {} KiB", one / 1024, peak / 1024, PAGE_BYTES / 1024);
    assert_eq!(read, events.len());
    // A segment exists as a block, as rows and as events while it is decoded.
    assert!(peak <= PAGE_BYTES as u64 + 2 * one + ENCODED_PAGE, "{peak} bytes");
}

#[test]
fn members_and_samples_beyond_their_limits_are_not_kept() {
    // As much JSON as a record may decompress to.
    let list = |entry: &dyn Fn(usize) -> String, bytes: usize| {
        (0..4 * 1024 * 1024 / bytes).map(entry).collect::<Vec<_>>().join(",")
    };
    let members = format!("{{{}}}", list(&|n| format!("\"m{n:06}\":0"), 12));
    let event: &RawValue = serde_json::from_str(&members).unwrap();
    let memory = measure(|| assert!(Envelope::parse(event).is_err()));
    println!("members: peak {} KiB", memory.bytes_max / 1024);
    assert!(memory.bytes_max < MIB, "{memory:?}");

    let numbers = list(&|_| "0".to_owned(), 2);
    let attributes = r#""specversion":"1.0","id":"1","source":"s","time":"2026-11-03T10:00:00Z""#;
    let (vid, received) = (VehicleId::from_random_bits(1), Timestamp::from_ms(1_793_016_000_000));
    let hostile = [
        format!(r#"{{{attributes},"type":"roadcast.telemetry.v1","data":{{"samples":[{numbers}]}}}}"#),
        format!(
            r#"{{{attributes},"type":"roadcast.telemetry.v1","data":{{"samples":[{{"at":[{numbers}],"signals":{{}}}}]}}}}"#
        ),
        format!(r#"{{{attributes},"type":"roadcast.diagnostic.v1","data":{{"at":"","dtcs":[{numbers}]}}}}"#),
        format!(r#"{{{attributes},"type":"roadcast.diagnostic.v1","data":{{"at":[{numbers}],"dtcs":[]}}}}"#),
        format!(r#"{{{attributes},"type":"roadcast.telemetry.v1","ext":[{numbers}],"data":{{"samples":[]}}}}"#),
    ];
    for text in hostile {
        let event: &RawValue = serde_json::from_str(&text).unwrap();
        let memory = measure(|| {
            validation::count_samples(event);
            let Ok(envelope) = Envelope::parse(event) else { return };
            let Data::Json(data) = &envelope.data else { panic!("JSON") };
            let accepted = validation::validate_event(&envelope, (*data).into(), &vid, received, &NoSchemas);
            assert!(!accepted.is_ok_and(|outcome| outcome.accepted.is_some()));
        });
        println!("{}: peak {} KiB", &text[attributes.len() + 2..attributes.len() + 60], memory.bytes_max / 1024);
        // A quarantined sample keeps its bytes.
        assert!(memory.bytes_max < text.len() as u64 + MIB, "{memory:?}");
    }
}

#[test]
fn look_up_of_ids_decodes_no_samples() {
    let (log, events) = log_of_wide_events();
    let eids: Vec<Eid> = events.iter().map(|stored| stored.event.eid).collect();
    let mut stored = None;
    let memory = measure(|| stored = Some(block_on(log.stored_ids(&events[0].event.vid, &eids)).unwrap()));
    assert_eq!(stored.unwrap().len(), eids.len());
    println!("60 ids: peak {} KiB", memory.bytes_max / 1024);
    assert!(memory.bytes_max <= ENCODED_PAGE, "{} bytes", memory.bytes_max);
}

#[test]
fn segment_of_several_events_unpacks_to_a_bounded_size() {
    let log = SegmentedLog { items: MemoryItems::default() };
    // Without the bound, one write unit holds about 30 such events.
    let events: Vec<StoredEvent> = (0..30).map(|n| event(n, 500, &wide(9, &Value::Number(1.0)))).collect();
    block_on(log.append(&events)).into_iter().for_each(Result::unwrap);
    let items = log.items.all();
    for item in &items {
        let decoded = item.events().unwrap();
        let bytes: usize = decoded.iter().map(StoredEvent::memory_bytes).sum();
        assert!(bytes <= segment::MEMORY_BYTES || decoded.len() == 1, "{} events of {bytes} bytes", decoded.len());
    }
    assert!(items.len() > 1 && items.len() < 20, "{} items", items.len());
}
