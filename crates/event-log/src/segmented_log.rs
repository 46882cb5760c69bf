//! The event log on a table of items: telemetry is stored in segments, every other event as a single item.
//!
//! The table only implements [`EventItems`]. The mapping of events to items is here, shared by the `DynamoDB` adapter and
//! the in-memory table of the tests. Segments may overlap and contain the same event: readers read buckets of event time, from
//! the first item that may contain the first event, and merge events by `eid`; of duplicates, the one received first is
//! returned.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures::stream::{self, StreamExt as _};
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::{PortError, PortErrorKind};

use crate::segment::{BUCKET_MS, SPAN_MS, Segment, bucket_start};
use crate::segment_plan::plan;

/// An item of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogItem {
    /// One event. Its key is its `eid`.
    Event(Box<StoredEvent>),
    /// Several telemetry events.
    Segment(Segment),
}

impl LogItem {
    /// The vehicle: the partition key.
    pub fn vid(&self) -> &VehicleId {
        match self {
            Self::Event(stored) => &stored.event.vid,
            Self::Segment(segment) => &segment.vid,
        }
    }

    /// The sort key within the vehicle's log.
    pub fn key(&self) -> String {
        match self {
            Self::Event(stored) => stored.event.eid.to_string(),
            Self::Segment(segment) => segment.key.clone(),
        }
    }

    fn into_events(self) -> Result<Vec<StoredEvent>, PortError> {
        match self {
            Self::Event(stored) => Ok(vec![*stored]),
            Self::Segment(segment) => segment
                .events()
                .map_err(|error| PortError::new(PortErrorKind::Rejected, "decode a segment").caused_by(error)),
        }
    }
}

/// A table of log items by vehicle and key.
pub trait EventItems: Send + Sync {
    /// Stores an item. Does nothing if an item with the same key exists.
    fn put_new(&self, item: &LogItem) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a page of a vehicle's items, in key order.
    fn page(&self, range: &ItemRange<'_>) -> impl Future<Output = Result<ItemPage, PortError>> + Send;
}

/// A range of one vehicle's items.
#[derive(Clone, Debug)]
pub struct ItemRange<'a> {
    /// The vehicle.
    pub vid: &'a VehicleId,
    /// The first key, inclusive.
    pub from: &'a str,
    /// The last key, inclusive.
    pub to: &'a str,
    /// Maximum number of items in the page.
    pub limit: usize,
    /// Whether the read must be strongly consistent.
    pub consistent: bool,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemPage {
    /// The items, in key order.
    pub items: Vec<LogItem>,
    /// Whether the range may contain further items.
    pub has_more: bool,
}

/// The event log on a table of items.
#[derive(Clone, Debug)]
pub struct SegmentedLog<Items> {
    /// The table.
    pub items: Items,
}

/// Maximum number of concurrent writes per call.
const MAX_CONCURRENT_WRITES: usize = 32;
/// Maximum number of items per page request. A page is read completely, even if not all of its items are needed.
const MAX_PAGE_ITEMS: usize = 100;
/// Minimum number of items per page request. A bucket is read completely anyway, and one at a time would take as many
/// requests as it has items.
const MIN_PAGE_ITEMS: usize = 16;
/// Sorts after every key that starts with an `eid`.
const AFTER_EID: char = '~';

impl<Items: EventItems> EventLog for SegmentedLog<Items> {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        let plan = plan(events);
        let segments = plan.segments.into_iter().map(|(segment, indices)| (LogItem::Segment(segment), indices));
        let singles = plan.singles.into_iter().map(|(stored, indices)| (LogItem::Event(Box::new(stored.clone())), indices));
        // A loop instead of `map`: the compiler rejects a closure over borrowed items here as not general enough.
        let mut writes = Vec::new();
        for (item, indices) in segments.chain(singles) {
            writes.push(async move { (self.items.put_new(&item).await, indices) });
        }
        let written: Vec<(Result<(), PortError>, Vec<usize>)> =
            stream::iter(writes).buffer_unordered(MAX_CONCURRENT_WRITES).collect().await;
        let mut results: Vec<Result<(), PortError>> = events.iter().map(|_| Ok(())).collect();
        for (result, indices) in written {
            if let Err(error) = result {
                for index in indices {
                    results[index] = Err(error.clone());
                }
            }
        }
        results
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        let limit = range.limit.max(1);
        let mut events: Vec<StoredEvent> = Vec::new();
        let mut bucket = Bucket::default();
        let mut from = first_key(range.from);
        let to = format!("{}{AFTER_EID}", range.to);
        if range.from > range.to {
            return Ok(EventPage::default());
        }
        loop {
            let items = ItemRange {
                vid: &range.vid,
                from: &from,
                to: &to,
                limit: limit.clamp(MIN_PAGE_ITEMS, MAX_PAGE_ITEMS),
                consistent: range.consistent,
            };
            let page = self.items.page(&items).await?;
            if let Some(last) = page.items.last() {
                // The smallest key after `last`.
                from = last.key() + "\0";
            }
            for item in page.items {
                let start = first_eid(&item)?;
                if bucket.ends_before(start) {
                    events.extend(bucket.take(range));
                    if events.len() >= limit {
                        return Ok(event_page(events, limit, Some(Eid::lower_bound(bucket_start(start.time())))));
                    }
                }
                bucket.add(start, item.into_events()?);
            }
            if !page.has_more {
                break;
            }
        }
        events.extend(bucket.take(range));
        Ok(event_page(events, limit, None))
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        // A limit of one full page: all items that may contain the event are read, in one request if possible.
        let range = EventRange { vid: vid.clone(), from: eid, to: eid, limit: MAX_PAGE_ITEMS, consistent: true };
        Ok(self.range(&range).await?.events.pop())
    }
}

/// The merged events of one bucket of event time.
#[derive(Default)]
struct Bucket {
    /// The first event id of the first item.
    first: Option<Eid>,
    events: BTreeMap<Eid, StoredEvent>,
}

impl Bucket {
    /// Returns whether an item that starts with `eid` is in a later bucket.
    fn ends_before(&self, eid: Eid) -> bool {
        self.first.is_some_and(|first| eid.time().ms_since(bucket_start(first.time())) >= BUCKET_MS)
    }

    fn add(&mut self, start: Eid, events: Vec<StoredEvent>) {
        self.first.get_or_insert(start);
        for stored in events {
            match self.events.entry(stored.event.eid) {
                Entry::Vacant(entry) => {
                    entry.insert(stored);
                }
                Entry::Occupied(mut entry) if stored.event.received < entry.get().event.received => {
                    entry.insert(stored);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// Removes all events and returns those within the range.
    fn take(&mut self, range: &EventRange) -> Vec<StoredEvent> {
        self.first = None;
        let events = std::mem::take(&mut self.events);
        events.into_values().filter(|stored| (range.from..=range.to).contains(&stored.event.eid)).collect()
    }
}

/// Creates a page of at most `limit` events. `next` is the first event beyond the limit, or else `after`.
fn event_page(mut events: Vec<StoredEvent>, limit: usize, after: Option<Eid>) -> EventPage {
    let next = events.get(limit).map(|stored| stored.event.eid);
    events.truncate(limit);
    EventPage { events, next: next.or(after) }
}

/// Returns the first key of an item that may contain `eid`: of its bucket, and at most [`SPAN_MS`] before it, because no
/// segment spans more.
fn first_key(eid: Eid) -> String {
    let time = eid.time();
    Eid::lower_bound(bucket_start(time).max(time.plus_ms(-SPAN_MS))).to_string()
}

/// Returns the id of the first event of an item.
fn first_eid(item: &LogItem) -> Result<Eid, PortError> {
    let key = item.key();
    key.get(..Eid::TEXT_LEN)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| PortError::new(PortErrorKind::Rejected, "parse the key of a segment"))
}
