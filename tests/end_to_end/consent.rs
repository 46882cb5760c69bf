//! Revocation while messages are queued: three fleets with overlapping vehicles and different packages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until a change is effective everywhere.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time until events are stored.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) fn vehicle(stack: &Stack, name: &str) -> String {
    let created = stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "consent", "value": name}]}));
    created.json()["vid"].as_str().expect("a vid").to_owned()
}

/// Sends an event with a speed and a position, and returns its eid.
pub(crate) fn send(stack: &Stack, vid: &str, second: u32) -> String {
    let at = format!("2026-02-01T12:00:{second:02}.000Z");
    let event = json!({
        "specversion": "1.0", "id": format!("{second}"), "source": "urn:consent", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 30.0, "Vehicle.CurrentLocation.Latitude": 51.5}}]},
    });
    let response = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event);
    assert_eq!(response.status, 202, "{}", response.body);
    response.json()["accepted"][0]["eid"].as_str().expect("an eid").to_owned()
}

/// Drains a feed until a request returns no events. Returns vid and eid of the events, and all signals in them.
pub(crate) fn drain(stack: &Stack, fleet: &(String, String)) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let (fleet_id, token) = fleet;
    let (mut events, mut signals) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let feed = stack.feed(token, fleet_id, 3);
        for event in feed["events"].as_array().expect("events") {
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            events.insert((text("subject"), text("id")));
            for sample in event["data"]["samples"].as_array().expect("samples") {
                signals.extend(sample["signals"].as_object().expect("signals").keys().cloned());
            }
        }
        let Some(ack) = feed.get("ack") else { return (events, signals) };
        assert_eq!(stack.post(token, &format!("/fleets/{fleet_id}/feed/ack"), &json!({ "ack": ack })).status, 204);
    }
}

pub(crate) fn until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < timeout, "timeout after {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn revoked_data_is_removed_from_queries_and_queued_messages(shared: &Shared) {
    let stack = shared.stack();
    let [a, b, c] = ["a", "b", "c"].map(|name| vehicle(stack, name));
    let one = stack.fleet(&[&a, &b], &["telematics"]);
    let two = stack.fleet(&[&b, &c], &["track-and-trace"]);
    let all = stack.fleet(&[&a, &b, &c], &["telematics", "track-and-trace"]);
    for vid in [&a, &b, &c] {
        send(stack, vid, 1);
    }
    // The events of all three vehicles are queued, together in the messages of each entitled fleet.
    let can_read = |fleet: &(String, String), vid: &str| {
        let response = stack.get(&fleet.1, &format!("/vehicles/{vid}/events"));
        response.status == 200 && response.json()["events"].as_array().is_some_and(|events| !events.is_empty())
    };
    until("all events are stored", PROCESSING_TIMEOUT, || [&a, &b, &c].iter().all(|vid| can_read(&all, vid)));
    std::thread::sleep(Duration::from_secs(3));

    // One vehicle is removed from the subscription of the second fleet; the third is revoked.
    let subscription = |fleet: &(String, String)| {
        let path = format!("/fleets/{}/subscriptions", fleet.0);
        let subscription = stack.all(stack.admin(), &path, "items").remove(0);
        format!("{path}/{}", subscription["subscriptionId"].as_str().expect("an id"))
    };
    let (narrowed, revoked) = (subscription(&two), subscription(&all));
    let tag = stack.get(stack.admin(), &narrowed).header("etag").expect("a tag").to_owned();
    let body = json!({"vehicles": [c], "packages": ["track-and-trace"]}).to_string();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let response = stack.call("PUT", &narrowed, Some(stack.admin()), &headers, body);
    assert_eq!(response.status, 200, "{}", response.body);
    let response = stack.call("POST", &format!("{revoked}/revoke"), Some(stack.admin()), &[], "");
    assert_eq!((response.status, &response.json()["state"]), (200, &json!("revoked")), "{}", response.body);
    until("revoked data is removed from queries", REVOCATION_TIMEOUT, || {
        !can_read(&two, &b) && ![&a, &b, &c].iter().any(|vid| can_read(&all, vid))
    });

    let (events, signals) = drain(stack, &one);
    assert_eq!(events.iter().map(|(vid, _)| vid.clone()).collect::<BTreeSet<_>>(), BTreeSet::from([a, b]));
    assert_eq!(signals, BTreeSet::from(["Vehicle.Speed".to_owned()]));
    let (events, signals) = drain(stack, &two);
    assert_eq!(events.iter().map(|(vid, _)| vid).collect::<Vec<_>>(), [&c], "the message is redacted again, not dropped");
    assert_eq!(signals, BTreeSet::from(["Vehicle.CurrentLocation.Latitude".to_owned()]));
    assert_eq!(drain(stack, &all).0, BTreeSet::new(), "a revoked subscription delivers nothing");
    let resumed = stack.call("POST", &format!("{revoked}/resume"), Some(stack.admin()), &[], "");
    assert_eq!(resumed.status, 409, "a revoked subscription cannot be resumed");
}

pub(crate) fn suspended_subscription_resumes_without_loss(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "suspended");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    let path = format!("/fleets/{}/subscriptions", fleet.0);
    let subscription = stack.all(stack.admin(), &path, "items").remove(0);
    let path = format!("{path}/{}", subscription["subscriptionId"].as_str().expect("an id"));
    let transition = |name: &str| {
        let response = stack.call("POST", &format!("{path}/{name}"), Some(stack.admin()), &[], "");
        assert_eq!(response.status, 200, "{name}: {}", response.body);
    };
    let mut sent = BTreeSet::from([send(stack, &vid, 1)]);
    let history = format!("/vehicles/{vid}/events");
    let stored_count = || stack.json(stack.admin(), &history)["events"].as_array().map_or(0, Vec::len);
    until("the first event is stored", PROCESSING_TIMEOUT, || stored_count() == 1);
    transition("suspend");
    until("the vehicle is not readable", REVOCATION_TIMEOUT, || stack.get(&fleet.1, &history).status == 404);
    sent.insert(send(stack, &vid, 2));
    until("the second event is stored", PROCESSING_TIMEOUT, || stored_count() == 2);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(feed_length(stack, &fleet), 0, "the feed is empty");
    transition("resume");
    until("the vehicle is readable again", REVOCATION_TIMEOUT, || stack.get(&fleet.1, &history).status == 200);
    // Messages received while suspended are delivered again after the visibility timeout of the queue.
    let mut seen = BTreeSet::new();
    until("the feed delivers both events", Duration::from_mins(3), || {
        seen.extend(drain(stack, &fleet).0.into_iter().map(|(_, id)| id));
        seen == sent
    });
}

/// The number of events that the feed returns without waiting.
fn feed_length(stack: &Stack, fleet: &(String, String)) -> usize {
    let feed = stack.feed(&fleet.1, &fleet.0, 0);
    feed["events"].as_array().map_or(0, Vec::len)
}
