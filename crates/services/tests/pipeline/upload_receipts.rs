//! The answer to an upload states what the stream processor will store, and what is remarkable about it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::ids::Eid;
use roadcast_domain::{Timestamp, refusal::Reason};
use roadcast_services::ingest::{EventError, IngestError, unknown_signals};
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, event};

/// Returns an event with a sample at each time, in milliseconds after noon.
fn event_at(id: &str, offsets: &[i64]) -> serde_json::Value {
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    let mut sent = event(id, &[]);
    let sample = |offset: &i64| json!({"at": noon.plus_ms(*offset), "signals": {"Vehicle.Speed": 50}});
    sent["data"]["samples"] = offsets.iter().map(sample).collect();
    sent
}

#[tokio::test]
async fn misspelt_signals_are_named_with_the_nearest_one() {
    let pipeline = PipelineFixture::new(31);
    let vid = pipeline.vehicle("v").await;
    let mut sent = event("a", &[(60, 50.0), (50, 50.0)]);
    for sample in sent["data"]["samples"].as_array_mut().unwrap() {
        let signals = sample["signals"].as_object_mut().unwrap();
        for path in ["Vehicle.Speeed", "Vehicle.Flux.Capacitor", "vehicle.Speed", "acme.Speed"] {
            signals.insert(path.to_owned(), json!(48));
        }
    }
    let accepted = pipeline.ingest().upload(&admin(), &vid, &sent.to_string()).await.unwrap();
    let unknown: Vec<_> = unknown_signals(&accepted).into_iter().map(|signal| (signal.path, signal.nearest)).collect();
    let expected = [
        ("Vehicle.Flux.Capacitor", None),
        ("Vehicle.Speeed", Some("Vehicle.Speed")),
        ("vehicle.Speed", Some("Vehicle.Speed")),
    ];
    assert_eq!(unknown, expected.map(|(path, nearest)| (path.to_owned(), nearest)));

    let many: serde_json::Map<_, _> = (0..60).map(|n| (format!("Vehicle.Unknown.S{n}"), json!(1))).collect();
    let events = ["b", "c"].map(|id| {
        let mut sent = event(id, &[(60, 50.0)]);
        sent["data"]["samples"][0]["signals"] = json!(many);
        sent
    });
    let accepted = pipeline.ingest().upload(&admin(), &vid, &json!(events).to_string()).await.unwrap();
    assert_eq!(unknown_signals(&accepted).len(), 16);
}

#[tokio::test]
async fn different_events_with_one_id_in_an_upload_are_a_conflict() {
    let pipeline = PipelineFixture::new(32);
    let vid = pipeline.vehicle("v").await;
    let first = event_at("a", &[0]);
    let mut other_value = first.clone();
    other_value["data"]["samples"][0]["signals"]["Vehicle.Speed"] = json!(51);
    let mut other_source = event_at("a", &[1]);
    other_source["source"] = json!("urn:other");
    for (other, is_conflict) in [
        (event_at("a", &[1]), true),
        (other_value, true),
        (first.clone(), false),
        (event_at("b", &[1]), false),
        (other_source, false),
    ] {
        let result = pipeline.ingest().upload(&admin(), &vid, &json!([first, other]).to_string()).await;
        let conflicts = match &result {
            Err(IngestError::Events(events)) => matches!(events.as_slice(), [(1, EventError::Conflict)]),
            _ => false,
        };
        assert_eq!(conflicts, is_conflict, "{other}: {result:?}");
        assert_eq!(result.is_err(), is_conflict, "{other}: {result:?}");

        let batch = [&first, &other].map(|event| {
            let mut event = event.clone();
            event["subject"] = json!("test:v");
            event
        });
        let receipt = pipeline.ingest().batch(&admin(), &json!(batch).to_string()).await.unwrap();
        assert!(receipt.events[0].outcome.is_ok(), "the first event is accepted");
        assert_eq!(matches!(receipt.events[1].outcome, Err(EventError::Conflict)), is_conflict, "{other}");
    }
}

/// A time in milliseconds after noon, often at a limit.
fn offset() -> impl Strategy<Value = i64> {
    let limits = vec![-600_001_i64, -600_000, -300_001, -300_000, -1, 0, 1, 299_999, 300_000, 300_001, 300_002];
    prop_oneof![prop::sample::select(limits), -700_000_i64..310_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any times of samples, what the answer states is what the stream processor stores and quarantines, although it
    /// processes the record later.
    #[test]
    fn answer_to_an_upload_is_what_is_stored(
        uploads in prop::collection::vec(prop::collection::vec(offset(), 1..6), 1..6),
        delay_ms in 0_i64..600_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(33);
            let vid = pipeline.vehicle("v").await;
            let mut expected: BTreeMap<Eid, usize> = BTreeMap::new();
            let mut quarantined: BTreeMap<(Eid, usize), Reason> = BTreeMap::new();
            // One upload with a usable event, so that those without a usable sample are accepted as well.
            let mut batch = vec![event_at("usable", &[0])];
            batch.extend(uploads.iter().enumerate().map(|(n, offsets)| event_at(&n.to_string(), offsets)));
            let accepted = loop {
                match pipeline.ingest().upload(&admin(), &vid, &json!(batch).to_string()).await {
                    Ok(accepted) => break accepted,
                    // Events without a window of half of their samples.
                    Err(IngestError::Events(refused)) => {
                        for (index, _) in refused.into_iter().rev() {
                            batch.remove(index);
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            };
            for event in accepted {
                if event.samples > 0 {
                    expected.insert(event.eid, event.samples);
                }
                quarantined.extend(event.removed.quarantined.iter().map(|sample| ((event.eid, sample.index), sample.reason)));
            }
            pipeline.clock.advance_ms(delay_ms);
            pipeline.process_all(|_| FaultPlan::healthy()).await;
            let stored = pipeline.stored_events();
            let stored: BTreeMap<Eid, usize> =
                stored.iter().map(|stored| (stored.event.eid, stored.event.sample_count())).collect();
            assert_eq!(stored, expected);
            let items = pipeline.memory.quarantined();
            let items: BTreeMap<(Eid, usize), Reason> =
                items.iter().map(|item| ((item.eid.unwrap(), item.index.unwrap()), item.reason)).collect();
            assert_eq!(items, quarantined);
        });
    }
}
