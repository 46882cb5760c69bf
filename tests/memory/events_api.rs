//! The API of events: 512 MiB.

use roadcast_signals::{SignalPath, Value};
use serde_json::json;

use crate::fixture::{Fixture, block_event, numbers, samples};
use crate::peak::{MIB, assert_peak, peak};

/// The bound of one request.
const BOUND: usize = 64 * MIB;
/// Maximum size of a response.
const PAYLOAD_BYTES: usize = 6_291_556;
const EVENTS: &str = "/vehicles/{vid}/events";
const HISTORY: &str = "/vehicles/{vid}/history";

fn fixture() -> Fixture {
    peak(Fixture::new()).0
}

/// Five minutes of an honest vehicle per event: 300 samples of 27 signals.
fn store_honest_hours(fixture: &Fixture) {
    let events = (0..150).map(|n| samples(300, n * 300_000 % 6_000_000, 1000, |sample| numbers(27, sample)));
    peak(fixture.store(events));
}

/// Events of 500 equal samples of 130 signals, which take some hundred bytes each, all from the same time on.
fn store_hostile_overlap(fixture: &Fixture) {
    let signals = numbers(130, 0);
    peak(fixture.store((0..100).map(|n| samples(500, n % 1000, 590, |_| signals.clone()))));
}

fn assert_ok((status, payload): (u16, usize)) {
    assert!((200..300).contains(&status), "{status}");
    assert!(payload < PAYLOAD_BYTES, "{payload}");
}

#[test]
fn reads_of_honest_wide_events_are_bounded() {
    let fixture = fixture();
    store_honest_hours(&fixture);
    let get = |resource, query| fixture.request_events("GET", resource, query, "");
    assert_ok(assert_peak("events", BOUND, get(EVENTS, json!({"limit": "1000"}))));
    assert_ok(assert_peak("samples", BOUND, get(HISTORY, json!({"limit": "10000"}))));
    assert_ok(assert_peak("windows of 1 s", BOUND, get(HISTORY, json!({"limit": "10000", "resolution": "1s"}))));
    assert_ok(assert_peak("windows of 1 h", BOUND, get(HISTORY, json!({"resolution": "1h"}))));
}

#[test]
fn reads_of_overlapping_hostile_events_are_bounded() {
    let fixture = fixture();
    store_hostile_overlap(&fixture);
    let get = |resource, query| fixture.request_events("GET", resource, query, "");
    assert_ok(assert_peak("hostile events", BOUND, get(EVENTS, json!({"limit": "1000"}))));
    assert_ok(assert_peak("hostile samples", BOUND, get(HISTORY, json!({"limit": "10000"}))));
    let short = json!({"limit": "10000", "resolution": "1s", "to": "2026-01-01T10:01:00Z"});
    assert_ok(assert_peak("hostile windows", BOUND, get(HISTORY, short)));
}

#[test]
fn uploads_of_wide_blocks_are_bounded() {
    let fixture = fixture();
    let block = samples(500, 0, 590, |_| numbers(130, 0));
    let events: Vec<String> = (0..400).map(|n| block_event(&n.to_string(), &block)).collect();
    let body = format!("[{}]", events.join(","));
    assert!(body.len() < 768 * 1024, "{}", body.len());
    let upload = fixture.request_events("POST", EVENTS, json!({}), &body);
    let (status, _) = assert_peak("upload of blocks", BOUND, upload);
    assert_eq!(status, 422, "the blocks exceed the budget of a record");
    let vid = fixture.vid.to_string();
    let events: Vec<String> =
        events.iter().map(|event| event.replacen('{', &format!("{{\"subject\":\"{vid}\","), 1)).collect();
    let body = format!("[{}]", events.join(","));
    let batch = fixture.request_events("POST", "/events", json!({}), &body);
    let (status, payload) = assert_peak("batch of blocks", BOUND, batch);
    assert!(status == 202 && payload < PAYLOAD_BYTES, "{status} {payload}");
}

#[test]
fn uploads_of_invalid_samples_are_bounded() {
    let fixture = fixture();
    // 650 events of 500 samples, each of two bytes and invalid.
    let data = vec!["1"; 500].join(",");
    let event = |n: usize| {
        format!(
            r#"{{"specversion":"1.0","id":"{n}","source":"s","type":"roadcast.telemetry.v1","time":"2026-01-01T10:00:00Z","data":{{"samples":[{data}]}}}}"#
        )
    };
    let mut events: Vec<String> = (0..650).map(event).collect();
    let body = |events: &[String]| format!("[{}]", events.join(","));
    assert!(body(&events).len() < 768 * 1024, "{}", body(&events).len());
    let upload = body(&events);
    let refused = fixture.request_events("POST", EVENTS, json!({}), &upload);
    let (status, payload) = assert_peak("upload of invalid samples", BOUND, refused);
    assert!(status == 422 && payload < PAYLOAD_BYTES, "{status} {payload}");
    events[0] = event(0).replace("[1,", r#"[{"at":"2026-01-01T10:00:00Z","signals":{"Vehicle.Speed":1}},"#);
    let upload = body(&events);
    let accepted = fixture.request_events("POST", EVENTS, json!({}), &upload);
    assert_ok(assert_peak("upload of a valid and many invalid samples", BOUND, accepted));
}

#[test]
fn reads_of_short_signals_are_bounded() {
    // A short signal takes several times its JSON in memory.
    let fixture = fixture();
    let signals = |_| (0..64).map(|n| (SignalPath::parse(&format!("{n}")).unwrap(), Value::Number(1.0))).collect();
    peak(fixture.store((0..100).map(|n| samples(500, n * 60_000, 100, signals))));
    let get = |resource, query| fixture.request_events("GET", resource, query, "");
    assert_ok(assert_peak("short events", BOUND, get(EVENTS, json!({"limit": "1000"}))));
    assert_ok(assert_peak("short samples", BOUND, get(HISTORY, json!({"limit": "10000"}))));
    assert_ok(assert_peak("short windows", BOUND, get(HISTORY, json!({"limit": "10000", "resolution": "1s"}))));
}
