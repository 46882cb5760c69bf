//! The tables of events are emptied and restored from the archive by the tool.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::consent::until;
use crate::shared::Shared;
use crate::stack::Stack;
use crate::trips::Trips;

/// The tables, each with the output that names it and its key.
const TABLES: [(&str, &[&str]); 3] = [
    ("VehicleEventsTableName", &["vid", "eid"]),
    ("VehicleStateTableName", &["vid"]),
    ("FeedIndexTableName", &["feed", "stamp"]),
];
/// The limit of `BatchWriteItem`.
const DELETES: usize = 25;

/// Deletes all items of a table. Returns their number.
fn empty(stack: &Stack, output: &str, key: &[&str]) -> usize {
    let table = stack.resource(output);
    let mut deleted = 0;
    loop {
        let page = stack.aws("dynamodb", "DynamoDB_20120810.Scan", &json!({"TableName": table, "Limit": 500}));
        let items = page["Items"].as_array().expect("items");
        if items.is_empty() {
            return deleted;
        }
        for items in items.chunks(DELETES) {
            let delete = |item: &Value| {
                let key: Map<String, Value> = key.iter().map(|name| ((*name).to_owned(), item[*name].clone())).collect();
                json!({"DeleteRequest": {"Key": key}})
            };
            let requests: Vec<Value> = items.iter().map(delete).collect();
            let request = json!({"RequestItems": {table: requests}});
            stack.aws("dynamodb", "DynamoDB_20120810.BatchWriteItem", &request);
        }
        deleted += items.len();
    }
}

/// The events and the state of a vehicle. Of an event, all members are compared.
fn contents(stack: &Stack, vid: &str) -> (Vec<Value>, Value) {
    let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events"), "events");
    (events, stack.get(stack.admin(), &format!("/vehicles/{vid}/state")).json()["signals"].clone())
}

/// How often a fleet gets each event from this path on, and the path of the next page.
fn arrivals(stack: &Stack, token: &str, path: &str) -> (BTreeMap<String, usize>, String) {
    let (mut arrived, mut path) = (BTreeMap::new(), path.to_owned());
    loop {
        let page = stack.json(token, &path);
        for event in page["events"].as_array().expect("events") {
            *arrived.entry(format!("{} {}", event["subject"], event["id"])).or_default() += 1;
        }
        path = format!("/events?limit=1000&cursor={}", page["next"].as_str().expect("a cursor"));
        if page["more"] != true {
            return (arrived, path);
        }
    }
}

pub(crate) fn emptied_tables_are_restored_from_the_archive(shared: &Shared) {
    let stack = shared.stack();
    let Trips { subscribed, unsubscribed, fleet: (_, token), .. } = shared.trips();
    let vids = [subscribed, unsubscribed];
    let before = vids.map(|vid| contents(stack, vid));
    assert!(before.iter().all(|(events, _)| !events.is_empty()));
    let (first, cursor) = arrivals(stack, token, "/events?limit=1000");
    assert!(!first.is_empty());

    for (output, key) in TABLES {
        assert!(empty(stack, output, key) > 0, "{output}");
    }
    let lost = vids.map(|vid| contents(stack, vid).0.len());
    assert_eq!(lost, [0, 0]);

    let restored = stack.command(&["restore", "--from", "6h"]);
    assert_eq!(restored["state"], "succeeded", "{restored}");
    assert!(restored["counts"]["samplesStored"].as_u64() > Some(0), "{restored}");
    assert_eq!(restored["counts"]["unreadableBatches"], 0, "{restored}");
    assert!(vids.map(|vid| contents(stack, vid)) == before, "events and states are as before");

    let again = stack.command(&["restore", "--from", "6h"]);
    assert_eq!((&again["counts"]["samplesStored"], &again["counts"]["arrivalsRecorded"]), (&json!(0), &json!(0)), "{again}");
    let run = again["run"].as_str().expect("a name");
    assert_eq!(stack.command(&["restore", "--follow", run])["counts"], again["counts"]);

    // A reader stops ten seconds before the current time.
    let mut arrived = BTreeMap::new();
    let mut path = cursor;
    until("all arrivals", Duration::from_mins(1), || {
        let (more, next) = arrivals(stack, token, &path);
        arrived.extend(more);
        path = next;
        arrived.len() >= first.len()
    });
    assert_eq!(arrived, first, "a cursor from before the loss gets each event once");
}
