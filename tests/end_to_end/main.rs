//! The end-to-end test on a running stack: a recording is sent over HTTP and delivered to the feed of the entitled fleet.
//!
//! It is one test with many steps, because a stack takes a while to start. The steps follow the data flow.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod access;
mod bulk;
mod consent;
mod contract;
mod creating;
mod custom;
mod offboarding;
mod reading;
mod recording;
mod stack;

use std::collections::BTreeSet;

use recording::Recording;
use serde_json::{Value, json};
use stack::Stack;

#[test]
fn data_is_stored_and_delivered_only_to_entitled_fleets() {
    let stack = Stack::up();
    let recording = Recording::of_two_cars();

    let registered = stack.replay(&["--register-only"], &recording.file);
    let vid = |car: &str| registered["vehicles"][format!("envirocar:{car}")].as_str().expect("a vid").to_owned();
    let (subscribed, unsubscribed) = (vid(&recording.cars[0]), vid(&recording.cars[1]));
    let (fleet_id, fleet) = stack.fleet(&[&subscribed], &["track-and-trace"]);
    let (other_fleet_id, other_fleet) = stack.fleet(&[], &[]);

    // The stores account for every sample.
    let first = stack.replay(&["--wait", "--no-drain", "--no-subscribe"], &recording.file);
    assert_eq!(first["read"], recording.rows, "{first}");
    assert_eq!(first["stored"], recording.rows, "{first}");
    assert_eq!((&first["refused"], &first["deduplicated"]), (&json!(0), &json!(0)), "{first}");

    feed_has_only_positions_of_the_subscribed_vehicle(&stack, &fleet_id, &fleet, &subscribed, recording.rows / 2);
    let feed = stack.json(&other_fleet, &format!("/fleets/{other_fleet_id}/feed"));
    assert_eq!(feed["events"], json!([]));

    // Resources that a fleet may not see return 404.
    for (token, path) in [
        (&fleet, format!("/vehicles/{unsubscribed}")),
        (&fleet, format!("/vehicles/{unsubscribed}/state")),
        (&fleet, format!("/vehicles/{unsubscribed}/events")),
        (&other_fleet, format!("/vehicles/{subscribed}/events")),
        (&other_fleet, format!("/fleets/{fleet_id}/feed")),
        (&other_fleet, format!("/fleets/{fleet_id}/subscriptions")),
    ] {
        assert_eq!(stack.get(token, &path).status, 404, "{path}");
    }
    assert_eq!(stack.get("no token", "/vehicles").status, 401);

    history_pages_have_each_event_once(&stack, &subscribed, recording.rows / 2);
    state_is_redacted_to_the_packages_of_the_fleet(&stack, &fleet, &subscribed);

    // Sending the same recording again stores nothing.
    let second = stack.replay(&["--wait", "--no-drain", "--no-subscribe"], &recording.file);
    assert_eq!((&second["stored"], &second["deduplicated"]), (&json!(0), &json!(recording.rows)), "{second}");

    let draining = offboarding::start_draining_a_fleet(&stack);
    invalid_input_returns_a_pointer_to_the_field(&stack, &subscribed);
    access::every_operation_authorizes_the_caller(&stack, &subscribed, (&fleet_id, &fleet), &other_fleet);
    reading::windows_agree_with_the_samples(&stack, &subscribed, recording.rows / 2);
    reading::filters_select_events_and_signals(&stack, &fleet, &subscribed);
    reading::pages_have_each_event_once_during_ingest(&stack);
    reading::poller_receives_each_arrival_once(&stack);
    consent::revoked_data_is_removed_from_queries_and_queued_messages(&stack);
    consent::suspended_subscription_resumes_without_loss(&stack);
    custom::custom_event_is_delivered_to_fleets_with_its_package(&stack);
    custom::schema_file_registers_its_valid_lines(&stack);
    creating::repeated_idempotency_key_creates_nothing(&stack);
    creating::vehicle_is_found_replaced_and_retired(&stack);
    creating::events_are_accepted_in_every_content_mode(&stack);
    bulk::vehicle_file_is_imported_and_not_overwritten_by_older_files(&stack);
    offboarding::discarded_fleet_is_offboarded_at_once(&stack);
    offboarding::drained_fleet_is_offboarded(&stack, &draining);
    assert!(!stack.down(), "the endpoint is still running");
}

fn feed_has_only_positions_of_the_subscribed_vehicle(stack: &Stack, fleet_id: &str, token: &str, vid: &str, samples: usize) {
    let path = format!("/fleets/{fleet_id}/feed");
    let mut sample_count = 0;
    let mut ids = BTreeSet::new();
    loop {
        let feed = stack.json(token, &format!("{path}?wait=3"));
        let Some(ack) = feed.get("ack") else { break };
        let events = feed["events"].as_array().expect("events");
        let order: Vec<&str> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
        assert!(order.is_sorted(), "{order:?}");
        for event in events {
            assert_eq!(event["subject"], vid);
            if ids.insert(event["id"].clone().to_string()) {
                let samples_of_event = event["data"]["samples"].as_array().expect("samples");
                sample_count += samples_of_event.len();
                for path in samples_of_event.iter().flat_map(|sample| sample["signals"].as_object().expect("signals").keys())
                {
                    assert!(path.starts_with("Vehicle.CurrentLocation."), "{path}");
                }
            }
        }
        assert_eq!(stack.post(token, &format!("{path}/ack"), &json!({ "ack": ack })).status, 204);
    }
    assert_eq!(sample_count, samples);
}

fn history_pages_have_each_event_once(stack: &Stack, vid: &str, samples: usize) {
    let mut ids = BTreeSet::new();
    let mut count = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/vehicles/{vid}/events?from=2000-01-01T00:00:00Z&to=2030-01-01T00:00:00Z&limit=2{cursor}");
        let page = stack.json(stack.admin(), &path);
        for event in page["events"].as_array().expect("events") {
            assert!(ids.insert(event["id"].to_string()), "duplicate event {}", event["id"]);
            count += event["data"]["samples"].as_array().expect("samples").len();
        }
        let Some(next) = page.get("next") else { break };
        cursor = format!("&cursor={}", next.as_str().expect("a cursor"));
    }
    assert_eq!(count, samples);
}

fn state_is_redacted_to_the_packages_of_the_fleet(stack: &Stack, token: &str, vid: &str) {
    let paths = |token: &str| -> Vec<String> {
        let state = stack.json(token, &format!("/vehicles/{vid}/state"));
        state["signals"].as_object().expect("signals").keys().cloned().collect()
    };
    let (all, visible) = (paths(stack.admin()), paths(token));
    assert!(visible.iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")), "{visible:?}");
    assert!(!visible.is_empty() && all.len() > visible.len(), "{all:?}");
}

fn invalid_input_returns_a_pointer_to_the_field(stack: &Stack, vid: &str) {
    let sample = |at: &str, speed: f64| json!({"at": at, "signals": {"Vehicle.Speed": speed}});
    let event = |samples: Vec<Value>| {
        json!({
            "specversion": "1.0", "id": "bad", "source": "urn:test", "type": "roadcast.telemetry.v1",
            "time": "2020-01-01T00:00:00Z", "data": { "samples": samples },
        })
    };
    let (noon, later) = ("2020-01-01T12:00:00Z", "2020-01-01T12:06:00Z");
    let mut without_time = event(vec![sample(noon, 1.0)]);
    without_time.as_object_mut().expect("an object").remove("time");
    for (body, status, pointer) in [
        (without_time, 400, "/time"),
        (json!({"specversion": "1.0"}), 400, "/id"),
        (event(vec![sample("02/00/2090", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample("1999-12-31T00:00:00Z", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample("2099-01-01T00:00:00Z", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample(noon, 113.9952 * 3.6)]), 422, "/data/samples/0/signals"),
        (event(vec![sample(noon, 1.0), sample(later, 1.0)]), 422, "/data/samples"),
        (event((0..501).map(|_| sample(noon, 1.0)).collect()), 422, "/data/samples"),
    ] {
        let response = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &body);
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        let problem = response.json();
        assert_eq!((response.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let unknown = stack.post(stack.admin(), "/vehicles/veh_0000000000000000/events", &event(vec![sample(noon, 1.0)]));
    assert_eq!(unknown.status, 404);
    let huge = json!({"padding": "x".repeat(768 * 1024)});
    assert_eq!(stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &huge).status, 413);
}
