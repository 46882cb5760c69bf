//! Custom event types: from schema and package to the subscribed fleet, and the import of schemas from a file.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shared::Shared;
use crate::stack::{Response, Stack};

const TYRE: &str = "com.example.tyre.v1";
/// The maximum time until an event or a file is processed.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(1);
/// The maximum time until a change is effective everywhere.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

fn until<T>(what: &str, timeout: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < timeout, "timeout after {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A schema of tyre checks with a maximum pressure in kPa.
fn schema(kpa: u32) -> Value {
    json!({
        "type": "object", "required": ["wheel", "kPa"], "additionalProperties": false,
        "properties": {"wheel": {"enum": ["front-left", "front-right"]}, "kPa": {"type": "number", "maximum": kpa}},
    })
}

fn register(stack: &Stack, event_type: &str, schema: &Value) -> Response {
    stack.post(stack.admin(), "/schemas", &json!({"type": event_type, "schema": schema}))
}

fn put(stack: &Stack, name: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    stack.call("PUT", &format!("/packages/{name}"), Some(stack.admin()), &headers, body.to_string())
}

fn pointers(problem: &Response) -> Vec<String> {
    let errors = problem.json()["errors"].clone();
    let of_one = |error: &Value| error["pointer"].as_str().expect("a pointer").to_owned();
    errors.as_array().into_iter().flatten().map(of_one).collect()
}

fn send(stack: &Stack, vid: &str, id: &str, event_type: &str, data: &Value) -> Response {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "urn:custom", "type": event_type, "time": "2026-02-01T12:00:00Z", "data": data,
    });
    stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event)
}

pub(crate) fn custom_event_is_delivered_to_fleets_with_its_package(shared: &Shared) {
    let stack = shared.stack();
    let vehicle =
        stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "custom", "value": "1"}]})).json();
    let vid = vehicle["vid"].as_str().expect("a vid");
    let valid = json!({"wheel": "front-left", "kPa": 240.5});

    // An unregistered event type is rejected, in events and in packages.
    let unknown = send(stack, vid, "unknown", TYRE, &valid);
    assert_eq!((unknown.status, pointers(&unknown)), (422, vec!["/type".to_owned()]), "{}", unknown.body);
    let tyres = json!({"eventTypes": [TYRE]});
    assert_eq!(pointers(&put(stack, "tyres", &[], &tyres)), ["/eventTypes/0"]);

    let registered = register(stack, TYRE, &schema(500));
    let location = format!("schemas/{TYRE}/versions/1");
    assert_eq!((registered.status, registered.header("location")), (201, Some(location.as_str())), "{}", registered.body);
    assert_eq!(register(stack, TYRE, &schema(500)).status, 200, "the schema is already in force");
    let narrower = register(stack, TYRE, &schema(400));
    assert_eq!((narrower.status, pointers(&narrower)), (422, vec!["/schema/properties/kPa/maximum".to_owned()]));
    let reason = narrower.json()["errors"][0]["detail"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("incompatible with version 1")), "{reason}");
    assert_eq!(register(stack, TYRE, &schema(1000)).status, 201);
    let versions = stack.json(stack.admin(), &format!("/schemas/{TYRE}/versions"));
    assert_eq!(versions["items"].as_array().map(Vec::len), Some(2));

    // A package is created once, and replaced only with the current version tag.
    let package = put(stack, "tyres", &[("if-none-match", "*")], &tyres);
    assert_eq!((package.status, package.header("etag")), (201, Some("\"1\"")), "{}", package.body);
    assert_eq!(put(stack, "tyres", &[], &tyres).status, 428);
    assert_eq!(put(stack, "tyres", &[("if-match", "\"9\"")], &tyres).status, 412);
    assert_eq!(put(stack, "alerts", &[("if-match", "\"1\"")], &tyres).status, 409, "built-in packages cannot be modified");

    let fleet = stack.fleet(&[vid], &["tyres"]);
    let others = stack.fleet(&[vid], &["telematics"]);
    let ingest = stack.ingest_client("urn:custom");
    for token in [&fleet.1, &ingest] {
        assert_eq!(stack.json(token, &format!("/schemas/{TYRE}"))["version"], 2, "senders and readers may read the schema");
        assert_eq!(stack.json(token, "/packages/tyres")["eventTypes"], json!([TYRE]));
    }

    // Valid data is accepted; invalid data is rejected with a pointer.
    let accepted = send(stack, vid, "good", TYRE, &valid);
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let eid = accepted.json()["accepted"][0]["eid"].clone();
    let invalid = send(stack, vid, "bad", TYRE, &json!({"wheel": "front-left", "kPa": 2000}));
    assert_eq!((invalid.status, pointers(&invalid)), (422, vec!["/data/kPa".to_owned()]), "{}", invalid.body);

    let history = format!("/vehicles/{vid}/events?type={TYRE}");
    let events =
        |token: &str, path: &str| -> Vec<Value> { stack.json(token, path)["events"].as_array().cloned().expect("events") };
    let read = until("the query returns the event", PROCESSING_TIMEOUT, || events(&fleet.1, &history).first().cloned());
    assert_eq!((&read["id"], &read["type"], &read["data"]), (&eid, &json!(TYRE), &valid));
    let path = format!("/vehicles/{vid}/events/{}", eid.as_str().expect("an eid"));
    assert_eq!(stack.json(&fleet.1, &path)["data"], valid);
    assert!(events(&others.1, &history).is_empty(), "fleets with other packages do not see the event");
    let arrivals = format!("/events?type={TYRE}");
    let arrived = until("the arrivals have the event", PROCESSING_TIMEOUT, || events(&fleet.1, &arrivals).first().cloned());
    assert_eq!(arrived["data"], valid);
    let fed = until("the feed has the event", PROCESSING_TIMEOUT, || {
        let feed = stack.feed(&fleet.1, &fleet.0, 2);
        feed["events"].as_array().and_then(|events| events.first().cloned())
    });
    assert_eq!((&fed["id"], &fed["data"]), (&eid, &valid));

    // Events of a type that was removed from the package are no longer visible.
    let changed = put(stack, "tyres", &[("if-match", "\"1\"")], &json!({"signals": ["Vehicle.Speed"]}));
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{}", changed.body);
    // Each function instance has its own cache.
    until("the event is not visible", CHANGE_TIMEOUT, || {
        [&history, &arrivals].iter().all(|path| events(&fleet.1, path).is_empty()).then_some(())
    });
}

pub(crate) fn schema_file_registers_its_valid_lines(shared: &Shared) {
    let stack = shared.stack();
    let door = "com.example.door.v1";
    let lines = [
        json!({"type": door, "version": 1, "schema": {"type": "object", "maxProperties": 1}}),
        json!({"type": door, "version": 2, "schema": {"type": "object", "maxProperties": 2}}),
        json!({"type": door, "version": 2, "schema": {"type": "object", "maxProperties": 3}}),
        json!({"type": "com.example.bell.v1", "schema": {"maxProprties": 1}}),
    ];
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    let summary = |key: &str| -> Value {
        stack.put_file(key, text.join("\n"));
        let summary =
            until("the file is imported", PROCESSING_TIMEOUT, || stack.file(&format!("reports/{key}.summary.json")));
        serde_json::from_str(&summary).expect("JSON")
    };
    let first = summary("schemas/doors.ndjson");
    assert_eq!((&first["rows"], &first["loaded"], &first["wrong"]), (&json!(4), &json!(2), &json!(2)), "{first}");
    let report = stack.file("reports/schemas/doors.ndjson.report.ndjson").expect("a report");
    let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let invalid: Vec<_> = lines.iter().map(|line| (&line["line"], &line["pointer"], &line["reason"])).collect();
    let (version, schema) = ((json!("/version"), json!("version")), (json!("/schema/maxProprties"), json!("schema")));
    assert_eq!(invalid, [(&json!(3), &version.0, &version.1), (&json!(4), &schema.0, &schema.1)]);
    assert_eq!(stack.json(stack.admin(), &format!("/schemas/{door}"))["version"], 2);

    let again = summary("schemas/again.ndjson");
    assert_eq!(
        (&again["loaded"], &again["unchanged"]),
        (&json!(0), &json!(2)),
        "importing the same file again registers nothing: {again}"
    );
}
