//! Alert rules: a rule, a drive, an alert in the feed, in queries and at a webhook, and the same alert in a back-test.

use std::time::{Duration, SystemTime};

use roadcast_domain::Timestamp;
use serde_json::{Value, json};

use crate::consent::{until, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;
use crate::webhooks::receiver::{Receiver, event, is_signed_with};

/// The maximum time until a change is effective everywhere.
pub(crate) const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time until an alert is everywhere, with the start of functions.
pub(crate) const ALERT_TIMEOUT: Duration = Duration::from_mins(2);
pub(crate) const ALERT: &str = "roadcast.alert.v1";
const PACKAGES: [&str; 2] = ["telematics", "alerts"];

fn rule(name: &str) -> Value {
    rule_above(name, 130)
}

fn rule_above(name: &str, limit: u32) -> Value {
    let condition = json!({"threshold": {"signal": "Vehicle.Speed", "above": limit, "hysteresis": 10}});
    json!({"name": name, "severity": "warning", "condition": condition})
}

pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).expect("a time"))
}

/// Sends these speeds as samples of one event, a second apart, that end now.
pub(crate) fn drive(stack: &Stack, vid: &str, id: &str, speeds: &[f64]) {
    let end = now();
    let at = |index: usize| end.plus_ms(-1000 * i64::try_from(speeds.len() - index).expect("few samples")).to_string();
    let sample = |(index, speed): (usize, &f64)| json!({"at": at(index), "signals": {"Vehicle.Speed": speed}});
    let samples: Vec<Value> = speeds.iter().enumerate().map(sample).collect();
    let event = json!({"specversion": "1.0", "id": id, "source": "urn:alerts", "type": "roadcast.telemetry.v1", "time": at(0),
        "data": {"samples": samples}});
    let response = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event);
    assert_eq!(response.status, 202, "{}", response.body);
}

/// The alerts of a vehicle that a query returns, by time.
fn alerts(stack: &Stack, token: &str, vid: &str) -> Vec<Value> {
    let response = stack.get(token, &format!("/vehicles/{vid}/events?type={ALERT}"));
    if response.status == 404 {
        return Vec::new();
    }
    response.json()["events"].as_array().expect("events").iter().map(|event| event["data"].clone()).collect()
}

/// The number of events about a vehicle.
fn of_vehicle(page: &Value, vid: &str) -> usize {
    page["events"].as_array().expect("events").iter().filter(|event| event["subject"] == vid).count()
}

/// Runs a back-test, and returns its alerts without the vehicle.
fn back_test(stack: &Stack, token: &str, fleet_id: &str, body: &Value) -> Vec<Value> {
    let started = stack.post(token, &format!("/fleets/{fleet_id}/alert-rules/test"), body);
    assert_eq!(started.status, 202, "{}", started.body);
    let path = format!("/fleets/{fleet_id}/back-tests/{}", started.json()["backTestId"].as_str().expect("an id"));
    until("the back-test is finished", ALERT_TIMEOUT, || stack.json(token, &path)["state"] == "finished");
    let mut found = stack.json(token, &path)["alerts"].as_array().expect("alerts").clone();
    for alert in &mut found {
        alert.as_object_mut().expect("an object").remove("vid");
    }
    assert_eq!(stack.call("DELETE", &path, Some(token), &[], "").status, 204);
    assert_eq!(stack.get(token, &path).status, 404);
    found
}

pub(crate) fn alert_is_delivered_and_agrees_with_the_back_test(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[204]);
    let vid = vehicle(stack, "alerts");
    let (fleet_id, token) = stack.fleet(&[&vid], &PACKAGES);
    let (other_fleet, other_token) = stack.fleet(&[&vid], &PACKAGES);
    let target = "/alerts";
    let endpoint = json!({"url": Receiver::url(target), "eventTypes": [ALERT]});
    let endpoint = stack.post(&token, &format!("/fleets/{fleet_id}/endpoints"), &endpoint).json();
    let created = stack.post(&token, &format!("/fleets/{fleet_id}/alert-rules"), &rule("Too fast"));
    assert_eq!((created.status, created.header("etag")), (201, Some("\"1\"")), "{}", created.body);
    let created = created.json();
    // These raise an alert after the revocation only.
    for (token, fleet_id) in [(&token, &fleet_id), (&other_token, &other_fleet)] {
        let faster = stack.post(token, &format!("/fleets/{fleet_id}/alert-rules"), &rule_above("Far too fast", 145));
        assert_eq!(faster.status, 201, "{}", faster.body);
    }
    std::thread::sleep(CHANGE_TIMEOUT);

    drive(stack, &vid, "fast", &[100.0, 135.0, 140.0, 125.0, 110.0]);
    let request = receiver.wait_for(target, 1).remove(0);
    assert!(is_signed_with(&request, endpoint["secret"].as_str().expect("a secret")));
    let posted = event(&request);
    assert_eq!((&posted["type"], &posted["subject"]), (&json!(ALERT), &json!(vid)), "{posted}");
    assert_eq!(posted["data"]["rule"]["ruleId"], created["ruleId"], "{posted}");
    until("both changes are in the log", ALERT_TIMEOUT, || alerts(stack, &token, &vid).len() == 2);
    let live = alerts(stack, &token, &vid);
    let changes: Vec<&Value> = live.iter().map(|alert| &alert["change"]).collect();
    assert_eq!(changes, ["raised", "cleared"], "{live:?}");
    // The fleet has no other events of this type.
    let arrived = || of_vehicle(&stack.json(&token, &format!("/events?type={ALERT}&limit=10")), &vid);
    until("both changes arrived", ALERT_TIMEOUT, || arrived() == 2);
    let mut in_feed = 0;
    until("the alert is in the feed", ALERT_TIMEOUT, || {
        let feed = stack.feed(&token, &fleet_id, 1);
        in_feed += feed["events"].as_array().expect("events").iter().filter(|event| event["type"] == ALERT).count();
        in_feed >= 2
    });
    assert_eq!(alerts(stack, &other_token, &vid), [] as [Value; 0], "another fleet does not see the alerts of the rule");

    let test = json!({"ruleId": created["ruleId"], "from": created["activeFrom"]});
    until("the telemetry is in the log", ALERT_TIMEOUT, || {
        let events = stack.json(&token, &format!("/vehicles/{vid}/events?type=roadcast.telemetry.v1"));
        events["events"].as_array().is_some_and(|events| !events.is_empty())
    });
    assert_eq!(back_test(stack, &token, &fleet_id, &test), live, "a back-test gives the alerts of the stream");
    let of_other = json!({"rule": rule("Another"), "vehicles": [vid], "from": created["activeFrom"]});
    assert_eq!(back_test(stack, &other_token, &other_fleet, &of_other).len(), 2, "each fleet can test on what it sees");

    let subscriptions = format!("/fleets/{fleet_id}/subscriptions");
    let subscription = stack.all(stack.admin(), &subscriptions, "items").remove(0);
    let revoke = format!("{subscriptions}/{}/revoke", subscription["subscriptionId"].as_str().expect("an id"));
    assert_eq!(stack.call("POST", &revoke, Some(stack.admin()), &[], "").status, 200);
    std::thread::sleep(CHANGE_TIMEOUT);
    let until_then = receiver.requests(target).len();
    drive(stack, &vid, "fast again", &[100.0, 150.0, 100.0]);
    until("the other fleet gets its alert", ALERT_TIMEOUT, || !alerts(stack, &other_token, &vid).is_empty());
    let silent = json!({"ruleId": created["ruleId"], "vehicles": [vid]});
    assert_eq!(back_test(stack, &token, &fleet_id, &silent), [] as [Value; 0], "revoked data is not tested");
    std::thread::sleep(CHANGE_TIMEOUT);
    assert_eq!(receiver.requests(target).len(), until_then, "no alert later than 5 s after the revocation");
    // Neither the new alert is visible, nor those from before.
    assert_eq!(alerts(stack, &token, &vid), [] as [Value; 0]);
    assert_eq!(arrived(), 0);
    for _ in 0..3 {
        assert_eq!(of_vehicle(&stack.feed(&token, &fleet_id, 1), &vid), 0);
    }
    let path = format!("/fleets/{fleet_id}/endpoints/{}", endpoint["endpointId"].as_str().expect("an id"));
    assert_eq!(stack.call("DELETE", &path, Some(&token), &[("if-match", "*")], "").status, 204);
}

pub(crate) fn rules_are_versioned_and_removed(shared: &Shared) {
    let stack = shared.stack();
    let (fleet_id, token) = stack.fleet(&[], &[]);
    for (token, rules) in
        [(token.as_str(), format!("/fleets/{fleet_id}/alert-rules")), (stack.admin(), "/alert-rules".to_owned())]
    {
        let mut disabled = rule("Versions");
        disabled["enabled"] = json!(false);
        let created = stack.post(token, &rules, &disabled);
        assert_eq!(created.status, 201, "{}", created.body);
        let path = format!("{rules}/{}", created.json()["ruleId"].as_str().expect("an id"));
        let change = |method: &str, etag: &str, body: &Value| {
            let headers = [("content-type", "application/json"), ("if-match", etag)];
            let body = if body.is_null() { String::new() } else { body.to_string() };
            stack.call(method, &path, Some(token), &headers, body)
        };
        disabled["severity"] = json!("info");
        assert_eq!(change("PUT", "\"2\"", &disabled).status, 412);
        let replaced = change("PUT", "\"1\"", &disabled);
        assert_eq!((replaced.status, &replaced.json()["version"]), (200, &json!(2)), "{}", replaced.body);
        let invalid =
            change("PUT", "*", &json!({"name": "x", "severity": "info", "condition": {"dtc": {"patterns": ["Z1"]}}}));
        assert_eq!(invalid.status, 422, "{}", invalid.body);
        assert_eq!(invalid.json()["errors"][0]["pointer"], "/condition/dtc/patterns/0");
        let listed = stack.json(token, &rules);
        assert!(listed["items"].as_array().expect("rules").iter().any(|rule| rule["ruleId"] == replaced.json()["ruleId"]));
        assert_eq!(change("DELETE", "\"2\"", &Value::Null).status, 204);
        assert_eq!(stack.get(token, &path).status, 404);
    }
    let of_operator = stack.json(stack.admin(), "/alert-rules/audit?limit=3");
    let kinds: Vec<&Value> =
        of_operator["items"].as_array().expect("changes").iter().map(|change| &change["of"]["kind"]).collect();
    assert_eq!(kinds, ["alertRule"; 3], "{of_operator}");
}
