//! Consent that is taken back while messages wait: three fleets with overlapping vehicles and different packages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::Stack;

/// How long a change may take to hold everywhere.
const HOLDS_WITHIN: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn vehicle(stack: &Stack, name: &str) -> String {
    let made = stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "consent", "value": name}]}));
    made.json()["vid"].as_str().expect("a vid").to_owned()
}

/// Sends an event of a speed and a place, and answers its id.
pub(crate) fn send(stack: &Stack, vid: &str, second: u32) -> String {
    let at = format!("2026-02-01T12:00:{second:02}.000Z");
    let event = json!({
        "specversion": "1.0", "id": format!("{second}"), "source": "urn:consent", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 30.0, "Vehicle.CurrentLocation.Latitude": 51.5}}]},
    });
    let answer = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event);
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["accepted"][0]["eid"].as_str().expect("an eid").to_owned()
}

/// What a feed hands out until it has nothing for a while: vehicle and event, and the signals of all of them.
pub(crate) fn drain(stack: &Stack, fleet: &(String, String)) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let (fleet_id, token) = fleet;
    let (mut events, mut signals) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let feed = stack.json(token, &format!("/fleets/{fleet_id}/feed?wait=3"));
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

pub(crate) fn until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "{what} does not hold after {patience:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn what_is_taken_back_is_gone_from_queries_and_from_queued_messages(stack: &Stack) {
    let [a, b, c] = ["a", "b", "c"].map(|name| vehicle(stack, name));
    let one = stack.fleet(&[&a, &b], &["telematics"]);
    let two = stack.fleet(&[&b, &c], &["track-and-trace"]);
    let all = stack.fleet(&[&a, &b, &c], &["telematics", "track-and-trace"]);
    for vid in [&a, &b, &c] {
        send(stack, vid, 1);
    }
    // All of it waits in the queues, the three vehicles' events together in the messages of those who may see them.
    let reads = |fleet: &(String, String), vid: &str| {
        let answer = stack.get(&fleet.1, &format!("/vehicles/{vid}/events"));
        answer.status == 200 && answer.json()["events"].as_array().is_some_and(|events| !events.is_empty())
    };
    until("everything is stored", PATIENCE, || [&a, &b, &c].iter().all(|vid| reads(&all, vid)));
    std::thread::sleep(Duration::from_secs(3));

    // One vehicle is taken from the second fleet, everything from the third.
    let subscription = |fleet: &(String, String)| {
        let path = format!("/fleets/{}/subscriptions", fleet.0);
        let its = stack.all(stack.admin(), &path, "items").remove(0);
        format!("{path}/{}", its["subscriptionId"].as_str().expect("an id"))
    };
    let (narrowed, revoked) = (subscription(&two), subscription(&all));
    let tag = stack.get(stack.admin(), &narrowed).header("etag").expect("a tag").to_owned();
    let body = json!({"vehicles": [c], "packages": ["track-and-trace"]}).to_string();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let answer = stack.call("PUT", &narrowed, Some(stack.admin()), &headers, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = stack.call("POST", &format!("{revoked}/revoke"), Some(stack.admin()), &[], "");
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("revoked")), "{}", answer.body);
    until("what was taken back is gone from queries", HOLDS_WITHIN, || {
        !reads(&two, &b) && ![&a, &b, &c].iter().any(|vid| reads(&all, vid))
    });

    let (events, signals) = drain(stack, &one);
    assert_eq!(events.iter().map(|(vid, _)| vid.clone()).collect::<BTreeSet<_>>(), BTreeSet::from([a, b]));
    assert_eq!(signals, BTreeSet::from(["Vehicle.Speed".to_owned()]));
    let (events, signals) = drain(stack, &two);
    assert_eq!(events.iter().map(|(vid, _)| vid).collect::<Vec<_>>(), [&c], "the message is cut again, not dropped whole");
    assert_eq!(signals, BTreeSet::from(["Vehicle.CurrentLocation.Latitude".to_owned()]));
    assert_eq!(drain(stack, &all).0, BTreeSet::new(), "nothing of a revoked subscription");
    let again = stack.call("POST", &format!("{revoked}/resume"), Some(stack.admin()), &[], "");
    assert_eq!(again.status, 409, "a revoked subscription stays so");
}

pub(crate) fn a_suspended_subscription_goes_on_without_loss(stack: &Stack) {
    let vid = vehicle(stack, "suspended");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    let path = format!("/fleets/{}/subscriptions", fleet.0);
    let its = stack.all(stack.admin(), &path, "items").remove(0);
    let path = format!("{path}/{}", its["subscriptionId"].as_str().expect("an id"));
    let step = |name: &str| {
        let answer = stack.call("POST", &format!("{path}/{name}"), Some(stack.admin()), &[], "");
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    };
    let mut sent = BTreeSet::from([send(stack, &vid, 1)]);
    let history = format!("/vehicles/{vid}/events");
    let stored = || stack.json(stack.admin(), &history)["events"].as_array().map_or(0, Vec::len);
    until("the first is stored", PATIENCE, || stored() == 1);
    step("suspend");
    until("nothing is readable", HOLDS_WITHIN, || stack.get(&fleet.1, &history).status == 404);
    sent.insert(send(stack, &vid, 2));
    until("the second is stored", PATIENCE, || stored() == 2);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(drain_now(stack, &fleet), 0, "and nothing is in the feed");
    step("resume");
    until("it is readable again", HOLDS_WITHIN, || stack.get(&fleet.1, &history).status == 200);
    // What was taken off the queue while it was suspended comes again after the queue's visibility time.
    let mut seen = BTreeSet::new();
    until("both come out of the feed", Duration::from_mins(3), || {
        seen.extend(drain(stack, &fleet).0.into_iter().map(|(_, id)| id));
        seen == sent
    });
}

/// How many events the feed has right now.
fn drain_now(stack: &Stack, fleet: &(String, String)) -> usize {
    let feed: Value = stack.json(&fleet.1, &format!("/fleets/{}/feed", fleet.0));
    feed["events"].as_array().map_or(0, Vec::len)
}
