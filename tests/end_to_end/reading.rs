//! Queries: samples and windows, filters, pagination during ingest, and arrivals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until events are stored or delivered.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(2);

/// An event with one sample, `second` seconds after the start of 2026-01-01.
fn event(id: &str, second: i64) -> Value {
    let at = format!(
        "2026-01-0{}T{:02}:{:02}:{:02}.000Z",
        1 + second / 86_400,
        second / 3600 % 24,
        second / 60 % 60,
        second % 60
    );
    json!({
        "specversion": "1.0", "id": id, "source": "urn:reading", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": f64::from(i32::try_from(second % 100).expect("below 100"))}}]},
    })
}

/// Registers a vehicle that only one step uses.
fn vehicle(stack: &Stack, name: &str) -> String {
    let created = stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "reading", "value": name}]}));
    assert_eq!(created.status, 201);
    created.json()["vid"].as_str().expect("a vid").to_owned()
}

/// Sends events in one upload and returns their eids.
fn send(stack: &Stack, vid: &str, events: &[Value]) -> Vec<String> {
    let response = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &json!(events));
    assert_eq!(response.status, 202, "{}", response.body);
    let accepted = response.json()["accepted"].clone();
    let ids = accepted.as_array().expect("a list").iter();
    ids.map(|event| event["eid"].as_str().expect("an eid").to_owned()).collect()
}

const COORDINATES: [&str; 2] = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"];

fn is_coordinate(signal: &str) -> bool {
    COORDINATES.contains(&signal)
}

/// Compares all samples of a vehicle with its windows, as JSON and CSV.
pub(crate) fn windows_agree_with_the_samples(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let path = format!("/vehicles/{}/history", trips.subscribed);
    let all_samples = stack.all(stack.admin(), &format!("{path}?limit=7"), "samples");
    assert_eq!(all_samples.len(), trips.samples);
    assert!(all_samples.is_sorted_by_key(|sample| sample["at"].as_str().map(str::to_owned)));

    // The expected values, grouped by minute and signal.
    let mut by_minute: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for sample in &all_samples {
        let minute = format!("{}:00.000Z", &sample["at"].as_str().expect("a time")[..16]);
        let signals = sample["signals"].as_object().expect("signals");
        // A sample with only one coordinate counts for neither.
        let has_position = COORDINATES.iter().all(|coordinate| signals.contains_key(*coordinate));
        for (signal, value) in signals.iter().filter(|(signal, _)| has_position || !is_coordinate(signal)) {
            by_minute.entry((minute.clone(), signal.clone())).or_default().push(value.clone());
        }
    }
    let windows = stack.all(stack.admin(), &format!("{path}?resolution=60s&limit=2"), "windows");
    let mut checked = 0;
    for window in &windows {
        for (signal, window_values) in window["signals"].as_object().expect("signals") {
            let values = &by_minute[&(window["at"].as_str().expect("a time").to_owned(), signal.clone())];
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            assert_eq!(
                (&window_values["last"], &window_values["count"]),
                (&values[values.len() - 1], &json!(values.len())),
                "{signal}"
            );
            checked += 1;
            if is_coordinate(signal) {
                let members: Vec<_> = window_values.as_object().expect("an object").keys().collect();
                assert_eq!(members, ["count", "last"], "no statistics of a coordinate");
                continue;
            }
            let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let count = f64::from(u32::try_from(numbers.len()).expect("few"));
            // A sum that was rounded may give a mean outside the values.
            let mean = (numbers.iter().sum::<f64>() / count).clamp(min, max);
            let actual = ["min", "max", "mean"].map(|name| window_values[name].as_f64().expect("a number"));
            assert_eq!(actual.map(f64::to_bits), [min, max, mean].map(f64::to_bits), "{signal} at {}", window["at"]);
        }
    }
    assert_eq!(checked, by_minute.len(), "one window value per minute and signal");

    let table = stack.call("GET", &format!("{path}?resolution=60s"), Some(stack.admin()), &[("accept", "text/csv")], "");
    let mut lines = table.body.lines();
    assert_eq!(lines.next(), Some("at,signal,unit,min,max,mean,last,count"));
    assert_eq!(lines.count(), by_minute.len());
    let unsupported = stack.call("GET", &path, Some(stack.admin()), &[("accept", "image/png")], "");
    assert_eq!(unsupported.status, 406);
    for invalid in ["resolution=60", "resolution=2d", "from=yesterday", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"]
    {
        assert_eq!(stack.get(stack.admin(), &format!("{path}?{invalid}")).status, 400, "{invalid}");
    }
}

pub(crate) fn filters_select_events_and_signals(shared: &Shared) {
    let (stack, trips) = (shared.stack(), shared.trips());
    let fleet = trips.fleet.1.as_str();
    let path = format!("/vehicles/{}/events", trips.subscribed);
    let signals = |token: &str, query: &str| -> BTreeSet<String> {
        let page = stack.json(token, &format!("{path}?{query}"));
        let events = page["events"].as_array().expect("events").iter();
        let samples = events.flat_map(|event| event["data"]["samples"].as_array().cloned().unwrap_or_default());
        samples.flat_map(|s| s["signals"].as_object().expect("signals").keys().cloned().collect::<Vec<_>>()).collect()
    };
    let speed = BTreeSet::from(["Vehicle.OBD.Speed".to_owned()]);
    assert_eq!(signals(stack.admin(), "signal=Vehicle.OBD.Speed"), speed);
    assert!(signals(fleet, "signal=Vehicle.OBD.Speed").is_empty(), "a filter reveals no signal outside the packages");
    let positions = signals(stack.admin(), "package=track-and-trace");
    assert!(
        !positions.is_empty() && positions.iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")),
        "{positions:?}"
    );
    assert!(signals(stack.admin(), "type=roadcast.diagnostic.v1").is_empty());
    let page = stack.json(fleet, &format!("{path}?fields=time&limit=1"));
    let members: Vec<&String> = page["events"][0].as_object().expect("an event").keys().collect();
    assert_eq!(members, ["id", "time"]);
    for invalid in ["signal=a%20b", "type=x", "package=none", "fields=nothing", "limit=0", "limits=5", "cursor=QUJD"] {
        assert_eq!(stack.get(fleet, &format!("{path}?{invalid}")).status, 400, "{invalid}");
    }

    // A cursor is valid only for the same query and caller.
    let next = stack.json(fleet, &format!("{path}?limit=1"))["next"].as_str().expect("a cursor").to_owned();
    assert_eq!(stack.get(fleet, &format!("{path}?limit=1&cursor={next}")).status, 200);
    let modified = format!("{}A{}", &next[..30], &next[31..]);
    for (token, query) in [
        (fleet, format!("limit=2&cursor={next}")),
        (fleet, format!("limit=1&cursor={modified}")),
        (stack.admin(), format!("limit=1&cursor={next}")),
    ] {
        assert_eq!(stack.get(token, &format!("{path}?{query}")).status, 400, "{query}");
    }

    // Long responses are compressed if the client accepts gzip.
    let compressed =
        stack.call("GET", "/signals?limit=2000", Some(fleet), &[("accept-encoding", "gzip"), ("accept", "*/*")], "");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    let all = compressed.json()["items"].as_array().expect("signals").len();
    assert_eq!(stack.all(fleet, "/signals?limit=500", "items").len(), all);
    let battery = stack.all(fleet, "/signals?q=BATTERY&package=ev-battery", "items");
    assert!(!battery.is_empty() && battery.iter().all(|signal| signal["packages"].to_string().contains("ev-battery")));
    let packages = stack.json(fleet, "/packages");
    assert!(packages["items"].as_array().expect("packages").len() >= 6);

    // A fleet gets rate limit headers; an admin has no limit.
    let response = stack.get(fleet, "/packages");
    assert_eq!(response.header("ratelimit-policy"), Some("\"fleet\";q=600;w=60"));
    assert!(response.header("ratelimit").is_some_and(|limit| limit.starts_with("\"fleet\";r=")), "{:?}", response.headers);
    assert_eq!(stack.get(stack.admin(), "/packages").header("ratelimit"), None);
}

/// Ten thousand events are stored. More events arrive, earlier and later ones, while they are read page by page.
pub(crate) fn pages_have_each_event_once_during_ingest(shared: &Shared) {
    const STORED: i64 = 10_000;
    let stack = shared.stack();
    let vid = vehicle(stack, "pages");
    let mut stored = BTreeSet::new();
    for upload in 0..10 {
        // Every other second, so that later events fall between them.
        let events: Vec<Value> =
            (0..STORED / 10).map(|n| upload * STORED / 10 + n).map(|n| event(&format!("stored-{n}"), n * 2)).collect();
        stored.extend(send(stack, &vid, &events));
    }
    let path = format!("/vehicles/{vid}/events?fields=id&limit=1000");
    let started = Instant::now();
    while stack.all(stack.admin(), &path, "events").len() < stored.len() {
        assert!(started.elapsed() < PROCESSING_TIMEOUT, "the events are not stored after {PROCESSING_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(500));
    }

    let (mut seen, mut count) = (BTreeSet::new(), 0);
    let (mut cursor, mut page_number) = (String::new(), 0);
    loop {
        let arriving: Vec<Value> = (0..200)
            .map(|n| event(&format!("arriving-{page_number}-{n}"), (page_number * 200 + n) * 9 % 20_000 + 1))
            .collect();
        send(stack, &vid, &arriving);
        let page = stack.json(stack.admin(), &format!("{path}{cursor}"));
        for event in page["events"].as_array().expect("events") {
            let id = event["id"].as_str().expect("an id").to_owned();
            count += usize::from(stored.contains(&id));
            assert!(seen.insert(id), "duplicate event {}", event["id"]);
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        page_number += 1;
    }
    assert_eq!(count, stored.len(), "each stored event is returned once");
}

/// A poller reads the events of a vehicle that sends hours late and out of order.
pub(crate) fn poller_receives_each_arrival_once(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "arrivals");
    let (_, fleet) = stack.fleet(&[&vid], &["telematics"]);
    let mut sent = BTreeSet::new();
    let mut seen: Vec<String> = Vec::new();
    let mut path = "/events?limit=7".to_owned();
    let mut poll = |seen: &mut Vec<String>| {
        let page = stack.json(&fleet, &path);
        let events = page["events"].as_array().expect("events").iter();
        seen.extend(events.map(|event| event["id"].as_str().expect("an id").to_owned()));
        path = format!("/events?limit=7&cursor={}", page["next"].as_str().expect("the last page has a cursor, too"));
        page["more"] == true
    };
    for round in 0..12 {
        // Strides through the hours: each upload is earlier or later than the previous one, and some are sent twice.
        let events: Vec<Value> =
            (0..5).map(|n| (round * 5 + n) * 37 % 60).map(|n| event(&format!("late-{n}"), n * 600)).collect();
        sent.extend(send(stack, &vid, &events));
        if round % 3 == 0 {
            send(stack, &vid, &events);
        }
        poll(&mut seen);
    }
    let started = Instant::now();
    while seen.len() < sent.len() {
        assert!(started.elapsed() < PROCESSING_TIMEOUT, "{} of {} events arrived", seen.len(), sent.len());
        if !poll(&mut seen) {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    // No event follows the last one: an event that was sent twice is returned once.
    std::thread::sleep(Duration::from_secs(12));
    while poll(&mut seen) {}
    let unique: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!((unique, seen.len()), (sent.clone(), sent.len()), "each event is returned once");
}
