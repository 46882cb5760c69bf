//! Reading: series and windows, filters, pages while others arrive, and arrivals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::Stack;

/// How long the stack may take to let events through.
const PATIENCE: Duration = Duration::from_secs(120);

/// An event of one sample, so many seconds after the start of a day.
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
        "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": f64::from(i32::try_from(second % 100).expect("small"))}}]},
    })
}

/// A vehicle that nobody else writes to.
fn vehicle(stack: &Stack, name: &str) -> String {
    let made = stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "reading", "value": name}]}));
    assert_eq!(made.status, 201);
    made.json()["vid"].as_str().expect("a vid").to_owned()
}

/// Sends events as one upload, and answers their ids.
fn send(stack: &Stack, vid: &str, events: &[Value]) -> Vec<String> {
    let answer = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &json!(events));
    assert_eq!(answer.status, 202, "{}", answer.body);
    let accepted = answer.json()["accepted"].clone();
    let ids = accepted.as_array().expect("a list").iter();
    ids.map(|one| one["eid"].as_str().expect("an eid").to_owned()).collect()
}

/// Every sample of a vehicle, as JSON, CSV and windows tell it.
pub(crate) fn a_series_and_its_windows_agree(stack: &Stack, vid: &str, samples: usize) {
    let path = format!("/vehicles/{vid}/history");
    let series = stack.all(stack.admin(), &format!("{path}?limit=7"), "samples");
    assert_eq!(series.len(), samples);
    assert!(series.is_sorted_by_key(|sample| sample["at"].as_str().map(str::to_owned)));

    // What a person would compute with a sheet of them.
    let mut sheet: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for sample in &series {
        let minute = format!("{}:00.000Z", &sample["at"].as_str().expect("a time")[..16]);
        for (signal, value) in sample["signals"].as_object().expect("signals") {
            sheet.entry((minute.clone(), signal.clone())).or_default().push(value.clone());
        }
    }
    let windows = stack.all(stack.admin(), &format!("{path}?resolution=60s&limit=2"), "windows");
    let mut found = 0;
    for window in &windows {
        for (signal, told) in window["signals"].as_object().expect("signals") {
            let values = &sheet[&(window["at"].as_str().expect("a time").to_owned(), signal.clone())];
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            assert_eq!((&told["last"], &told["count"]), (&values[values.len() - 1], &json!(values.len())), "{signal}");
            let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let count = f64::from(u32::try_from(numbers.len()).expect("few"));
            let mean = numbers.iter().sum::<f64>() / count;
            let told = ["min", "max", "mean"].map(|name| told[name].as_f64().expect("a number"));
            assert_eq!(told, [min, max, mean], "{signal} at {}", window["at"]);
            found += 1;
        }
    }
    assert_eq!(found, sheet.len(), "each signal of each minute once");

    let table = stack.call("GET", &format!("{path}?resolution=60s"), Some(stack.admin()), &[("accept", "text/csv")], "");
    let mut lines = table.body.lines();
    assert_eq!(lines.next(), Some("at,signal,unit,min,max,mean,last,count"));
    assert_eq!(lines.count(), sheet.len());
    let strange = stack.call("GET", &path, Some(stack.admin()), &[("accept", "image/png")], "");
    assert_eq!(strange.status, 406);
    for wrong in ["resolution=60", "resolution=2d", "from=yesterday", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"] {
        assert_eq!(stack.get(stack.admin(), &format!("{path}?{wrong}")).status, 400, "{wrong}");
    }
}

pub(crate) fn filters_narrow(stack: &Stack, fleet: &str, vid: &str) {
    let path = format!("/vehicles/{vid}/events");
    let signals = |token: &str, query: &str| -> BTreeSet<String> {
        let page = stack.json(token, &format!("{path}?{query}"));
        let events = page["events"].as_array().expect("events").iter();
        let samples = events.flat_map(|event| event["data"]["samples"].as_array().cloned().unwrap_or_default());
        samples.flat_map(|s| s["signals"].as_object().expect("signals").keys().cloned().collect::<Vec<_>>()).collect()
    };
    let speed = BTreeSet::from(["Vehicle.Speed".to_owned()]);
    assert_eq!(signals(stack.admin(), "signal=Vehicle.Speed"), speed);
    assert!(signals(fleet, "signal=Vehicle.Speed").is_empty(), "a filter shows nothing that the packages do not");
    let places = signals(stack.admin(), "package=track-and-trace");
    assert!(!places.is_empty() && places.iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")), "{places:?}");
    assert!(signals(stack.admin(), "type=roadcast.diagnostic.v1").is_empty());
    let page = stack.json(fleet, &format!("{path}?fields=time&limit=1"));
    let members: Vec<&String> = page["events"][0].as_object().expect("an event").keys().collect();
    assert_eq!(members, ["id", "time"]);
    for wrong in ["signal=a%20b", "type=x", "package=none", "fields=nothing", "limit=0", "limits=5", "cursor=QUJD"] {
        assert_eq!(stack.get(fleet, &format!("{path}?{wrong}")).status, 400, "{wrong}");
    }

    // A cursor leads on in its own list, for its own caller.
    let next = stack.json(fleet, &format!("{path}?limit=1"))["next"].as_str().expect("a cursor").to_owned();
    assert_eq!(stack.get(fleet, &format!("{path}?limit=1&cursor={next}")).status, 200);
    let changed = format!("{}A{}", &next[..30], &next[31..]);
    for (token, query) in [
        (fleet, format!("limit=2&cursor={next}")),
        (fleet, format!("limit=1&cursor={changed}")),
        (stack.admin(), format!("limit=1&cursor={next}")),
    ] {
        assert_eq!(stack.get(token, &format!("{path}?{query}")).status, 400, "{query}");
    }

    // Long answers are packed for whoever takes that.
    let packed =
        stack.call("GET", "/signals?limit=2000", Some(fleet), &[("accept-encoding", "gzip"), ("accept", "*/*")], "");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let all = packed.json()["items"].as_array().expect("signals").len();
    assert_eq!(stack.all(fleet, "/signals?limit=500", "items").len(), all);
    let battery = stack.all(fleet, "/signals?q=BATTERY&package=ev-battery", "items");
    assert!(!battery.is_empty() && battery.iter().all(|signal| signal["packages"].to_string().contains("ev-battery")));
    let packages = stack.json(fleet, "/packages");
    assert!(packages["items"].as_array().expect("packages").len() >= 6);

    // A fleet is told how it stands with its quota; an admin has none.
    let answer = stack.get(fleet, "/packages");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"fleet\";q=600;w=60"));
    assert!(answer.header("ratelimit").is_some_and(|left| left.starts_with("\"fleet\";r=")), "{:?}", answer.headers);
    assert_eq!(stack.get(stack.admin(), "/packages").header("ratelimit"), None);
}

/// Ten thousand events are there; more arrive, earlier and later ones, while they are read page by page.
pub(crate) fn pages_hold_each_event_once_while_others_arrive(stack: &Stack) {
    const THERE: i64 = 10_000;
    let vid = vehicle(stack, "pages");
    let mut there = BTreeSet::new();
    for upload in 0..10 {
        // Every other second, so that what arrives falls between.
        let events: Vec<Value> =
            (0..THERE / 10).map(|n| upload * THERE / 10 + n).map(|n| event(&format!("there-{n}"), n * 2)).collect();
        there.extend(send(stack, &vid, &events));
    }
    let path = format!("/vehicles/{vid}/events?fields=id&limit=1000");
    let began = Instant::now();
    while stack.all(stack.admin(), &path, "events").len() < there.len() {
        assert!(began.elapsed() < PATIENCE, "the events are not stored");
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
            count += usize::from(there.contains(&id));
            assert!(seen.insert(id), "{} came twice", event["id"]);
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        page_number += 1;
    }
    assert_eq!(count, there.len(), "each event that was there comes once");
}

/// A poller follows a vehicle that sends hours late and out of order.
pub(crate) fn arrivals_come_once_to_a_poller(stack: &Stack) {
    let vid = vehicle(stack, "arrivals");
    let (_, fleet) = stack.fleet(&[&vid], &["telematics"]);
    let mut sent = BTreeSet::new();
    let mut seen: Vec<String> = Vec::new();
    let mut path = "/events?limit=7".to_owned();
    let mut poll = |seen: &mut Vec<String>| {
        let page = stack.json(&fleet, &path);
        let events = page["events"].as_array().expect("events").iter();
        seen.extend(events.map(|event| event["id"].as_str().expect("an id").to_owned()));
        path = format!("/events?limit=7&cursor={}", page["next"].as_str().expect("the last page leads on, too"));
        page["more"] == true
    };
    for round in 0..12 {
        // A stride through the hours: each upload is earlier or later than the one before, and some come twice.
        let events: Vec<Value> =
            (0..5).map(|n| (round * 5 + n) * 37 % 60).map(|n| event(&format!("late-{n}"), n * 600)).collect();
        sent.extend(send(stack, &vid, &events));
        if round % 3 == 0 {
            send(stack, &vid, &events);
        }
        poll(&mut seen);
    }
    let began = Instant::now();
    while seen.len() < sent.len() {
        assert!(began.elapsed() < PATIENCE, "{} of {} events came", seen.len(), sent.len());
        if !poll(&mut seen) {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    // Nothing comes after the last: what was sent twice was delivered once, or its repeat is passed over.
    std::thread::sleep(Duration::from_secs(12));
    while poll(&mut seen) {}
    let once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!((once, seen.len()), (sent.clone(), sent.len()), "each event comes once");
}
