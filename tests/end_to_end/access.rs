//! Every operation asks who calls: without a token, with another scope, for another fleet's or client's things.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contract::Operation;
use crate::stack::{Answer, Stack};

const SCOPES: [&str; 3] = ["roadcast/admin", "roadcast/read", "roadcast/ingest"];

/// Operations on nothing in particular, which cannot be asked for what is another's. The list may only shrink: a new
/// operation without an id in its path gets a check of its own in [`of_collections`].
const EXCEPTIONS: [(&str, &str); 9] = [
    ("getHealth", "open to everybody, and looks at nothing"),
    ("listSignals", "the same for everybody"),
    ("listPackages", "the same for everybody"),
    ("listSchemas", "the same for everybody"),
    ("registerSchema", "only admins"),
    ("createFleet", "only admins"),
    ("createClient", "only admins"),
    ("registerVehicle", "answers the caller's own vehicle, or a conflict: `vehicles_are_their_registrars`"),
    ("sendEvents", "each event names its vehicle: `events_are_sent_by_their_registrar`"),
];

/// Operations on what is the same for everybody, though a path names it. The list may only shrink, too.
const SHARED: [&str; 4] = ["getPackage", "getSchema", "listSchemaVersions", "getSchemaVersion"];

/// `fleet` may see `vid`; `stranger` is a fleet that may see nothing.
pub(crate) fn every_operation_asks_who_calls(stack: &Stack, vid: &str, fleet: (&str, &str), stranger: &str) {
    let (fleet_id, token) = fleet;
    let ingest = stack.ingest_client("urn:access");
    let subscription = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/subscriptions"), "items").remove(0);
    let eid = stack.json(token, &format!("/vehicles/{vid}/events?limit=1"))["events"][0]["id"].clone();
    let path = |operation: &Operation| {
        let ids = [
            ("{vid}", vid),
            ("{fleetId}", fleet_id),
            ("{clientId}", "x"),
            ("{eid}", eid.as_str().expect("an id")),
            ("{name}", "alerts"),
            ("{type}", TYPE),
            ("{version}", "1"),
            ("{subscriptionId}", subscription["subscriptionId"].as_str().expect("an id")),
        ];
        ids.iter().fold(operation.path.clone(), |path, (name, id)| path.replace(name, id))
    };
    assert!([200, 201].contains(&stack.post(stack.admin(), "/schemas", &schema()).status));
    let own_check = of_collections(stack, vid, fleet_id, stranger, &ingest);
    let mut exceptions = BTreeSet::new();
    for operation in &stack.contract.operations {
        let path = path(operation);
        let call = |token: Option<&str>| call(stack, operation, &path, token);
        if operation.scopes.is_empty() {
            assert_eq!(call(None).status, 200, "{} is open", operation.id);
            exceptions.insert(operation.id.as_str());
            continue;
        }
        for nobody in [None, Some("no token"), Some("eyJhbGciOiJub25lIn0.e30.")] {
            assert_eq!(call(nobody).status, 401, "{} without a token", operation.id);
        }
        for (scope, token) in SCOPES.iter().zip([stack.admin(), token, &ingest]) {
            if !operation.scopes.contains(*scope) {
                // The gateway refuses a token without the scope as it refuses one that is none; the function says 403.
                let status = call(Some(token)).status;
                assert!([401, 403].contains(&status), "{} with {scope} answered {status}", operation.id);
            }
        }
        if SHARED.contains(&operation.id.as_str()) {
            for token in [stack.admin(), token, stranger, &ingest] {
                assert_eq!(call(Some(token)).status, 200, "{} is the same for everybody", operation.id);
            }
        } else if operation.path.contains('{') {
            for (scope, other) in [("roadcast/read", stranger), ("roadcast/ingest", ingest.as_str())] {
                if operation.scopes.contains(scope) {
                    let answer = call(Some(other));
                    assert_eq!(answer.status, 404, "{} for another with {scope}: {}", operation.id, answer.body);
                }
            }
        } else if !own_check.contains(operation.id.as_str()) {
            exceptions.insert(operation.id.as_str());
        }
    }
    assert_eq!(exceptions, EXCEPTIONS.iter().map(|(id, _)| *id).collect(), "operations without a check for other callers");
}

/// A request that would be taken of whoever may make it.
fn call(stack: &Stack, operation: &Operation, path: &str, token: Option<&str>) -> Answer {
    let body = match operation.id.as_str() {
        "registerVehicle" | "replaceVehicle" => json!({"externalIds": [{"scheme": "access", "value": "1"}]}),
        "putPackage" => json!({"signals": ["Vehicle.Speed"]}),
        "registerSchema" => schema(),
        "createFleet" => json!({"name": "Nobody's"}),
        "createClient" => json!({"name": "Nobody's", "kind": "ingest", "sources": ["urn:nobody"]}),
        "createSubscription" | "replaceSubscription" => {
            json!({"vehicles": ["veh_0000000000000000"], "packages": ["alerts"]})
        }
        "acknowledgeFeed" => json!({"ack": "QUJD"}),
        _ => event("access", "urn:access", None),
    };
    let mut headers = vec![("content-type", "application/json")];
    if operation.method == "PUT" {
        headers.push(("if-match", "\"1\""));
    }
    let body = if operation.method == "GET" || operation.method == "DELETE" { String::new() } else { body.to_string() };
    stack.call(&operation.method, path, token, &headers, body)
}

/// A type that there is.
const TYPE: &str = "com.example.access.v1";

fn schema() -> Value {
    json!({"type": TYPE, "schema": {"type": "object"}})
}

fn event(id: &str, source: &str, subject: Option<&str>) -> Value {
    let at = "2026-01-01T12:00:00Z";
    let mut event = json!({
        "specversion": "1.0", "id": id, "source": source, "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 1.0}}]},
    });
    if let Some(subject) = subject {
        event["subject"] = json!(subject);
    }
    event
}

/// What others see of lists and batches; answers the operations that were checked.
fn of_collections(stack: &Stack, vid: &str, fleet_id: &str, stranger: &str, ingest: &str) -> BTreeSet<&'static str> {
    assert_eq!(stack.json(stranger, "/vehicles")["items"], json!([]), "a fleet lists the vehicles that it may see");
    assert_eq!(stack.json(ingest, "/vehicles")["items"], json!([]), "an ingest client lists its own");
    assert_eq!(stack.json(stranger, "/events")["events"], json!([]), "arrivals are those of the own vehicles");
    let fleets = stack.all(stranger, "/fleets", "items");
    assert!(fleets.len() == 1 && fleets[0]["fleetId"] != fleet_id, "a fleet sees itself: {fleets:?}");
    vehicles_are_their_registrars(stack, vid, ingest);
    events_are_sent_by_their_registrar(stack, vid, ingest);
    BTreeSet::from(["listVehicles", "listEvents", "listFleets"])
}

/// Registering what another client registered is a conflict, and shows nothing of it.
fn vehicles_are_their_registrars(stack: &Stack, vid: &str, ingest: &str) {
    let vehicle = stack.json(stack.admin(), &format!("/vehicles/{vid}"));
    let taken = stack.post(ingest, "/vehicles", &json!({"externalIds": vehicle["externalIds"]}));
    assert_eq!(taken.status, 409);
    assert!(!taken.body.contains(vid), "{}", taken.body);
}

/// A client sends events about its own vehicles, from its own sources.
fn events_are_sent_by_their_registrar(stack: &Stack, vid: &str, ingest: &str) {
    let refused = |event: Value| {
        let answer = stack.post(ingest, "/events", &event);
        assert_eq!(answer.status, 422, "{}", answer.body);
        answer.json()["results"][0]["status"].as_u64().expect("a status")
    };
    assert_eq!(refused(event("1", "urn:access", Some(vid))), 422, "another's vehicle is as one that does not exist");
    let own = stack.post(ingest, "/vehicles", &json!({"externalIds": [{"scheme": "access", "value": "own"}]})).json();
    let own = own["vid"].as_str().expect("an id");
    assert_eq!(refused(event("2", "urn:another", Some(own))), 403, "another's source");
    assert_eq!(stack.post(ingest, "/events", &event("3", "urn:access", Some(own))).status, 202);
}
