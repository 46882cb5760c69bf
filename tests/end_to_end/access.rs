//! Authorization of every operation: without a token, with another scope, and for resources of another fleet or client.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contract::Operation;
use crate::shared::Shared;
use crate::stack::{Response, Stack};

const SCOPES: [&str; 3] = ["roadcast/admin", "roadcast/read", "roadcast/ingest"];

/// Operations without a resource id in the path, which cannot name a resource of another caller. The list may only shrink: a
/// new operation without an id in its path gets a check in [`check_collections`].
const EXCEPTIONS: [(&str, &str); 9] = [
    ("getHealth", "public, and reads no data"),
    ("listSignals", "the same for all callers"),
    ("listPackages", "the same for all callers"),
    ("listSchemas", "the same for all callers"),
    ("registerSchema", "admins only"),
    ("createFleet", "admins only"),
    ("createClient", "admins only"),
    ("registerVehicle", "returns the caller's own vehicle, or a conflict: `registered_vehicles_belong_to_their_client`"),
    ("sendEvents", "each event names its vehicle: `only_the_registering_client_sends_events`"),
];

/// Operations on resources that all callers may read, although the path has an id. This list may only shrink, too.
const SHARED: [&str; 4] = ["getPackage", "getSchema", "listSchemaVersions", "getSchemaVersion"];

pub(crate) fn every_operation_authorizes_the_caller(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let ((fleet_id, token), (_, other_fleet)) = (&trips.fleet, &trips.other_fleet);
    let vid = trips.subscribed.as_str();
    let ingest = stack.ingest_client("urn:access");
    let subscription = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/subscriptions"), "items").remove(0);
    let endpoints = format!("/fleets/{fleet_id}/endpoints");
    let endpoint = stack.post(token, &endpoints, &json!({"url": "https://hooks.example.com/", "state": "paused"})).json();
    let endpoint_id = endpoint["endpointId"].as_str().expect("an id");
    let eid = stack.json(token, &format!("/vehicles/{vid}/events?limit=1"))["events"][0]["id"].clone();
    let path = |operation: &Operation| {
        let ids = [
            ("{vid}", vid),
            ("{fleetId}", fleet_id),
            ("{erasureId}", "era_0000000000000000"),
            ("{clientId}", "x"),
            ("{credentialId}", "x"),
            ("{eid}", eid.as_str().expect("an id")),
            ("{name}", "alerts"),
            ("{type}", TYPE),
            ("{version}", "1"),
            ("{deadLetterId}", "dlt_00000000000000000000000000"),
            ("{redriveId}", "none"),
            ("{endpointId}", endpoint_id),
            ("{ruleId}", "rul_0000000000000000"),
            ("{backTestId}", "bkt_0000000000000000"),
            ("{deliveryId}", "00000000000000000000000000"),
            ("{subscriptionId}", subscription["subscriptionId"].as_str().expect("an id")),
        ];
        ids.iter().fold(operation.path.clone(), |path, (name, id)| path.replace(name, id))
    };
    assert!([200, 201].contains(&stack.post(stack.admin(), "/schemas", &schema()).status));
    let checked_collections = check_collections(stack, vid, fleet_id, other_fleet, &ingest);
    let mut exceptions = BTreeSet::new();
    for operation in &stack.contract.operations {
        let path = path(operation);
        let call = |token: Option<&str>| call(stack, operation, &path, token);
        if operation.scopes.is_empty() {
            assert_eq!(call(None).status, 200, "{} is public", operation.id);
            exceptions.insert(operation.id.as_str());
            continue;
        }
        for invalid in [None, Some("no token"), Some("eyJhbGciOiJub25lIn0.e30.")] {
            assert_eq!(call(invalid).status, 401, "{} without a valid token", operation.id);
        }
        for (scope, token) in SCOPES.iter().zip([stack.admin(), token, &ingest]) {
            if !operation.scopes.contains(*scope) {
                // The gateway rejects a token without the scope like an invalid one; the function returns 403.
                let status = call(Some(token)).status;
                assert!([401, 403].contains(&status), "{} with {scope} returned {status}", operation.id);
            }
        }
        if SHARED.contains(&operation.id.as_str()) {
            for token in [stack.admin(), token, other_fleet, &ingest] {
                assert_eq!(call(Some(token)).status, 200, "{} is the same for all callers", operation.id);
            }
        } else if operation.path.contains('{') {
            for (scope, other) in [("roadcast/read", other_fleet), ("roadcast/ingest", &ingest)] {
                if operation.scopes.contains(scope) {
                    let response = call(Some(other));
                    assert_eq!(response.status, 404, "{} of another caller with {scope}: {}", operation.id, response.body);
                }
            }
        } else if !checked_collections.contains(operation.id.as_str()) {
            exceptions.insert(operation.id.as_str());
        }
    }
    assert_eq!(exceptions, EXCEPTIONS.iter().map(|(id, _)| *id).collect(), "operations without a check for other callers");
}

/// Sends a request that is valid for an authorized caller.
fn call(stack: &Stack, operation: &Operation, path: &str, token: Option<&str>) -> Response {
    let body = match operation.id.as_str() {
        "registerVehicle" | "replaceVehicle" => json!({"externalIds": [{"scheme": "access", "value": "1"}]}),
        "putPackage" => json!({"signals": ["Vehicle.Speed"]}),
        "registerSchema" => schema(),
        "createFleet" => json!({"name": "Unauthorized"}),
        "createClient" => json!({"name": "Unauthorized", "kind": "ingest", "sources": ["urn:unauthorized"]}),
        "createSubscription" | "replaceSubscription" => {
            json!({"vehicles": ["veh_0000000000000000"], "packages": ["alerts"]})
        }
        "eraseVehicles" => json!({"vehicles": ["veh_0000000000000000"]}),
        "putRedrive" => json!({"deadLetterIds": ["dlt_00000000000000000000000000"]}),
        "createEndpoint" | "replaceEndpoint" => json!({"url": "https://hooks.example.com/"}),
        "createAlertRule" | "replaceAlertRule" | "createAlertRuleOfOperator" | "replaceAlertRuleOfOperator" => alert_rule(),
        "testAlertRule" | "testAlertRuleOfOperator" => {
            json!({"rule": alert_rule(), "vehicles": ["veh_0000000000000000"]})
        }
        "putEndpointRedrive" => json!({"all": true}),
        "readFeed" | "rotateEndpointSecret" | "testEndpoint" => json!({}),
        "acknowledgeFeed" => json!({"ack": "QUJD"}),
        _ => event("access", "urn:access", None),
    };
    let mut headers = vec![("content-type", "application/json")];
    if operation.method == "PUT" || operation.method == "DELETE" {
        headers.push(("if-match", "\"1\""));
    }
    let body = if operation.method == "GET" || operation.method == "DELETE" { String::new() } else { body.to_string() };
    stack.call(&operation.method, path, token, &headers, body)
}

/// A registered event type.
const TYPE: &str = "com.example.access.v1";

fn alert_rule() -> Value {
    json!({"name": "Unauthorized", "severity": "info", "condition": {"milOn": {}}, "enabled": false})
}

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

/// Checks what other callers see in lists and batches. Returns the ids of the checked operations.
fn check_collections(stack: &Stack, vid: &str, fleet_id: &str, other_fleet: &str, ingest: &str) -> BTreeSet<&'static str> {
    assert_eq!(stack.json(other_fleet, "/vehicles")["items"], json!([]), "a fleet lists only vehicles that it may see");
    assert_eq!(stack.json(ingest, "/vehicles")["items"], json!([]), "an ingest client lists only its own vehicles");
    assert_eq!(stack.json(other_fleet, "/events")["events"], json!([]), "a fleet reads only events of its vehicles");
    let fleets = stack.all(other_fleet, "/fleets", "items");
    assert!(fleets.len() == 1 && fleets[0]["fleetId"] != fleet_id, "a fleet lists only itself: {fleets:?}");
    assert_eq!(stack.get(ingest, "/vehicles?registeredBy=x").status, 403, "only admins list the vehicles of a client");
    for token in [other_fleet, ingest] {
        assert!([401, 403].contains(&stack.get(token, "/clients").status), "only admins list clients");
        assert!([401, 403].contains(&stack.get(token, "/dead-letters").status), "only admins list dead letters");
        assert!([401, 403].contains(&stack.get(token, "/erasures").status), "only admins list erasures");
        let erased = stack.post(token, "/erasures", &json!({ "vehicles": [vid] }));
        assert!([401, 403].contains(&erased.status), "only admins erase vehicles");
        for path in ["/alert-rules", "/alert-rules/audit", "/back-tests"] {
            assert!([401, 403].contains(&stack.get(token, path).status), "only admins read {path}");
        }
        for path in ["/alert-rules", "/alert-rules/test"] {
            let status = stack.post(token, path, &alert_rule()).status;
            assert!([401, 403].contains(&status), "only admins send to {path}");
        }
    }
    registered_vehicles_belong_to_their_client(stack, vid, ingest);
    only_the_registering_client_sends_events(stack, vid, ingest);
    BTreeSet::from([
        "listVehicles",
        "listEvents",
        "listFleets",
        "listClients",
        "listDeadLetters",
        "listErasures",
        "eraseVehicles",
        "listAlertRulesOfOperator",
        "listAlertRuleChangesOfOperator",
        "listBackTestsOfOperator",
        "createAlertRuleOfOperator",
        "testAlertRuleOfOperator",
    ])
}

/// Registering a vehicle of another client is a conflict that does not reveal its vid.
fn registered_vehicles_belong_to_their_client(stack: &Stack, vid: &str, ingest: &str) {
    let vehicle = stack.json(stack.admin(), &format!("/vehicles/{vid}"));
    let conflict = stack.post(ingest, "/vehicles", &json!({"externalIds": vehicle["externalIds"]}));
    assert_eq!(conflict.status, 409);
    assert!(!conflict.body.contains(vid), "{}", conflict.body);
}

/// A client may send events only of its own vehicles and from its own sources.
fn only_the_registering_client_sends_events(stack: &Stack, vid: &str, ingest: &str) {
    let rejected_status = |event: Value| {
        let response = stack.post(ingest, "/events", &event);
        assert_eq!(response.status, 422, "{}", response.body);
        response.json()["results"][0]["status"].as_u64().expect("a status")
    };
    assert_eq!(
        rejected_status(event("1", "urn:access", Some(vid))),
        422,
        "a vehicle of another client is treated as unknown"
    );
    let own = stack.post(ingest, "/vehicles", &json!({"externalIds": [{"scheme": "access", "value": "own"}]})).json();
    let own = own["vid"].as_str().expect("an id");
    assert_eq!(rejected_status(event("2", "urn:another", Some(own))), 403, "a source of another client");
    assert_eq!(stack.post(ingest, "/events", &event("3", "urn:access", Some(own))).status, 202);
}
