//! Events of registered types: from a schema and a package over HTTP to the fleet that subscribed, and schemas as a file.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::{Answer, Stack};

const TYRE: &str = "com.example.tyre.v1";
/// How long the stack may take to let an event or a file through.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a change may take to hold everywhere.
const HOLDS_WITHIN: Duration = Duration::from_secs(5);

fn until<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < patience, "{what} does not hold after {patience:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A schema of tyre checks up to that pressure.
fn schema(kpa: u32) -> Value {
    json!({
        "type": "object", "required": ["wheel", "kPa"], "additionalProperties": false,
        "properties": {"wheel": {"enum": ["front-left", "front-right"]}, "kPa": {"type": "number", "maximum": kpa}},
    })
}

fn register(stack: &Stack, event_type: &str, schema: &Value) -> Answer {
    stack.post(stack.admin(), "/schemas", &json!({"type": event_type, "schema": schema}))
}

fn put(stack: &Stack, name: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    stack.call("PUT", &format!("/packages/{name}"), Some(stack.admin()), &headers, body.to_string())
}

fn pointers(problem: &Answer) -> Vec<String> {
    let errors = problem.json()["errors"].clone();
    let of_one = |error: &Value| error["pointer"].as_str().expect("a pointer").to_owned();
    errors.as_array().into_iter().flatten().map(of_one).collect()
}

fn send(stack: &Stack, vid: &str, id: &str, event_type: &str, data: &Value) -> Answer {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "urn:custom", "type": event_type, "time": "2026-02-01T12:00:00Z", "data": data,
    });
    stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event)
}

pub(crate) fn an_event_of_a_registered_type_reaches_who_subscribed_to_its_package(stack: &Stack) {
    let made = stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "custom", "value": "1"}]})).json();
    let vid = made["vid"].as_str().expect("a vid");
    let good = json!({"wheel": "front-left", "kPa": 240.5});

    // A type that nobody registered is not taken, and no package holds it.
    let unknown = send(stack, vid, "unknown", TYRE, &good);
    assert_eq!((unknown.status, pointers(&unknown)), (422, vec!["/type".to_owned()]), "{}", unknown.body);
    let tyres = json!({"eventTypes": [TYRE]});
    assert_eq!(pointers(&put(stack, "tyres", &[], &tyres)), ["/eventTypes/0"]);

    let registered = register(stack, TYRE, &schema(500));
    let location = format!("schemas/{TYRE}/versions/1");
    assert_eq!((registered.status, registered.header("location")), (201, Some(location.as_str())), "{}", registered.body);
    assert_eq!(register(stack, TYRE, &schema(500)).status, 200, "it is in force already");
    let narrower = register(stack, TYRE, &schema(400));
    assert_eq!((narrower.status, pointers(&narrower)), (422, vec!["/schema/properties/kPa/maximum".to_owned()]));
    let reason = narrower.json()["errors"][0]["detail"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("incompatible with version 1")), "{reason}");
    assert_eq!(register(stack, TYRE, &schema(1000)).status, 201);
    let versions = stack.json(stack.admin(), &format!("/schemas/{TYRE}/versions"));
    assert_eq!(versions["items"].as_array().map(Vec::len), Some(2));

    // A package is made once, and replaced only by who says which version.
    let package = put(stack, "tyres", &[("if-none-match", "*")], &tyres);
    assert_eq!((package.status, package.header("etag")), (201, Some("\"1\"")), "{}", package.body);
    assert_eq!(put(stack, "tyres", &[], &tyres).status, 428);
    assert_eq!(put(stack, "tyres", &[("if-match", "\"9\"")], &tyres).status, 412);
    assert_eq!(put(stack, "alerts", &[("if-match", "\"1\"")], &tyres).status, 409, "the first packages are fixed");

    let fleet = stack.fleet(&[vid], &["tyres"]);
    let others = stack.fleet(&[vid], &["telematics"]);
    let ingest = stack.ingest_client("urn:custom");
    for token in [&fleet.1, &ingest] {
        assert_eq!(stack.json(token, &format!("/schemas/{TYRE}"))["version"], 2, "who sends and who reads may know it");
        assert_eq!(stack.json(token, "/packages/tyres")["eventTypes"], json!([TYRE]));
    }

    // What the schema allows is taken, and the rest is refused where it is wrong.
    let taken = send(stack, vid, "good", TYRE, &good);
    assert_eq!(taken.status, 202, "{}", taken.body);
    let eid = taken.json()["accepted"][0]["eid"].clone();
    let bad = send(stack, vid, "bad", TYRE, &json!({"wheel": "front-left", "kPa": 2000}));
    assert_eq!((bad.status, pointers(&bad)), (422, vec!["/data/kPa".to_owned()]), "{}", bad.body);

    let history = format!("/vehicles/{vid}/events?type={TYRE}");
    let found =
        |token: &str, path: &str| -> Vec<Value> { stack.json(token, path)["events"].as_array().cloned().expect("events") };
    let read = until("it is read", PATIENCE, || found(&fleet.1, &history).first().cloned());
    assert_eq!((&read["id"], &read["type"], &read["data"]), (&eid, &json!(TYRE), &good));
    let path = format!("/vehicles/{vid}/events/{}", eid.as_str().expect("an eid"));
    assert_eq!(stack.json(&fleet.1, &path)["data"], good);
    assert!(found(&others.1, &history).is_empty(), "another package does not hold it");
    let arrivals = format!("/events?type={TYRE}");
    let arrived = until("it has arrived", PATIENCE, || found(&fleet.1, &arrivals).first().cloned());
    assert_eq!(arrived["data"], good);
    let fed = until("it is in the feed", PATIENCE, || {
        let feed = stack.json(&fleet.1, &format!("/fleets/{}/feed?wait=2", fleet.0));
        feed["events"].as_array().and_then(|events| events.first().cloned())
    });
    assert_eq!((&fed["id"], &fed["data"]), (&eid, &good));

    // What the package no longer holds is gone.
    let changed = put(stack, "tyres", &[("if-match", "\"1\"")], &json!({"signals": ["Vehicle.Speed"]}));
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{}", changed.body);
    // Each copy of a function has a memory of its own.
    until("it is gone everywhere", HOLDS_WITHIN, || {
        [&history, &arrivals].iter().all(|path| found(&fleet.1, path).is_empty()).then_some(())
    });
}

pub(crate) fn a_file_of_schemas_registers_what_is_good_of_it(stack: &Stack) {
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
        let told = until("the file is loaded", PATIENCE, || stack.file(&format!("reports/{key}.summary.json")));
        serde_json::from_str(&told).expect("JSON")
    };
    let first = summary("schemas/doors.ndjson");
    assert_eq!((&first["rows"], &first["loaded"], &first["wrong"]), (&json!(4), &json!(2), &json!(2)), "{first}");
    let report = stack.file("reports/schemas/doors.ndjson.report.ndjson").expect("a report");
    let told: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = told.iter().map(|line| (&line["line"], &line["pointer"], &line["reason"])).collect();
    let (version, schema) = ((json!("/version"), json!("version")), (json!("/schema/maxProprties"), json!("schema")));
    assert_eq!(told, [(&json!(3), &version.0, &version.1), (&json!(4), &schema.0, &schema.1)]);
    assert_eq!(stack.json(stack.admin(), &format!("/schemas/{door}"))["version"], 2);

    let again = summary("schemas/again.ndjson");
    assert_eq!((&again["loaded"], &again["unchanged"]), (&json!(0), &json!(2)), "the same again registers nothing: {again}");
}
