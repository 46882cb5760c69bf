//! Erasures: nothing of the vehicle is found in any store, and other vehicles keep what they had.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

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
const TABLES: [&str; 7] = [
    "VehiclesTableName",
    "VehicleEventsTableName",
    "VehicleStateTableName",
    "FeedIndexTableName",
    "DeliveriesTableName",
    "DeadLettersTableName",
    "ReferenceTableName",
];

/// Returns the tables and partitions with an item that mentions a text, but for those whose items may: the record of the erasure,
/// tombstones, audit trails, and responses that are kept for a day.
fn partitions_with(stack: &Stack, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for table in TABLES {
        let mut request = json!({ "TableName": stack.resource(table) });
        loop {
            let page = stack.aws("dynamodb", "DynamoDB_20120810.Scan", &request);
            let items = page["Items"].as_array().expect("items").iter();
            let is_record = |item: &Value| {
                let partition = item["pk"]["S"].as_str().unwrap_or_default();
                let may_mention = ["audit#", "erased#", "request#"].iter().any(|prefix| partition.starts_with(prefix));
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

pub(crate) fn erased_vehicle_is_in_no_store(shared: &Shared) {
    let stack = shared.stack();
    let (erased, kept) = (vehicle(stack, "erased"), vehicle(stack, "kept"));
    let fleet = stack.fleet(&[&erased, &kept], &["telematics"]);
    for (vid, second) in [(&erased, 1), (&kept, 1), (&erased, 2)] {
        send(stack, vid, second);
    }
    let events = |vid: &str| {
        let page = stack.get(&fleet.1, &format!("/vehicles/{vid}/events"));
        if page.status == 200 { page.json()["events"].as_array().map_or(0, Vec::len) } else { 0 }
    };
    until("the events are stored", PROCESSING_TIMEOUT, || events(&erased) == 2 && events(&kept) == 1);
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
    assert!(complete["stores"]["events"]["removed"].as_u64() > Some(0), "{complete}");

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
