#![allow(clippy::unwrap_used)]
use roadcast_signals::{Sample, Timestamp};

use super::*;
use crate::diagnostic::Diagnostic;
use crate::event::Telemetry;
use crate::ids::{Eid, VehicleId};

fn event(body: Body) -> Event {
    let (vid, received) = (VehicleId::from_random_bits(1), Timestamp::from_ms(1_793_000_000_000));
    Event { eid: Eid::for_event(&vid, "s", "i", received), vid, received, body }
}

fn telemetry(samples: usize, signals: &Signals) -> Event {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let samples = (0..samples).map(|_| Sample { at, signals: signals.clone() }).collect();
    event(Body::Telemetry(Telemetry { samples }))
}

#[test]
fn every_character_of_texts_and_of_texts_in_lists_counts() {
    let path = SignalPath::parse(&"a".repeat(200)).unwrap();
    let list = Value::List((0..64).map(|_| Value::from("x".repeat(1024).as_str())).collect());
    let texts = telemetry(2, &[(path, list)].into());
    assert!(texts.memory_bytes() > 2 * (200 + 64 * 1024), "{}", texts.memory_bytes());
}

#[test]
fn maps_count_every_node_at_its_lowest_load() {
    let entry = size_of::<SignalPath>() + size_of::<Value>();
    // The number of nodes of a map whose leaves have five entries each.
    for (entries, leaves, inner) in [(1, 1, 0), (11, 1, 0), (12, 2, 1), (35, 6, 1), (41, 7, 2)] {
        let nodes = leaves * (12 + 11 * entry) + inner * (12 + 11 * entry + 12 * 8);
        assert!(map_bytes(entries, entry) >= nodes, "{entries} entries: {} and {nodes}", map_bytes(entries, entry));
    }
    assert_eq!(map_bytes(0, entry), 0);
}

#[test]
fn trouble_codes_and_extensions_count() {
    let codes = r#"{"code":"P0301","status":"active"}"#;
    let json = format!(r#"{{"at":"2026-11-03T09:59:59.999Z","dtcs":[{}]}}"#, vec![codes; 256].join(","));
    let diagnostic = event(Body::Diagnostic(serde_json::from_str::<Diagnostic>(&json).unwrap()));
    assert!(diagnostic.memory_bytes() > 256 * (2 * size_of::<TroubleCode>() + 5));
    let extensions = [("note".to_owned(), "x".repeat(4000).into())].into();
    let origin = Origin { source: "s".repeat(500), id: "i".repeat(500), extensions };
    let bytes = event(Body::Telemetry(Telemetry { samples: Samples::default() })).memory_bytes();
    let stored = StoredEvent { event: telemetry(0, &Signals::new()), origin };
    assert!(stored.memory_bytes() > bytes + 5000);
}

#[test]
fn estimate_of_a_typical_upload_is_at_most_three_times_its_memory() {
    let paths = (0..18).map(|n| SignalPath::parse(&format!("acme.signal{n:02}")).unwrap());
    let signals: Signals = paths.map(|path| (path, Value::Number(1.5))).collect();
    let bytes = telemetry(10, &signals).memory_bytes();
    // Each column has its entry, the text of its path and its values, with the overhead of an allocation each; then the times.
    let actual = 18 * (size_of::<roadcast_signals::Column>() + 13 + 16 + 10 * 8 + 16) + 10 * 8 + 16;
    assert!((actual..3 * actual).contains(&bytes), "{bytes} and {actual}");
}
