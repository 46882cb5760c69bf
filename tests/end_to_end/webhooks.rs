//! Webhooks: events arrive signed at an endpoint on this machine, whatever fails on the way.

pub(crate) mod receiver;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::consent::{drain, send, until, vehicle};
use crate::shared::Shared;
use crate::stack::{Response, Stack};
use receiver::{Receiver, event, is_signed_with};

/// The maximum time until a change is effective everywhere.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time until a delivery is in a terminal state.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(1);

/// An endpoint of a fleet, as a client of the fleet sees it.
struct Endpoint<'s> {
    stack: &'s Stack,
    fleet_id: String,
    token: String,
    /// The path of the endpoint in the API.
    path: String,
    /// The path at which the receiver gets its deliveries.
    target: String,
    secret: String,
}

impl<'s> Endpoint<'s> {
    /// Creates an endpoint at a path of the receiver with additional settings.
    fn create(stack: &'s Stack, (fleet_id, token): &(String, String), target: &str, settings: &Value) -> Self {
        let mut body = json!({ "url": Receiver::url(target) });
        body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
        let endpoints = format!("/fleets/{fleet_id}/endpoints");
        let created = stack.post(token, &endpoints, &body);
        assert_eq!(created.status, 201, "{}", created.body);
        let text = |name: &str| created.json()[name].as_str().expect("a text").to_owned();
        let endpoint = Self {
            stack,
            fleet_id: fleet_id.clone(),
            token: token.clone(),
            path: format!("{endpoints}/{}", text("endpointId")),
            target: target.to_owned(),
            secret: text("secret"),
        };
        // The functions look endpoints and fleets up at most this often.
        std::thread::sleep(CHANGE_TIMEOUT);
        endpoint
    }

    fn get(&self) -> Value {
        self.stack.json(&self.token, &self.path)
    }

    fn post(&self, resource: &str, body: &Value) -> Value {
        let response = self.stack.post(&self.token, &format!("{}/{resource}", self.path), body);
        assert!((200..300).contains(&response.status), "{resource}: {}", response.body);
        response.json()
    }

    /// Sends a test event, and returns the id of its delivery.
    fn test(&self) -> String {
        self.post("test", &json!({}))["deliveryId"].as_str().expect("an id").to_owned()
    }

    /// Returns all attempts, the newest first.
    fn attempts(&self) -> Vec<Value> {
        self.stack.all(&self.token, &format!("{}/attempts?limit=2", self.path), "items")
    }

    fn delivery(&self, id: &str) -> Response {
        self.stack.get(&self.token, &format!("{}/deliveries/{id}", self.path))
    }

    /// Waits until a delivery has a terminal state, and returns it.
    fn wait_until_terminal(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let delivery = self.delivery(id).json();
            if delivery["state"] != "pending" {
                return delivery;
            }
            assert!(started.elapsed() < DELIVERY_TIMEOUT, "{delivery}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Changes the endpoint at its current version.
    fn change(&self, method: &str, body: &Value) -> Response {
        let etag = self.stack.get(&self.token, &self.path).header("etag").expect("a tag").to_owned();
        let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
        let body = if method == "DELETE" { String::new() } else { body.to_string() };
        self.stack.call(method, &self.path, Some(&self.token), &headers, body)
    }

    /// Runs a redrive.
    fn redrive(&self, id: &str, body: &Value) -> Value {
        let path = format!("{}/redrives/{id}", self.path);
        let headers = [("content-type", "application/json")];
        let response = self.stack.call("PUT", &path, Some(&self.token), &headers, body.to_string());
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()
    }

    /// Deletes the endpoint, so that its retries do not reach the receiver of another check.
    fn delete(self) {
        assert_eq!(self.change("DELETE", &Value::Null).status, 204);
        assert_eq!(self.stack.get(&self.token, &self.path).status, 404);
    }
}

pub(crate) fn test_event_arrives_signed(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[204]);
    let settings = json!({"headers": {"x-route": "blue"}, "eventTypes": ["roadcast.diagnostic.v1"]});
    let endpoint = Endpoint::create(stack, &stack.fleet(&[], &[]), "/test", &settings);
    let id = endpoint.test();
    let request = receiver.wait_for(&endpoint.target, 1).remove(0);
    assert!(is_signed_with(&request, &endpoint.secret));
    assert_eq!((request.header("webhook-id"), request.header("x-route")), (Some(id.as_str()), Some("blue")));
    let sent = event(&request);
    assert_eq!(sent["type"], "roadcast.webhook.test.v1", "{sent}");
    let delivery = endpoint.wait_until_terminal(&id);
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(1)), "{delivery}");
    let attempts = endpoint.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["outcome"], &attempts[0]["status"]), (&json!("delivered"), &json!(204)), "{attempts:?}");
    let shown = stack.command(&["endpoints", "--fleet", &endpoint.fleet_id, "list"]);
    assert!(shown["items"][0].get("secret").is_none(), "{shown}");
    assert_eq!(shown["items"][0]["headerNames"], json!(["x-route"]));
    endpoint.delete();
}

pub(crate) fn event_is_delivered_after_failures_in_the_packages_of_the_endpoint(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[500, 500, 500, 200]);
    let vid = vehicle(stack, "webhook-retries");
    let fleet = stack.fleet(&[&vid], &["telematics", "track-and-trace"]);
    let settings = json!({"packages": ["telematics"], "retrySchedule": [1, 1, 1, 1]});
    let endpoint = Endpoint::create(stack, &fleet, "/retries", &settings);
    let eid = send(stack, &vid, 1);

    let requests = receiver.wait_for(&endpoint.target, 4);
    let id = requests[0].header("webhook-id").expect("an id");
    for request in &requests {
        assert!(is_signed_with(request, &endpoint.secret));
        assert_eq!(request.header("webhook-id"), Some(id), "all attempts have the id of the delivery");
        let sent = event(request);
        assert_eq!((&sent["id"], &sent["subject"]), (&json!(eid), &json!(vid)), "{sent}");
        let signals = sent["data"]["samples"][0]["signals"].as_object().expect("signals");
        assert_eq!(signals.keys().collect::<Vec<_>>(), ["Vehicle.Speed"]);
    }
    let delivery = endpoint.wait_until_terminal(id);
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(4)), "{delivery}");
    let attempts = endpoint.attempts();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| (&attempt["number"], &attempt["status"])).collect();
    let numbers = [4, 3, 2, 1].map(|number| json!(number));
    let statuses = [200, 500, 500, 500].map(|status| json!(status));
    assert_eq!(outcomes, numbers.iter().zip(&statuses).collect::<Vec<_>>(), "newest first");
    assert_eq!(attempts[1]["excerpt"], "status 500");
    endpoint.delete();
}

pub(crate) fn trace_has_every_hop_of_an_event(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[204]);
    let vid = vehicle(stack, "webhook-trace");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    let endpoint = Endpoint::create(stack, &fleet, "/trace", &json!({}));
    let eid = send(stack, &vid, 1);
    let request = receiver.wait_for(&endpoint.target, 1).remove(0);
    drain(stack, &fleet);

    let (mut trace, mut hops) = (Value::Null, BTreeSet::new());
    until("the trace has every hop", DELIVERY_TIMEOUT, || {
        trace = stack.command(&["trace", &eid]);
        let segments = trace["segments"].as_array().expect("segments").iter();
        hops = segments.map(|segment| segment["hop"].as_str().expect("a hop").to_owned()).collect();
        hops.len() == 5
    });
    assert_eq!(hops.into_iter().collect::<Vec<_>>(), ["enrichment", "feed", "processing", "upload", "webhook"], "{trace}");
    let sent = request.header("traceparent").expect("a trace context");
    let trace_id = trace["traceId"].as_str().expect("an id");
    assert!(sent.starts_with(&format!("00-{trace_id}-")) && sent.ends_with("-01"), "{sent}");
    endpoint.delete();
}

pub(crate) fn revoked_event_that_waits_is_not_delivered(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[500]);
    let vid = vehicle(stack, "webhook-revoked");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    // Four attempts: the fifth failure in a row would open the circuit.
    let endpoint = Endpoint::create(stack, &fleet, "/revoked", &json!({"retrySchedule": [3, 6, 6]}));
    send(stack, &vid, 1);
    let first = receiver.wait_for(&endpoint.target, 1).remove(0);
    let id = first.header("webhook-id").expect("an id").to_owned();

    let subscriptions = format!("/fleets/{}/subscriptions", fleet.0);
    let subscription = stack.all(stack.admin(), &subscriptions, "items").remove(0);
    let revoke = format!("{subscriptions}/{}/revoke", subscription["subscriptionId"].as_str().expect("an id"));
    assert_eq!(stack.call("POST", &revoke, Some(stack.admin()), &[], "").status, 200);
    std::thread::sleep(CHANGE_TIMEOUT);
    let until_then = receiver.requests(&endpoint.target).len();
    let path = format!("{}/deliveries/{id}", endpoint.path);
    until("the delivery is dropped", DELIVERY_TIMEOUT, || stack.json(stack.admin(), &path)["state"] == "dropped");
    assert_eq!(stack.json(stack.admin(), &path)["reason"], "notEntitled");
    assert_eq!(receiver.requests(&endpoint.target).len(), until_then, "no attempt later than 5 s after the revocation");
    assert_eq!(endpoint.delivery(&id).status, 404, "the fleet does not see the delivery of an event that it may not see");
    assert_eq!(endpoint.attempts(), [] as [Value; 0]);
    endpoint.delete();
}

pub(crate) fn secret_is_rotated_under_load_without_a_refused_signature(shared: &Shared) {
    const EVENTS: u32 = 40;
    let stack = shared.stack();
    let receiver = Receiver::start(&[204]);
    let vid = vehicle(stack, "webhook-rotation");
    let endpoint = Endpoint::create(stack, &stack.fleet(&[&vid], &["telematics"]), "/rotation", &json!({}));
    let rotate = |overlap: u32| {
        let rotated = endpoint.post("secrets", &json!({ "overlapSeconds": overlap }));
        rotated["secret"].as_str().expect("a secret").to_owned()
    };
    let mut new = String::new();
    for second in 0..EVENTS {
        if second == EVENTS / 4 {
            new = rotate(600);
        }
        send(stack, &vid, second);
        std::thread::sleep(Duration::from_millis(250));
    }
    let requests = receiver.wait_for(&endpoint.target, EVENTS as usize);
    let refused = requests.iter().filter(|request| !is_signed_with(request, &endpoint.secret)).count();
    assert_eq!(refused, 0, "a receiver that knows the old secret only accepts every request");
    let with_both = requests.iter().filter(|request| is_signed_with(request, &new)).count();
    assert!(with_both > 0, "later requests also have a signature of the new secret");

    let newest = rotate(0);
    std::thread::sleep(CHANGE_TIMEOUT);
    let id = endpoint.test();
    endpoint.wait_until_terminal(&id);
    let requests = receiver.requests(&endpoint.target);
    let last = requests.iter().find(|request| request.header("webhook-id") == Some(id.as_str())).expect("the test event");
    let accepted = [&endpoint.secret, &new, &newest].map(|secret| is_signed_with(last, secret));
    assert_eq!(accepted, [false, false, true], "overlap 0 ends all earlier secrets");
    endpoint.delete();
}

pub(crate) fn gone_endpoint_is_disabled_with_a_notice_until_it_is_activated(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[410, 204]);
    let fleet = stack.fleet(&[], &[]);
    let watching = json!({"eventTypes": ["roadcast.webhook.disabled.v1"]});
    let watcher = Endpoint::create(stack, &fleet, "/notices", &watching);
    let endpoint = Endpoint::create(stack, &fleet, "/gone", &json!({}));
    let delivery = endpoint.wait_until_terminal(&endpoint.test());
    assert_eq!((&delivery["state"], &delivery["reason"]), (&json!("failed"), &json!("gone")), "{delivery}");
    let disabled = || endpoint.get()["state"] == "disabled";
    until("the endpoint is disabled", CHANGE_TIMEOUT, disabled);
    assert_eq!(endpoint.get()["disabled"]["reason"], "gone");
    let notice = event(&receiver.wait_for(&watcher.target, 1)[0]);
    assert_eq!(notice["type"], "roadcast.webhook.disabled.v1", "{notice}");
    assert!(endpoint.path.ends_with(notice["subject"].as_str().expect("a subject")), "{notice}");
    let changes = stack.all(stack.admin(), &format!("/fleets/{}/audit", fleet.0), "items");
    assert!(changes.iter().any(|change| change["by"]["kind"] == "delivery"), "{changes:?}");

    let activated = endpoint.change("PUT", &json!({ "url": Receiver::url(&endpoint.target) }));
    assert_eq!((activated.status, &activated.json()["state"]), (200, &json!("active")));
    std::thread::sleep(CHANGE_TIMEOUT);
    assert_eq!(endpoint.wait_until_terminal(&endpoint.test())["state"], "delivered");
    endpoint.delete();
    watcher.delete();
}

pub(crate) fn failed_delivery_is_redriven_with_one_effect(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start(&[500, 503, 204]);
    let vid = vehicle(stack, "webhook-redrive");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    let endpoint = Endpoint::create(stack, &fleet, "/redrive", &json!({"retrySchedule": [1]}));
    send(stack, &vid, 1);
    let id = receiver.wait_for(&endpoint.target, 2)[0].header("webhook-id").expect("an id").to_owned();
    let failed = endpoint.wait_until_terminal(&id);
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("attemptsExhausted")), "{failed}");
    let mut letters = Vec::new();
    until("the delivery is a dead letter", DELIVERY_TIMEOUT, || {
        letters = stack.all(stack.admin(), &format!("/dead-letters?hop=webhook&fleetId={}", fleet.0), "items");
        !letters.is_empty()
    });
    assert_eq!((letters.len(), &letters[0]["state"]), (1, &json!("kept")), "{letters:?}");

    let since = json!({"since": "2026-02-01T12:00:00Z"});
    let redriven = endpoint.redrive("receiver-repaired", &since);
    assert_eq!((&redriven["redriven"], &redriven["state"]), (&json!(1), &json!("finished")), "{redriven}");
    let delivered = endpoint.wait_until_terminal(&id);
    assert_eq!((&delivered["state"], &delivered["redriveId"]), (&json!("delivered"), &json!("receiver-repaired")));
    assert_eq!(endpoint.redrive("receiver-repaired", &since), redriven, "a repeated redrive returns its record");
    let again = endpoint.redrive("another", &json!({ "deliveryIds": [id] }));
    assert_eq!((&again["redriven"], &again["skipped"]), (&json!(0), &json!(1)), "{again}");
    std::thread::sleep(CHANGE_TIMEOUT);
    assert_eq!(receiver.requests(&endpoint.target).len(), 3, "the event is delivered once");
    endpoint.delete();
}
