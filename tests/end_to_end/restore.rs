//! The tables of events are emptied and restored from the archive by the tool.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::consent::until;
use crate::recording::{Recording, truck_recording};
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
/// Options of a replay that returns when all samples are stored.
const REPLAY: [&str; 5] = ["--wait", "--no-drain", "--no-subscribe", "--batch", "50"];
/// Functions cache entitlements for five seconds.
const CACHED: Duration = Duration::from_secs(6);
/// The maximum time until readers have all arrivals: they stop ten seconds before the current time.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(1);

/// Deletes all items of a table, as `docs/operations/backup.md` does in its exercise. Returns their number.
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

/// What is read of a vehicle. Of an event, all members are compared; of a value, all but its age.
struct Contents {
    events: Vec<Value>,
    samples: Vec<Value>,
    state: Value,
}

impl Contents {
    fn read(stack: &Stack, vid: &str) -> Self {
        let range = "from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
        let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events?{range}&limit=1000"), "events");
        let samples = stack.all(stack.admin(), &format!("/vehicles/{vid}/history?{range}&limit=10000"), "samples");
        let mut state = stack.get(stack.admin(), &format!("/vehicles/{vid}/state")).json()["signals"].clone();
        for value in state.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            value.remove("ageSeconds");
        }
        Self { events, samples, state }
    }

    /// The digests of events, samples and state.
    fn digests(&self) -> [String; 3] {
        #[allow(clippy::format_collect)] // 32 bytes
        let digest = |value: &Value| Sha256::digest(value.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        [json!(self.events), json!(self.samples), self.state.clone()].map(|value| digest(&value))
    }

    /// Fails with the first difference to what was read before.
    fn assert_as_before(&self, vid: &str, before: &Self) {
        for (what, after, before) in [("event", &self.events, &before.events), ("sample", &self.samples, &before.samples)] {
            assert_eq!(after.len(), before.len(), "the number of each {what} of {vid}");
            if let Some((after, before)) = after.iter().zip(before).find(|(after, before)| after != before) {
                panic!("an {what} of {vid} was {before} and is {after}");
            }
        }
        assert_eq!(self.state, before.state, "the state of {vid}");
        assert_eq!(self.digests(), before.digests());
    }
}

/// A fleet that reads its events in the order of arrival.
struct Poller {
    token: String,
    path: String,
    /// How often it got each event.
    arrived: BTreeMap<String, usize>,
}

impl Poller {
    fn new(token: &str) -> Self {
        Self { token: token.to_owned(), path: "/events?limit=1000".to_owned(), arrived: BTreeMap::new() }
    }

    /// Reads what has arrived since the last read.
    fn read(&mut self, stack: &Stack) {
        loop {
            let page = stack.json(&self.token, &self.path);
            for event in page["events"].as_array().expect("events") {
                *self.arrived.entry(format!("{} {}", event["subject"], event["id"])).or_default() += 1;
            }
            self.path = format!("/events?limit=1000&cursor={}", page["next"].as_str().expect("a cursor"));
            if page["more"] != true {
                return;
            }
        }
    }

    /// Reads until this number of events has arrived.
    fn read_until(&mut self, stack: &Stack, events: usize) {
        until("all arrivals", ARRIVAL_TIMEOUT, || {
            self.read(stack);
            self.arrived.len() >= events
        });
    }
}

/// Replays parts of enviroCar and of a truck for a fleet. Returns the vehicles and a poller of the fleet, with all arrivals.
fn recorded(stack: &Stack) -> (Vec<String>, Poller) {
    let folder = TempDir::new().expect("a temporary folder");
    let (cars, truck) = (Recording::of_more_cars(), truck_recording(folder.path()));
    let mut vids = Vec::new();
    for file in [&cars.file, &truck] {
        let registered = stack.replay(&["--register-only"], file);
        let vehicles = registered["vehicles"].as_object().expect("vehicles").values();
        vids.extend(vehicles.map(|vid| vid.as_str().expect("a vid").to_owned()));
    }
    let of_fleet: Vec<&str> = vids.iter().map(String::as_str).collect();
    let (_, token) = stack.fleet(&of_fleet, &["telematics", "track-and-trace", "diagnostics"]);
    std::thread::sleep(CACHED);
    for file in [&cars.file, &truck] {
        let replayed = stack.replay(&REPLAY, file);
        assert!(replayed["stored"].as_u64() > Some(0), "{replayed}");
    }
    let visible = |vid: &String| {
        let range = "from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
        stack.all(&token, &format!("/vehicles/{vid}/events?{range}&limit=1000"), "events").len()
    };
    let visible: usize = vids.iter().map(visible).sum();
    let mut poller = Poller::new(&token);
    poller.read_until(stack, visible);
    (vids, poller)
}

pub(crate) fn emptied_tables_are_restored_from_the_archive(shared: &Shared) {
    let stack = shared.stack();
    let Trips { subscribed, unsubscribed, fleet: (_, token), .. } = shared.trips();
    let (mut vids, poller) = recorded(stack);
    vids.extend([subscribed, unsubscribed].map(Clone::clone));
    let before: Vec<Contents> = vids.iter().map(|vid| Contents::read(stack, vid)).collect();
    assert!(before.iter().all(|contents| !contents.events.is_empty() && !contents.samples.is_empty()));
    let mut pollers = [poller, Poller::new(token)];
    pollers[1].read_until(stack, 1);
    let first = pollers.each_ref().map(|poller| poller.arrived.clone());
    assert!(first[0].values().all(|times| *times == 1), "{first:?}");

    for (output, key) in TABLES {
        assert!(empty(stack, output, key) > 0, "{output}");
    }
    for vid in &vids {
        let lost = Contents::read(stack, vid);
        assert_eq!((lost.events.len(), lost.samples.len()), (0, 0), "{vid}");
    }

    let restored = stack.command(&["restore", "--from", "6h"]);
    assert_eq!(restored["state"], "succeeded", "{restored}");
    assert!(restored["counts"]["samplesStored"].as_u64() > Some(0), "{restored}");
    assert_eq!(restored["counts"]["unreadableBatches"], 0, "{restored}");
    for (vid, before) in vids.iter().zip(&before) {
        Contents::read(stack, vid).assert_as_before(vid, before);
        println!("{vid}: {} events, {} samples, digests {:?}", before.events.len(), before.samples.len(), before.digests());
    }

    let again = stack.command(&["restore", "--from", "6h"]);
    assert_eq!((&again["counts"]["samplesStored"], &again["counts"]["arrivalsRecorded"]), (&json!(0), &json!(0)), "{again}");
    let run = again["run"].as_str().expect("a name");
    assert_eq!(stack.command(&["restore", "--follow", run])["counts"], again["counts"]);

    for (poller, first) in pollers.iter_mut().zip(first) {
        poller.arrived.clear();
        poller.read_until(stack, first.len());
        assert_eq!(poller.arrived, first, "a cursor from before the loss gets each event once");
    }
}
