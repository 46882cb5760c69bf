//! Creation and changes: idempotency keys, the life cycle of a vehicle, and `CloudEvents` content modes.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::shared::Shared;

const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn repeated_idempotency_key_creates_nothing(shared: &Shared) {
    let stack = shared.stack();
    let create = |path: &str, key: &str, body: &Value| {
        stack.call("POST", path, Some(stack.admin()), &[JSON, ("idempotency-key", key)], body.to_string())
    };
    let before = stack.all(stack.admin(), "/fleets", "items").len();
    let fleet = json!({"name": "Twice", "plan": "plus"});
    let first = create("/fleets", "\"a-key\"", &fleet);
    let again = create("/fleets", "a-key", &fleet);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(stack.all(stack.admin(), "/fleets?limit=3", "items").len(), before + 1, "one fleet was created");
    let other = create("/fleets", "a-key", &json!({"name": "Another"}));
    assert_eq!((other.status, problem(&other.body).as_str()), (422, "idempotency-key-reused"));
    assert_eq!(create("/fleets", &"x".repeat(256), &fleet).status, 400);

    // A rejected request may be corrected under the same key.
    assert_eq!(create("/fleets", "corrected", &json!({"name": ""})).status, 422);
    assert_eq!(create("/fleets", "corrected", &json!({"name": "Corrected"})).status, 201);

    // A repeated request returns the secret again, although it is not stored with the response.
    let client = json!({"name": "Twice", "kind": "fleet", "fleetId": first.json()["fleetId"]});
    let (first, again) = (create("/clients", "c", &client).json(), create("/clients", "c", &client).json());
    assert_eq!(first, again);
    assert!(!stack.token_of(&again).is_empty());

    // Concurrent requests: one creates the fleet; the others get a conflict or the same response.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..4).map(|_| scope.spawn(|| create("/fleets", "at-once", &fleet).status)).collect();
        requests.into_iter().map(|request| request.join().expect("a status")).collect()
    });
    assert!(statuses.iter().all(|status| [201, 409].contains(status)) && statuses.contains(&201), "{statuses:?}");
    assert_eq!(stack.all(stack.admin(), "/fleets", "items").len(), before + 3);
}

pub(crate) fn vehicle_is_found_replaced_and_retired(shared: &Shared) {
    let stack = shared.stack();
    let admin = stack.admin();
    let bus = |value: &str, make: &str| {
        json!({"externalIds": [{"scheme": "depot", "value": value}], "make": make, "modelYear": 2019,
               "attributes": {"garage": "Südhof 7"}})
    };
    let created = stack.post(admin, "/vehicles", &bus("b-1", "Gillig"));
    assert_eq!(created.status, 201);
    assert_eq!(stack.post(admin, "/vehicles", &bus("b-1", "Gillig")).status, 200, "the vehicle is already registered");
    stack.post(admin, "/vehicles", &bus("b-2", "MAN"));
    let vid = created.json()["vid"].as_str().expect("a vid").to_owned();
    let path = format!("/vehicles/{vid}");
    let found = |query: &str| -> Vec<String> {
        let items = stack.all(admin, &format!("/vehicles?{query}"), "items");
        items.iter().map(|vehicle| vehicle["externalIds"][0]["value"].as_str().expect("a value").to_owned()).collect()
    };
    assert_eq!(found("externalId=depot:b-1"), ["b-1"]);
    assert_eq!(found("make=gillig&modelYear=2019"), ["b-1"]);
    assert_eq!(found("q=s%C3%BCdhof&limit=1").len(), 2, "the second page is read, too");
    assert!(found("make=gillig&modelYear=2018").is_empty() && found("externalId=depot:none").is_empty());
    for invalid in ["externalId=b-1", "modelYear=new", "retired=maybe", "colour=red"] {
        assert_eq!(stack.get(admin, &format!("/vehicles?{invalid}")).status, 400, "{invalid}");
    }

    let tag = stack.get(admin, &path).header("etag").expect("a tag").to_owned();
    let put = |headers: &[(&str, &str)]| {
        let headers = [&[JSON], headers].concat();
        stack.call("PUT", &path, Some(admin), &headers, bus("b-1", "Volvo").to_string()).status
    };
    assert_eq!(put(&[]), 428);
    assert_eq!((put(&[("if-match", &tag)]), put(&[("if-match", &tag)])), (200, 412), "the second update has a stale tag");

    let sample = event("retired");
    assert_eq!(stack.post(admin, &format!("{path}/events"), &sample).status, 202);
    assert_eq!(stack.call("DELETE", &path, Some(admin), &[("if-match", &tag)], "").status, 412);
    assert_eq!(stack.call("DELETE", &path, Some(admin), &[], "").status, 204);
    assert_eq!(stack.call("DELETE", &path, Some(admin), &[], "").status, 204, "deleting again changes nothing");
    assert!(stack.json(admin, &path)["retiredAt"].is_string());
    assert!(found("externalId=depot:b-1").is_empty() && found("make=volvo&retired=true") == ["b-1"]);
    let tag = stack.get(admin, &path).header("etag").expect("a tag").to_owned();
    assert_eq!(put(&[("if-match", &tag)]), 409);
    let successor = stack.post(admin, "/vehicles", &bus("b-1", "Gillig"));
    assert_eq!(successor.status, 201, "its external ids are free");
    assert_ne!(successor.json()["vid"], vid);
}

pub(crate) fn events_are_accepted_in_every_content_mode(shared: &Shared) {
    let stack = shared.stack();
    let admin = stack.admin();
    let vid = stack.post(admin, "/vehicles", &json!({"externalIds": [{"scheme": "modes", "value": "1"}]})).json();
    let path = format!("/vehicles/{}/events", vid["vid"].as_str().expect("a vid"));
    let send = |headers: &[(&str, &str)], body: Vec<u8>| stack.call("POST", &path, Some(admin), headers, body);
    let eid = |response: &crate::stack::Response| response.json()["accepted"][0]["eid"].clone();
    let structured = send(&[("content-type", "application/cloudevents+json")], event("1").to_string().into_bytes());
    assert_eq!(structured.status, 202, "{}", structured.body);

    // The same event in binary mode has the same eid.
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "urn:modes"),
        ("ce-type", "roadcast.telemetry.v1"),
        ("ce-time", "2026-01-01T12:00:00Z"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let binary = send(&attributes, event("1")["data"].to_string().into_bytes());
    assert_eq!((binary.status, eid(&binary)), (202, eid(&structured)), "{}", binary.body);
    let without_id: Vec<_> = attributes.into_iter().filter(|(name, _)| *name != "ce-id").collect();
    assert_eq!(send(&without_id, event("1")["data"].to_string().into_bytes()).status, 400);

    let batch = json!([event("1"), event("2")]).to_string().into_bytes();
    let batched = send(&[("content-type", "application/cloudevents-batch+json")], batch.clone());
    assert_eq!((batched.status, eid(&batched)), (202, eid(&structured)));
    assert_eq!(send(&[("content-type", "application/cloudevents+json")], batch.clone()).status, 400);
    assert_eq!(send(&[("content-type", "text/plain")], batch.clone()).status, 415);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&batch).expect("into memory");
    let compressed = gzip.finish().expect("gzip");
    let headers = [("content-type", "application/cloudevents-batch+json"), ("content-encoding", "gzip")];
    assert_eq!(send(&headers, compressed).status, 202);
    assert_eq!(send(&headers, batch).status, 400, "the body is not gzip");

    // The response to a mixed batch has a status per event.
    let mut valid = event("3");
    valid["subject"] = json!("modes:1");
    let mixed = stack.post(admin, "/events", &json!([valid, event("4"), {"specversion": "0.3"}]));
    let statuses: Vec<Value> =
        mixed.json()["results"].as_array().expect("results").iter().map(|r| r["status"].clone()).collect();
    assert_eq!((mixed.status, statuses), (202, vec![json!(202), json!(422), json!(400)]), "{}", mixed.body);
}

fn event(id: &str) -> Value {
    let at = "2026-01-01T12:00:00Z";
    json!({
        "specversion": "1.0", "id": id, "source": "urn:modes", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 48.3}}]},
    })
}

fn problem(body: &str) -> String {
    let document: Value = serde_json::from_str(body).expect("a problem");
    document["type"].as_str().expect("a type").rsplit('/').next().expect("an id").to_owned()
}
