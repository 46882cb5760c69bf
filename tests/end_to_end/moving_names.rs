//! Names that move to a vehicle of another fleet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::consent::{drain, until};
use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until a change is effective everywhere.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time until events are stored.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(1);

/// The speed in events that were sent when the change was effective.
const SETTLED_SPEED: f64 = 60.0;

fn event(id: &str, subject: &str, speed: f64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "urn:moving", "type": "roadcast.telemetry.v1", "subject": subject,
        "time": "2026-02-01T12:00:00Z",
        "data": {"samples": [{"at": "2026-02-01T12:00:00Z", "signals": {
            "Vehicle.Speed": speed, "Vehicle.CurrentLocation.Latitude": 51.5, "Vehicle.CurrentLocation.Longitude": 7.5,
        }}]},
    })
}

/// Puts events about a subject onto the stream, under a partition key each, as a partner does.
fn put_records(stack: &Stack, subject: &str, speed: f64, ids: &[String]) {
    let record = |id: &String| json!({"Data": STANDARD.encode(event(id, subject, speed).to_string()), "PartitionKey": format!("key-{id}")});
    let records: Vec<Value> = ids.iter().map(record).collect();
    let body = json!({"StreamName": stack.resource("TelemetryStreamName"), "Records": records});
    let output = stack.aws("kinesis", "Kinesis_20131202.PutRecords", &body);
    assert_eq!(output["FailedRecordCount"].as_u64().unwrap_or_default(), 0, "{output}");
}

/// Returns the number of events of a vehicle, as an admin sees them.
fn stored(stack: &Stack, vid: &str) -> usize {
    stack.json(stack.admin(), &format!("/vehicles/{vid}/events"))["events"].as_array().map_or(0, Vec::len)
}

fn register(stack: &Stack, details: &Value) -> String {
    let created = stack.post(stack.admin(), "/vehicles", details);
    assert_eq!(created.status, 201, "{}", created.body);
    created.json()["vid"].as_str().expect("a vid").to_owned()
}

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

pub(crate) fn vin_of_a_retired_vehicle_belongs_to_its_new_fleet(shared: &Shared) {
    let stack = shared.stack();
    let vin = "WVWZZZ1JZXW000017";
    let subject = format!("vin:{vin}");
    let old = register(stack, &json!({"vin": vin}));
    let old_fleet = stack.fleet(&[&old], &["telematics", "track-and-trace"]);
    put_records(stack, &subject, 30.0, &ids("before", 3));
    until("the first events are stored", PROCESSING_TIMEOUT, || stored(stack, &old) == 3);

    assert_eq!(stack.call("DELETE", &format!("/vehicles/{old}"), Some(stack.admin()), &[], "").status, 204);
    let new = register(stack, &json!({"vin": vin}));
    assert_ne!(new, old);
    let new_fleet = stack.fleet(&[&new], &["telematics", "track-and-trace"]);
    std::thread::sleep(CHANGE_TIMEOUT);

    put_records(stack, &subject, 30.0, &ids("after", 6));
    let upload = stack.post(stack.admin(), "/events", &json!([event("upload", &subject, 30.0)]));
    assert_eq!(upload.status, 202, "{}", upload.body);
    let by_old_id = stack.post(stack.admin(), &format!("/vehicles/{old}/events"), &event("by-id", &old, 30.0));
    assert_eq!(by_old_id.status, 409, "a retired vehicle accepts no events");
    until("the events are stored for the new vehicle", PROCESSING_TIMEOUT, || stored(stack, &new) == 7);
    assert_eq!(stored(stack, &old), 3, "nothing is stored for the retired vehicle");
    let vehicles =
        |fleet: &(String, String)| -> BTreeSet<String> { drain(stack, fleet).0.into_iter().map(|(vid, _)| vid).collect() };
    assert_eq!(vehicles(&old_fleet), BTreeSet::from([old.clone()]));
    assert_eq!(vehicles(&new_fleet), BTreeSet::from([new.clone()]));
    assert_eq!(stack.get(&old_fleet.1, &format!("/vehicles/{new}/events")).status, 404);
}

pub(crate) fn moved_external_id_reaches_the_former_fleet_no_more(shared: &Shared) {
    let stack = shared.stack();
    let [name_a, name_b, moved] = ["a", "b", "moved"].map(|value| json!({"scheme": "moving", "value": value}));
    let subject = "moving:moved";
    let a = register(stack, &json!({"externalIds": [name_a, moved]}));
    let b = register(stack, &json!({"externalIds": [name_b]}));
    let fleet_a = stack.fleet(&[&a], &["telematics", "track-and-trace"]);
    let fleet_b = stack.fleet(&[&b], &["telematics", "track-and-trace"]);
    put_records(stack, subject, 30.0, &ids("first", 1));
    until("the first event is stored", PROCESSING_TIMEOUT, || stored(stack, &a) == 1);

    let replace = |vid: &str, details: &Value| {
        let path = format!("/vehicles/{vid}");
        let tag = stack.get(stack.admin(), &path).header("etag").expect("a tag").to_owned();
        let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
        let replaced = stack.call("PUT", &path, Some(stack.admin()), &headers, details.to_string());
        assert_eq!(replaced.status, 200, "{}", replaced.body);
    };
    replace(&a, &json!({"externalIds": [name_a]}));
    replace(&b, &json!({"externalIds": [name_b, moved]}));
    let moved_at = Instant::now();
    let mut settled = 0;
    // Events of the first seconds may belong to either vehicle, later ones belong to B.
    for second in 0..20 {
        let is_settled = moved_at.elapsed() >= CHANGE_TIMEOUT;
        let speed = if is_settled { SETTLED_SPEED } else { 30.0 };
        put_records(stack, subject, speed, &[format!("stream-{second}")]);
        let upload = stack.post(stack.admin(), "/events", &json!([event(&format!("upload-{second}"), subject, speed)]));
        assert_eq!(upload.status, 202, "{}", upload.body);
        settled += if is_settled { 2 } else { 0 };
        std::thread::sleep(Duration::from_secs(1));
    }
    let settled_events = |vid: &str| -> usize {
        let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events"), "events");
        let speed = |event: &Value| event["data"]["samples"][0]["signals"]["Vehicle.Speed"].as_f64();
        events.iter().filter(|event| speed(event) == Some(SETTLED_SPEED)).count()
    };
    until("the events are stored", PROCESSING_TIMEOUT, || stored(stack, &a) + stored(stack, &b) == 1 + 40);
    assert_eq!((settled_events(&a), settled_events(&b)), (0, settled));
    let delivered =
        |fleet: &(String, String)| drain(stack, fleet).0.into_iter().map(|(vid, _)| vid).collect::<BTreeSet<_>>();
    assert_eq!(delivered(&fleet_a), BTreeSet::from([a]));
    assert_eq!(delivered(&fleet_b), BTreeSet::from([b]));
}
