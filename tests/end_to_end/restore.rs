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

/// The events and the state of a vehicle. Of an event, all members are compared; of a value, all but its age.
fn contents(stack: &Stack, vid: &str) -> (Vec<Value>, Value) {
    let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events"), "events");
    let mut state = stack.get(stack.admin(), &format!("/vehicles/{vid}/state")).json()["signals"].clone();
    for value in state.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        value.remove("ageSeconds");
    }
    (events, state)
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
    // A reader stops ten seconds before the current time.
    let (mut first, mut cursor) = arrivals(stack, token, "/events?limit=1000");
    until("an arrival", Duration::from_mins(1), || {
        let (more, next) = arrivals(stack, token, &cursor);
        first.extend(more);
        cursor = next;
        !first.is_empty()
    });

    for (output, key) in TABLES {
        assert!(empty(stack, output, key) > 0, "{output}");
    }
    let lost = vids.map(|vid| contents(stack, vid).0.len());
    assert_eq!(lost, [0, 0]);

    let restored = stack.command(&["restore", "--from", "6h"]);
    assert_eq!(restored["state"], "succeeded", "{restored}");
    assert!(restored["counts"]["samplesStored"].as_u64() > Some(0), "{restored}");
    assert_eq!(restored["counts"]["unreadableBatches"], 0, "{restored}");
    for (vid, (events, state)) in vids.iter().zip(before) {
        let (events_after, state_after) = contents(stack, vid);
        assert_eq!(events_after.len(), events.len(), "{vid}");
        if let Some((after, before)) = events_after.iter().zip(&events).find(|(after, before)| after != before) {
            panic!("an event of {vid} was {before} and is {after}");
        }
        assert_eq!(state_after, state, "{vid}");
    }

    let again = stack.command(&["restore", "--from", "6h"]);
    assert_eq!((&again["counts"]["samplesStored"], &again["counts"]["arrivalsRecorded"]), (&json!(0), &json!(0)), "{again}");
    let run = again["run"].as_str().expect("a name");
    assert_eq!(stack.command(&["restore", "--follow", run])["counts"], again["counts"]);

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
