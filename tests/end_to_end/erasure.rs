//! Erasures: nothing of the vehicle is found in any store, and other vehicles keep what they had.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::{drive, now};
use crate::consent::{drain, send, until, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until events are stored and delivered.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(1);
/// The maximum time until functions no longer use what they cached.
const HIDDEN_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum time of both passes. On the local stack, the second one follows at once.
const ERASURE_TIMEOUT: Duration = Duration::from_mins(5);

/// The tables, by the outputs of the stack.
const TABLES: [&str; 8] = [
    "VehiclesTableName",
    "VehicleEventsTableName",
    "VehicleStateTableName",
    "FeedIndexTableName",
    "DeliveriesTableName",
    "DeadLettersTableName",
    "ReferenceTableName",
    "AlertStateTableName",
];

/// Returns the tables and partitions with an item that mentions a text, but for those whose items may: the record of the erasure,
/// tombstones, audit trails, rules that name it, back-tests, which expire, and responses that are kept for a day.
fn partitions_with(stack: &Stack, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for table in TABLES {
        let mut request = json!({ "TableName": stack.resource(table) });
        loop {
            let page = stack.aws("dynamodb", "DynamoDB_20120810.Scan", &request);
            let items = page["Items"].as_array().expect("items").iter();
            let is_record = |item: &Value| {
                let partition = item["pk"]["S"].as_str().unwrap_or_default();
                let may_mention = ["audit#", "erased#", "request#", "backTest", "alertRules#"]
                    .iter()
                    .any(|prefix| partition.starts_with(prefix));
                partition == "erasures" || may_mention || item["erasedAt"].is_object()
            };
            let mentioning = items.filter(|item| !is_record(item) && item.to_string().contains(text));
            found.extend(mentioning.map(|item| format!("{table} {}", item["pk"]["S"].as_str().unwrap_or_default())));
            match page.get("LastEvaluatedKey") {
                Some(key) => request["ExclusiveStartKey"] = key.clone(),
                None => break,
            }
        }
    }
    found
}

/// Has the alert evaluator store a checkpoint of a vehicle, and watch its silence, by rules of a fleet. Returns the path of a
/// back-test of the operator that found an alert about it.
fn evaluate(stack: &Stack, (fleet_id, token): &(String, String), vid: &str) -> String {
    let condition = json!({"threshold": {"signal": "Vehicle.Speed", "above": 130}});
    // Of this vehicle only: the others send old data, and count as silent.
    let scope = json!({ "vehicles": [vid] });
    let fast = json!({"name": "Too fast", "severity": "warning", "condition": condition, "scope": scope});
    let silent = json!({"noData": {"afterS": 3600}});
    let silent = json!({"name": "Silent", "severity": "warning", "condition": silent, "scope": scope});
    let started = now();
    for rule in [&fast, &silent] {
        let created = stack.post(token, &format!("/fleets/{fleet_id}/alert-rules"), rule);
        assert_eq!(created.status, 201, "{}", created.body);
    }
    // Functions cache rules for five seconds.
    std::thread::sleep(Duration::from_secs(6));
    drive(stack, vid, "fast", &[100.0, 140.0]);
    let is_stored = || {
        let partitions = partitions_with(stack, vid);
        let has = |part: &str| partitions.iter().any(|of| of.starts_with(&format!("AlertStateTableName {part}")));
        has("vehicle#") && has("watched#")
    };
    until("the evaluator has stored its state", PROCESSING_TIMEOUT, is_stored);
    let of_type = format!("/vehicles/{vid}/events?type=roadcast.telemetry.v1&from={started}");
    until("the drive is stored", PROCESSING_TIMEOUT, || {
        stack.json(stack.admin(), &of_type)["events"].as_array().is_some_and(|events| !events.is_empty())
    });
    let test = json!({"rule": fast, "vehicles": [vid], "from": started});
    let test = stack.post(stack.admin(), "/alert-rules/test", &test);
    assert_eq!(test.status, 202, "{}", test.body);
    let path = format!("/back-tests/{}", test.json()["backTestId"].as_str().expect("an id"));
    until("the back-test is finished", PROCESSING_TIMEOUT, || stack.json(stack.admin(), &path)["state"] == "finished");
    assert_ne!(stack.json(stack.admin(), &path)["alerts"], json!([]));
    path
}

pub(crate) fn erased_vehicle_is_in_no_store(shared: &Shared) {
    let stack = shared.stack();
    let (erased, kept) = (vehicle(stack, "erased"), vehicle(stack, "kept"));
    let fleet = stack.fleet(&[&erased, &kept], &["telematics", "alerts"]);
    let back_test = evaluate(stack, &fleet, &erased);
    for (vid, second) in [(&erased, 1), (&kept, 1), (&erased, 2)] {
        send(stack, vid, second);
    }
    let events = |vid: &str| {
        let page = stack.get(&fleet.1, &format!("/vehicles/{vid}/events?type=roadcast.telemetry.v1"));
        if page.status == 200 { page.json()["events"].as_array().map_or(0, Vec::len) } else { 0 }
    };
    // Two events of `send`, and a drive.
    until("the events are stored", PROCESSING_TIMEOUT, || events(&erased) == 3 && events(&kept) == 1);
    let before = partitions_with(stack, &erased);
    assert!(before.len() >= 4, "{before:?}");

    let started = stack.command(&["erase", "vehicles", &erased]);
    let erasure = format!("/erasures/{}", started["erasureId"].as_str().expect("an id"));
    for token in [stack.admin(), &fleet.1] {
        for path in ["", "/state", "/events"] {
            // Functions cache for five seconds what they read.
            until("no caller finds the vehicle", HIDDEN_TIMEOUT, || {
                stack.get(token, &format!("/vehicles/{erased}{path}")).status == 404
            });
        }
    }
    assert_eq!(stack.json(stack.admin(), &back_test)["alerts"], json!([]), "no back-test shows an alert about it");
    let of_feed = drain(stack, &fleet).0;
    assert!(of_feed.iter().all(|(vid, _)| *vid == kept), "the feed has the other vehicle only: {of_feed:?}");
    until("the erasure is complete", ERASURE_TIMEOUT, || {
        let erasure = stack.json(stack.admin(), &erasure);
        assert_ne!(erasure["state"], "failed", "{erasure}");
        erasure["state"] == "complete"
    });

    assert_eq!(partitions_with(stack, &erased), BTreeSet::new());
    assert_eq!(events(&kept), 1, "the other vehicle keeps its events");
    let complete = stack.json(stack.admin(), &erasure);
    let archive = &complete["stores"]["archive"];
    assert!(archive["removed"].as_u64().unwrap_or(0) + archive["rewritten"].as_u64().unwrap_or(0) > 0, "{complete}");
    for store in ["events", "alertState"] {
        assert!(complete["stores"][store]["removed"].as_u64() > Some(0), "{complete}");
    }

    // What is sent under the id of the vehicle is refused; its name can be registered again.
    let at = "2026-02-01T12:00:09.000Z";
    let event = json!({
        "specversion": "1.0", "id": "9", "source": "urn:erasure", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 30.0}}]},
    });
    let refused = stack.post(stack.admin(), &format!("/vehicles/{erased}/events"), &event);
    assert_eq!(refused.status, 404, "{}", refused.body);
    assert_ne!(vehicle(stack, "erased"), erased, "the name belongs to a new vehicle");
    let again = stack.post(stack.admin(), "/erasures", &json!({ "vehicles": [erased] }));
    assert_eq!(again.status, 422, "{}", again.body);
    assert_eq!(stack.json(stack.admin(), "/erasures")["items"].as_array().map(Vec::len), Some(1));
}
