//! A recording of two vehicles: it is sent over HTTP, stored, and delivered to the feed of the entitled fleet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::recording::Recording;
use crate::shared::Shared;
use crate::stack::Stack;

/// Options of a replay that returns when all samples are accounted for, and changes no feed and no subscription.
const REPLAY: [&str; 3] = ["--wait", "--no-drain", "--no-subscribe"];

/// Two vehicles whose trips are stored, and two fleets.
pub(crate) struct Trips {
    recording: Recording,
    /// The result of the replay that stored the trips.
    replayed: Value,
    /// The vehicle to whose positions the fleet is subscribed.
    pub(crate) subscribed: String,
    /// The vehicle without a subscription.
    pub(crate) unsubscribed: String,
    /// The number of samples of each vehicle.
    pub(crate) samples: usize,
    /// The id and a token of the subscribed fleet.
    pub(crate) fleet: (String, String),
    /// The id and a token of a fleet without subscriptions.
    pub(crate) other_fleet: (String, String),
}

impl Trips {
    /// Registers the vehicles, creates the fleets and sends the trips.
    pub(crate) fn store(stack: &Stack) -> Self {
        let recording = Recording::of_two_cars();
        let registered = stack.replay(&["--register-only"], &recording.file);
        let vid = |car: &str| registered["vehicles"][format!("envirocar:{car}")].as_str().expect("a vid").to_owned();
        let (subscribed, unsubscribed) = (vid(&recording.cars[0]), vid(&recording.cars[1]));
        let fleet = stack.fleet(&[&subscribed], &["track-and-trace"]);
        let other_fleet = stack.fleet(&[], &[]);
        let replayed = stack.replay(&REPLAY, &recording.file);
        let samples = recording.rows / 2;
        Self { recording, replayed, subscribed, unsubscribed, samples, fleet, other_fleet }
    }
}

pub(crate) fn every_sample_of_the_recording_is_stored(shared: &Shared) {
    let trips = shared.trips();
    let (rows, first) = (trips.recording.rows, &trips.replayed);
    assert_eq!(first["read"], rows, "{first}");
    assert_eq!(first["stored"], rows, "{first}");
    assert_eq!((&first["refused"], &first["deduplicated"]), (&json!(0), &json!(0)), "{first}");
}

pub(crate) fn repeated_recording_stores_nothing(shared: &Shared) {
    let recording = &shared.trips().recording;
    let second = shared.stack().replay(&REPLAY, &recording.file);
    assert_eq!((&second["stored"], &second["deduplicated"]), (&json!(0), &json!(recording.rows)), "{second}");
}

pub(crate) fn resources_that_a_fleet_may_not_see_return_404(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let ((fleet_id, fleet), (_, other_fleet)) = (&trips.fleet, &trips.other_fleet);
    let (subscribed, unsubscribed) = (&trips.subscribed, &trips.unsubscribed);
    for (token, path) in [
        (fleet, format!("/vehicles/{unsubscribed}")),
        (fleet, format!("/vehicles/{unsubscribed}/state")),
        (fleet, format!("/vehicles/{unsubscribed}/events")),
        (other_fleet, format!("/vehicles/{subscribed}/events")),
        (other_fleet, format!("/fleets/{fleet_id}/subscriptions")),
    ] {
        assert_eq!(stack.get(token, &path).status, 404, "{path}");
    }
    assert_eq!(stack.read_feed(other_fleet, fleet_id, &json!({})).status, 404);
    assert_eq!(stack.get("no token", "/vehicles").status, 401);
}

pub(crate) fn feed_has_only_positions_of_the_subscribed_vehicle(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let (fleet_id, token) = &trips.fleet;
    let path = format!("/fleets/{fleet_id}/feed/ack");
    let mut sample_count = 0;
    let mut ids = BTreeSet::new();
    loop {
        let feed = stack.feed(token, fleet_id, 3);
        let Some(ack) = feed.get("ack") else { break };
        let events = feed["events"].as_array().expect("events");
        let order: Vec<&str> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
        assert!(order.is_sorted(), "{order:?}");
        for event in events {
            assert_eq!(event["subject"], trips.subscribed);
            if ids.insert(event["id"].clone().to_string()) {
                let samples_of_event = event["data"]["samples"].as_array().expect("samples");
                sample_count += samples_of_event.len();
                for path in samples_of_event.iter().flat_map(|sample| sample["signals"].as_object().expect("signals").keys())
                {
                    assert!(path.starts_with("Vehicle.CurrentLocation."), "{path}");
                }
            }
        }
        for _ in 0..2 {
            let acknowledged = stack.post(token, &path, &json!({ "ack": ack }));
            assert_eq!(acknowledged.status, 204, "an acknowledgement can be repeated: {}", acknowledged.body);
        }
    }
    assert_eq!(sample_count, trips.samples);

    let (other_fleet_id, other_token) = &trips.other_fleet;
    let feed = stack.feed(other_token, other_fleet_id, 0);
    assert_eq!(feed["events"], json!([]), "a fleet without subscriptions receives nothing");
}

pub(crate) fn history_pages_have_each_event_once(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let vid = &trips.subscribed;
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
    assert_eq!(count, trips.samples);
}

pub(crate) fn state_is_redacted_to_the_packages_of_the_fleet(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let paths = |token: &str| -> Vec<String> {
        let state = stack.json(token, &format!("/vehicles/{}/state", trips.subscribed));
        state["signals"].as_object().expect("signals").keys().cloned().collect()
    };
    let (all, visible) = (paths(stack.admin()), paths(&trips.fleet.1));
    assert!(visible.iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")), "{visible:?}");
    assert!(!visible.is_empty() && all.len() > visible.len(), "{all:?}");
}

pub(crate) fn invalid_input_returns_a_pointer_to_the_field(shared: &Shared) {
    let (stack, vid) = (shared.stack(), &shared.trips().subscribed);
    let sample = |at: &str, speed: f64| json!({"at": at, "signals": {"Vehicle.Speed": speed}});
    let event = |samples: Vec<Value>| {
        json!({
            "specversion": "1.0", "id": "bad", "source": "urn:test", "type": "roadcast.telemetry.v1",
            "time": "2020-01-01T00:00:00Z", "data": { "samples": samples },
        })
    };
    let (noon, later, last) = ("2020-01-01T12:00:00Z", "2020-01-01T12:06:00Z", "2020-01-01T12:12:00Z");
    let mut without_time = event(vec![sample(noon, 1.0)]);
    without_time.as_object_mut().expect("an object").remove("time");
    for (body, status, pointer) in [
        (without_time, 400, "/time"),
        (json!({"specversion": "1.0"}), 400, "/id"),
        (event(vec![sample("02/00/2090", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample("1999-12-31T00:00:00Z", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample("2099-01-01T00:00:00Z", 1.0)]), 422, "/data/samples/0/at"),
        (event(vec![sample(noon, 113.9952 * 3.6)]), 422, "/data/samples/0/signals"),
        (event(vec![sample(noon, 1.0), sample(later, 1.0), sample(last, 1.0)]), 422, "/data/samples"),
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
