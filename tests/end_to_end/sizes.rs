//! Data whose size its sender decides.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use roadcast_signals::{Catalogue, Datatype};
use serde_json::{Value, json};

use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until all uploads are processed.
const PROCESSING_TIMEOUT: Duration = Duration::from_mins(1);

/// The paths of the catalogue that accept any text, or any list of texts.
fn free_texts(is_array: bool) -> Vec<&'static str> {
    let free = Catalogue::get().iter().filter(|def| def.datatype == Datatype::String && def.allowed.is_empty());
    free.filter(|def| def.is_array == is_array).map(|def| def.path).collect()
}

/// Uploads one event with one sample. Returns the id of the event and the signals that were rejected.
fn send(stack: &Stack, vid: &str, minute: usize, signals: &Value) -> (String, Value) {
    let at = format!("2026-02-01T12:{minute:02}:00Z");
    let event = json!({
        "specversion": "1.0", "id": format!("size-{minute}"), "source": "urn:sizes", "type": "roadcast.telemetry.v1", "time": at,
        "data": {"samples": [{"at": at, "signals": signals}]},
    });
    let response = stack.post(stack.admin(), &format!("/vehicles/{vid}/events"), &event);
    assert_eq!(response.status, 202, "{}", response.body);
    let accepted = response.json()["accepted"][0].clone();
    (accepted["eid"].as_str().expect("an eid").to_owned(), accepted["signalsRejected"].clone())
}

/// However large the values of a vehicle are, every accepted event is stored, and so are its later ones.
pub(crate) fn largest_values_of_a_vehicle_do_not_block_it(shared: &Shared) {
    let stack = shared.stack();
    let vehicle =
        stack.post(stack.admin(), "/vehicles", &json!({"externalIds": [{"scheme": "sizes", "value": "1"}]})).json();
    let vid = vehicle["vid"].as_str().expect("a vid");
    let mut sent = BTreeSet::new();
    let (lists, texts) = (free_texts(true), free_texts(false));
    let mut minute = 0;
    let mut next_minute = || {
        minute += 1;
        minute
    };
    // Each event has another list: of 64 KB, which is rejected, and then of 8 KiB.
    for path in &lists {
        let list = |bytes: usize| vec!["x".repeat(bytes); 64];
        let (eid, rejected) = send(stack, vid, next_minute(), &json!({"Vehicle.Speed": 50, (*path): list(1000)}));
        assert_eq!(rejected, json!({"too_long": 1}));
        sent.insert(eid);
        let (eid, rejected) = send(stack, vid, next_minute(), &json!({"Vehicle.Speed": 51, (*path): list(128)}));
        assert_eq!(rejected, Value::Null);
        sent.insert(eid);
    }
    for paths in texts.chunks(texts.len().div_ceil(8)) {
        let mut signals = json!({"Vehicle.Speed": 52});
        for path in paths {
            signals[*path] = "y".repeat(1024).into();
        }
        sent.insert(send(stack, vid, next_minute(), &signals).0);
    }
    let last = send(stack, vid, 59, &json!({"Vehicle.Speed": 53})).0;
    sent.insert(last);

    let started = Instant::now();
    loop {
        let page = stack.json(stack.admin(), &format!("/vehicles/{vid}/events?limit=1000&fields=id"));
        let events = page["events"].as_array().expect("events").iter();
        let stored: BTreeSet<String> = events.map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
        if stored == sent {
            break;
        }
        let missing = sent.difference(&stored).count();
        assert!(started.elapsed() < PROCESSING_TIMEOUT, "{missing} of {} events are not stored", sent.len());
        std::thread::sleep(Duration::from_millis(500));
    }
    let state = stack.json(stack.admin(), &format!("/vehicles/{vid}/state"));
    assert_eq!(state["signals"]["Vehicle.Speed"]["value"].as_f64(), Some(53.0));
    assert!(lists.iter().chain(&texts).all(|path| state["signals"].get(*path).is_some()), "every value is in the state");
}
