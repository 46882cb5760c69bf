//! The segmented log returns the same as a log with one item per event, however batches are split, repeated, reordered
//! or partly failed.

// Tests fail on the first unexpected result.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};
use roadcast_testbed::{FaultPlan, Faulty, Memory, MemoryItems};

fn at(offset_s: i64) -> Timestamp {
    Timestamp::from_ms(1_793_016_000_000).plus_ms(offset_s * 1000)
}

fn event(n: u16, offset_s: i64, samples: i64) -> StoredEvent {
    let vid = VehicleId::from_random_bits(1);
    let signals = |s: i64| -> Signals {
        let speed = Value::Number(f64::from(u32::from(n) * 7 % 90) + f64::from(i32::try_from(s).unwrap()) / 10.0);
        [(SignalPath::parse("Vehicle.Speed").unwrap(), speed)].into()
    };
    let samples = (0..samples).map(|s| Sample { at: at(offset_s + s), signals: signals(s) }).collect();
    let origin = Origin { source: "urn:test".to_owned(), id: n.to_string(), extensions: BTreeMap::new() };
    let eid = Eid::for_event(&vid, &origin.source, &origin.id, at(offset_s));
    let body = Body::Telemetry(Telemetry { samples });
    StoredEvent { event: Event { eid, vid, received: at(offset_s + 60), body }, origin }
}

/// Appends a batch and retries the failed events in further batches until all are accepted.
async fn append(log: &impl EventLog, mut batch: Vec<StoredEvent>) {
    for _ in 0..200 {
        let results = log.append(&batch).await;
        let mut failed = results.iter().map(Result::is_err);
        batch.retain(|_| failed.next().unwrap_or_default());
        if batch.is_empty() {
            return;
        }
    }
    panic!("the log never accepts the batch");
}

async fn pages(log: &impl EventLog, mut range: EventRange) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    loop {
        let page = log.range(&range).await.unwrap();
        let bytes: usize = page.events.iter().map(StoredEvent::memory_bytes).sum();
        assert!(page.events.len() <= range.limit);
        assert!(bytes <= range.max_bytes || page.events.len() == 1, "{bytes} bytes of at most {}", range.max_bytes);
        assert!(page.next.is_none_or(|next| page.events.last().is_some_and(|last| last.event.eid < next)));
        events.extend(page.events);
        match page.next {
            Some(next) => range.from = next,
            None => return events,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segmented_log_equals_a_log_with_one_item_per_event(
        seed in any::<u64>(),
        shapes in prop::collection::vec((-900_i64..900, 1_i64..20), 1..60),
        batches in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..30), 1..12),
        ranges in prop::collection::vec((-1000_i64..1000, 0_i64..1500, 1_usize..40, prop_oneof![Just(0), 1_000_usize..100_000, Just(usize::MAX)]), 1..6),
    ) {
        let events: Vec<StoredEvent> = (0..).zip(&shapes).map(|(n, (offset, samples))| event(n, *offset, *samples)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (plain, items) = (Memory::default(), MemoryItems::default());
            let failing = SegmentedLog { items: Faulty::new(items.clone(), FaultPlan::seeded(seed, 30)) };
            for batch in &batches {
                let batch: Vec<StoredEvent> = batch.iter().map(|index| index.get(&events).clone()).collect();
                append(&plain, batch.clone()).await;
                append(&failing, batch).await;
            }
            let segmented = SegmentedLog { items };
            let vid = events[0].event.vid.clone();
            for (from, length, limit, max_bytes) in ranges {
                let range = EventRange {
                    vid: vid.clone(),
                    from: Eid::lower_bound(at(from)),
                    to: Eid::lower_bound(at(from + length)),
                    limit, max_bytes, consistent: true };
                prop_assert_eq!(pages(&segmented, range.clone()).await, pages(&plain, range).await);
            }
            for stored in &events {
                let eid = stored.event.eid;
                prop_assert_eq!(segmented.get(&vid, eid).await.unwrap(), plain.get(&vid, eid).await.unwrap());
            }
            Ok(())
        })?;
    }
}
