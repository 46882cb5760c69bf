//! Kills the processes of functions again and again while events are sent: an acknowledged event is stored and delivered.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::consent::{until, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;

/// How long functions are killed.
const KILLING: Duration = Duration::from_secs(15);
/// The time between two looks at the processes, and the maximum age at which a process is killed.
const PAUSE: Duration = Duration::from_millis(20);
const MAX_AGE: Duration = Duration::from_millis(2_400);
/// The maximum time until a sender gets its last 202, and until all events are stored and delivered.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The number of vehicles, each of which has a sender.
const VEHICLES: usize = 8;
/// The number of events of an upload.
const EVENTS: u32 = 20;
/// Fewer kills or events would show nothing.
const MIN_KILLS: usize = 20;
const MIN_EVENTS: usize = 100;
/// Functions that are not killed: the local endpoint repeats no event that S3 sends to a function, as AWS does, and a check waits
/// for a workflow of the provisioner.
const SPARED: [&str; 2] = ["reference-loader", "provisioner"];

/// The acknowledged events of a vehicle, with their speeds.
type Acknowledged = BTreeMap<String, f64>;

/// Sends uploads until `stop` is set. An upload without an answer is sent again, with the same events.
fn send(stack: &Stack, vid: &str, stop: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for upload in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let speeds: Vec<f64> = (0..EVENTS).map(|number| f64::from((upload + number) % 100)).collect();
        let event = |(speed, number): (&f64, u32)| {
            let at = format!("2026-02-02T12:{:02}:{:02}Z", number / 60 % 60, number % 60);
            json!({
                "specversion": "1.0", "id": number.to_string(), "source": "urn:kills", "type": "roadcast.telemetry.v1",
                "time": at, "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": speed}}]},
            })
        };
        let events: Value = speeds.iter().zip(upload * EVENTS..).map(event).collect();
        until("an upload is acknowledged", TIMEOUT, || {
            let Some(response) = stack.try_post(stack.admin(), &format!("/vehicles/{vid}/events"), &events) else {
                return false;
            };
            assert_eq!(response.status, 202, "{}", response.body);
            let accepted = response.json()["accepted"].as_array().expect("accepted events").clone();
            assert_eq!(accepted.len(), speeds.len(), "{}", response.body);
            let eids = accepted.iter().map(|event| event["eid"].as_str().expect("an eid").to_owned());
            acknowledged.extend(eids.zip(speeds.iter().copied()));
            true
        });
    }
    acknowledged
}

/// Kills functions for the time of [`KILLING`], each process at another age: while it starts, while it works, or when it
/// waits. Returns the number of kills of each function.
fn kill(stack: &Stack) -> BTreeMap<String, usize> {
    let (mut kills, mut seen): (BTreeMap<String, usize>, BTreeMap<u32, Instant>) = (BTreeMap::new(), BTreeMap::new());
    let started = Instant::now();
    while started.elapsed() < KILLING {
        for (pid, function) in stack.functions() {
            let age = seen.entry(pid).or_insert_with(Instant::now).elapsed();
            if SPARED.iter().any(|spared| function.ends_with(spared)) || age < MAX_AGE * (pid * 7 % 16) / 16 {
                continue;
            }
            let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
            if killed.is_ok_and(|status| status.success()) {
                *kills.entry(function).or_default() += 1;
            }
        }
        thread::sleep(PAUSE);
    }
    kills
}

/// Returns the speeds of events by id. Fails if an event is listed twice.
fn speeds(events: Vec<Value>) -> BTreeMap<String, Vec<f64>> {
    let mut speeds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for event in events {
        let id = event["id"].as_str().expect("an id").to_owned();
        let samples = event["data"]["samples"].as_array().expect("samples");
        let of_event = samples.iter().map(|sample| sample["signals"]["Vehicle.Speed"].as_f64().expect("a speed"));
        let before = speeds.insert(id, of_event.collect());
        assert_eq!(before, None, "an event is listed twice");
    }
    speeds
}

/// Returns all arrivals of a fleet.
fn arrivals(stack: &Stack, token: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = stack.json(token, &format!("/events?limit=1000{cursor}"));
        all.append(page["events"].as_array_mut().expect("a list"));
        if page["more"] == json!(false) {
            return all;
        }
        cursor = format!("&cursor={}", page["next"].as_str().expect("a cursor"));
    }
}

pub(crate) fn acknowledged_events_survive_kills_of_functions(shared: &Shared) {
    let stack = shared.stack();
    let vids: Vec<String> = (0..VEHICLES).map(|number| vehicle(stack, &format!("killed-{number}"))).collect();
    let (_, token) = stack.fleet(&vids.iter().map(String::as_str).collect::<Vec<_>>(), &["telematics"]);
    let stop = AtomicBool::new(false);
    let (kills, acknowledged) = thread::scope(|scope| {
        let senders: Vec<_> = vids.iter().map(|vid| scope.spawn(|| send(stack, vid, &stop))).collect();
        let kills = kill(stack);
        stop.store(true, Ordering::Relaxed);
        let acknowledged: Vec<Acknowledged> =
            senders.into_iter().map(|sender| sender.join().expect("the sender ends")).collect();
        (kills, acknowledged)
    });
    let expected: BTreeMap<String, Vec<f64>> =
        acknowledged.iter().flatten().map(|(eid, speed)| (eid.clone(), vec![*speed])).collect();
    let contains_expected =
        |found: &BTreeMap<String, Vec<f64>>| expected.iter().all(|(eid, speed)| found.get(eid) == Some(speed));
    let stored = || -> BTreeMap<String, Vec<f64>> {
        let events =
            vids.iter().flat_map(|vid| stack.all(stack.admin(), &format!("/vehicles/{vid}/events?limit=1000"), "events"));
        speeds(events.collect())
    };
    let count = kills.values().sum::<usize>();
    until(&format!("{} events are stored after {kills:?}", expected.len()), TIMEOUT, || contains_expected(&stored()));
    until(&format!("{} events are delivered after {kills:?}", expected.len()), TIMEOUT, || {
        contains_expected(&speeds(arrivals(stack, &token)))
    });
    let (seconds, events) = (KILLING.as_secs(), expected.len());
    println!("{count} kills in {seconds} s ({kills:?}), {events} of {events} acknowledged events stored and delivered");
    // Every event was sent until it was acknowledged.
    assert_eq!(stored().len(), expected.len(), "an event was stored with another id");
    assert!(count >= MIN_KILLS && expected.len() >= MIN_EVENTS, "too few kills or events");
}
