//! The requests to the table that reads of the log need.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use futures::executor::block_on;
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, SegmentedLog};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_testbed::MemoryItems;
use roadcast_testbed::fixtures::{diagnostic_event, driving_event};

/// A table that counts requests and the items that they read.
#[derive(Default)]
struct CountedItems {
    items: MemoryItems,
    counts: Mutex<(usize, usize)>,
}

impl CountedItems {
    fn take_counts(&self) -> (usize, usize) {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

impl EventItems for CountedItems {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        self.items.put_new(item).await
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        let page = self.items.page(range).await?;
        let mut counts = self.counts.lock().unwrap();
        *counts = (counts.0 + 1, counts.1 + page.items.len());
        Ok(page)
    }
}

#[test]
fn one_event_is_read_in_one_request() {
    let log = SegmentedLog { items: CountedItems::default() };
    // A bucket of five minutes with a segment every 5 s: each event was in a batch of its own.
    let events: Vec<_> = (0..60).map(|n| driving_event(1, n, n * 5, 5)).collect();
    for event in &events {
        block_on(log.append(std::slice::from_ref(event))).into_iter().for_each(Result::unwrap);
    }
    let vid = &events[0].event.vid;
    for (n, event) in events.iter().enumerate() {
        assert_eq!(block_on(log.get(vid, event.event.eid)).unwrap().as_ref(), Some(event));
        // The items of the 120 s before the event, that is as far as a segment spans.
        assert_eq!(log.items.take_counts(), (1, n.min(24) + 1), "event {n}");
    }
    let single = diagnostic_event(1, 299);
    block_on(log.append(std::slice::from_ref(&single))).into_iter().for_each(Result::unwrap);
    assert_eq!(block_on(log.get(vid, single.event.eid)).unwrap(), Some(single));
    assert_eq!(log.items.take_counts().0, 1);
}

#[test]
fn event_at_the_end_of_a_long_segment_is_found() {
    let log = SegmentedLog { items: CountedItems::default() };
    // 121 s from the first to the last event: one segment of 120 s, and a second one.
    let events: Vec<_> = (0..122).map(small_event).collect();
    block_on(log.append(&events)).into_iter().for_each(Result::unwrap);
    for event in &events {
        assert_eq!(block_on(log.get(&event.event.vid, event.event.eid)).unwrap().as_ref(), Some(event));
    }
}

#[test]
fn short_page_of_a_full_bucket_needs_few_requests() {
    let log = SegmentedLog { items: CountedItems::default() };
    let events: Vec<_> = (0..60).map(|n| driving_event(1, n, n * 5, 5)).collect();
    for event in &events {
        block_on(log.append(std::slice::from_ref(event))).into_iter().for_each(Result::unwrap);
    }
    let (vid, first) = (events[0].event.vid.clone(), events[0].event.eid);
    let last = events[59].event.eid;
    let page = block_on(log.range(&EventRange { vid, from: first, to: last, limit: 1, consistent: true })).unwrap();
    assert_eq!(page.events, [events[0].clone()]);
    assert_eq!(log.items.take_counts(), (4, 60));
}

/// Returns a small telemetry event at second `n`.
fn small_event(n: i64) -> roadcast_domain::event::StoredEvent {
    let mut stored = driving_event(1, n, n, 1);
    if let roadcast_domain::event::Body::Telemetry(telemetry) = &mut stored.event.body {
        for sample in &mut telemetry.samples {
            sample.signals.clear();
        }
    }
    stored
}
