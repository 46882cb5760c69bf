//! The main job on a running stack: a recording goes in over HTTP and comes out of the feed of the fleet that may see it.
//!
//! One test, because a stack takes a while to start; it goes the way of a sample.

// A test stops at the first surprise.
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
fn a_recording_goes_in_over_http_and_comes_out_where_it_may_be_seen() {
    let stack = Stack::up();
    let recording = Recording::of_two_cars();

    let registered = stack.replay(&["--register-only"], &recording.file);
    let vid = |car: &str| registered["vehicles"][format!("envirocar:{car}")].as_str().expect("a vid").to_owned();
    let (seen, unseen) = (vid(&recording.cars[0]), vid(&recording.cars[1]));
    let (fleet_id, fleet) = stack.fleet(&[&seen], &["track-and-trace"]);
    let (stranger_id, stranger) = stack.fleet(&[], &[]);

    // Everything is accounted for, from what the stores hold.
    let first = stack.replay(&["--wait", "--no-drain", "--no-subscribe"], &recording.file);
    assert_eq!(first["read"], recording.rows, "{first}");
    assert_eq!(first["stored"], recording.rows, "{first}");
    assert_eq!((&first["refused"], &first["deduplicated"]), (&json!(0), &json!(0)), "{first}");

    feed_holds_positions_of_the_one_vehicle(&stack, &fleet_id, &fleet, &seen, recording.rows / 2);
    let feed = stack.json(&stranger, &format!("/fleets/{stranger_id}/feed"));
    assert_eq!(feed["events"], json!([]));

    // What a fleet may not see is not there.
    for (token, path) in [
        (&fleet, format!("/vehicles/{unseen}")),
        (&fleet, format!("/vehicles/{unseen}/state")),
        (&fleet, format!("/vehicles/{unseen}/events")),
        (&stranger, format!("/vehicles/{seen}/events")),
        (&stranger, format!("/fleets/{fleet_id}/feed")),
        (&stranger, format!("/fleets/{fleet_id}/subscriptions")),
    ] {
        assert_eq!(stack.get(token, &path).status, 404, "{path}");
    }
    assert_eq!(stack.get("no token", "/vehicles").status, 401);

    history_pages_without_loss_or_repeat(&stack, &seen, recording.rows / 2);
    state_is_cut_to_the_fleets_packages(&stack, &fleet, &seen);

    // The same again stores nothing new.
    let second = stack.replay(&["--wait", "--no-drain", "--no-subscribe"], &recording.file);
    assert_eq!((&second["stored"], &second["deduplicated"]), (&json!(0), &json!(recording.rows)), "{second}");

    let leaving = offboarding::a_fleet_is_asked_to_leave(&stack);
    bad_input_is_answered_with_the_field(&stack, &seen);
    access::every_operation_asks_who_calls(&stack, &seen, (&fleet_id, &fleet), &stranger);
    reading::a_series_and_its_windows_agree(&stack, &seen, recording.rows / 2);
    reading::filters_narrow(&stack, &fleet, &seen);
    reading::pages_hold_each_event_once_while_others_arrive(&stack);
    reading::arrivals_come_once_to_a_poller(&stack);
    consent::what_is_taken_back_is_gone_from_queries_and_from_queued_messages(&stack);
    consent::a_suspended_subscription_goes_on_without_loss(&stack);
    custom::an_event_of_a_registered_type_reaches_who_subscribed_to_its_package(&stack);
    custom::a_file_of_schemas_registers_what_is_good_of_it(&stack);
    creating::a_repeat_under_the_same_key_creates_nothing(&stack);
    creating::a_vehicle_is_found_replaced_and_retired(&stack);
    creating::events_come_in_every_content_mode(&stack);
    bulk::a_map_of_vehicles_is_loaded_used_and_not_undone_by_older_files(&stack);
    offboarding::a_discarded_fleet_is_gone_at_once(&stack);
    offboarding::a_drained_fleet_is_gone(&stack, &leaving);
    assert!(!stack.down(), "the endpoint still runs");
}

fn feed_holds_positions_of_the_one_vehicle(stack: &Stack, fleet_id: &str, token: &str, vid: &str, samples: usize) {
    let path = format!("/fleets/{fleet_id}/feed");
    let mut drained = 0;
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
                let of_event = event["data"]["samples"].as_array().expect("samples");
                drained += of_event.len();
                for path in of_event.iter().flat_map(|sample| sample["signals"].as_object().expect("signals").keys()) {
                    assert!(path.starts_with("Vehicle.CurrentLocation."), "{path}");
                }
            }
        }
        assert_eq!(stack.post(token, &format!("{path}/ack"), &json!({ "ack": ack })).status, 204);
    }
    assert_eq!(drained, samples);
}

fn history_pages_without_loss_or_repeat(stack: &Stack, vid: &str, samples: usize) {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/vehicles/{vid}/events?from=2000-01-01T00:00:00Z&to=2030-01-01T00:00:00Z&limit=2{cursor}");
        let page = stack.json(stack.admin(), &path);
        for event in page["events"].as_array().expect("events") {
            assert!(seen.insert(event["id"].to_string()), "{} twice", event["id"]);
            count += event["data"]["samples"].as_array().expect("samples").len();
        }
        let Some(next) = page.get("next") else { break };
        cursor = format!("&cursor={}", next.as_str().expect("a cursor"));
    }
    assert_eq!(count, samples);
}

fn state_is_cut_to_the_fleets_packages(stack: &Stack, token: &str, vid: &str) {
    let paths = |token: &str| -> Vec<String> {
        let state = stack.json(token, &format!("/vehicles/{vid}/state"));
        state["signals"].as_object().expect("signals").keys().cloned().collect()
    };
    let (all, own) = (paths(stack.admin()), paths(token));
    assert!(own.iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")), "{own:?}");
    assert!(!own.is_empty() && all.len() > own.len(), "{all:?}");
}

fn bad_input_is_answered_with_the_field(stack: &Stack, vid: &str) {
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
        let answer = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let unknown = stack.post(stack.admin(), "/vehicles/veh_0000000000000000/events", &event(vec![sample(noon, 1.0)]));
    assert_eq!(unknown.status, 404);
    let huge = json!({"padding": "x".repeat(768 * 1024)});
    assert_eq!(stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &huge).status, 413);
}
