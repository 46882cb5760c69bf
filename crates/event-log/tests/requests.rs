//! The requests to the table that reads of the log need.

#![allow(clippy::unwrap_used)]

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures::executor::block_on;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::Eid;
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, SegmentedLog};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange, PAGE_BYTES};
use roadcast_signals::Samples;
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
fn short_page_of_a_full_bucket_needs_one_request() {
    let log = SegmentedLog { items: CountedItems::default() };
    let events: Vec<_> = (0..60).map(|n| driving_event(1, n, n * 5, 5)).collect();
    for event in &events {
        block_on(log.append(std::slice::from_ref(event))).into_iter().for_each(Result::unwrap);
    }
    let (vid, first) = (events[0].event.vid.clone(), events[0].event.eid);
    let last = events[59].event.eid;
    let page =
        block_on(log.range(&EventRange { vid, from: first, to: last, limit: 1, max_bytes: PAGE_BYTES, consistent: true }))
            .unwrap();
    assert_eq!(page.events, [events[0].clone()]);
    assert_eq!(log.items.take_counts(), (1, 16));
}

/// A table whose reads yield a few times, and which counts concurrent reads.
#[derive(Default)]
struct YieldingItems {
    items: MemoryItems,
    /// Concurrent reads now, at most, and in total.
    reads: Mutex<(usize, usize, usize)>,
}

impl EventItems for YieldingItems {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        self.items.put_new(item).await
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        let (now, max, total) = *self.reads.lock().unwrap();
        *self.reads.lock().unwrap() = (now + 1, max.max(now + 1), total + 1);
        for _ in 0..3 {
            YieldOnce(false).await;
        }
        self.reads.lock().unwrap().0 -= 1;
        self.items.page(range).await
    }
}

/// Yields once to the other futures of its task.
struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn ids_over_years_are_looked_up_concurrently_and_ids_nearby_at_once() {
    let log = SegmentedLog { items: YieldingItems::default() };
    let over_years: Vec<_> = (0..200).map(|n| driving_event(1, n, n * 36_000, 1)).collect();
    let stored: Vec<_> = over_years.iter().step_by(2).cloned().collect();
    block_on(log.append(&stored)).into_iter().for_each(Result::unwrap);
    let eids = |events: &[StoredEvent]| events.iter().map(|stored| stored.event.eid).collect::<Vec<Eid>>();
    let vid = &stored[0].event.vid;
    let found = block_on(log.stored_ids(vid, &eids(&over_years))).unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), eids(&stored));
    let (_, max, total) = *log.items.reads.lock().unwrap();
    assert_eq!(total, 200, "each range is read once");
    // Each read holds a page of items, so that more of them would need more memory.
    assert_eq!(max, 4);

    let nearby: Vec<_> = (200..260).map(|n| driving_event(1, n, n * 10, 1)).collect();
    assert!(block_on(log.stored_ids(vid, &eids(&nearby))).unwrap().is_empty());
    assert_eq!(log.items.reads.lock().unwrap().2, 201);
}

/// Returns a small telemetry event at second `n`.
fn small_event(n: i64) -> roadcast_domain::event::StoredEvent {
    let mut stored = driving_event(1, n, n, 1);
    if let roadcast_domain::event::Body::Telemetry(telemetry) = &mut stored.event.body {
        telemetry.samples = Samples::new(telemetry.samples.times().to_vec(), Vec::new());
    }
    stored
}
