//! The event log over items: telemetry lies in segments, every other event in an item of its own.
//!
//! What an item table must do is little ([`EventItems`]); how events are laid into items and found again is here, once for
//! `DynamoDB` and for tests in memory. Segments may overlap and repeat one another: readers take whole buckets of event time
//! and merge by `eid`, and of an event that lies there twice the one that was received first stands.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures::stream::{self, StreamExt as _};
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::{PortError, PortErrorKind};

use crate::segment::{BUCKET_MS, Segment, bucket_of, plan};

/// An item of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogItem {
    /// One event. Its key is its `eid`.
    Event(Box<StoredEvent>),
    /// A stretch of telemetry.
    Segment(Segment),
}

impl LogItem {
    /// Whose log it is in.
    pub fn vid(&self) -> &VehicleId {
        match self {
            Self::Event(stored) => &stored.event.vid,
            Self::Segment(segment) => &segment.vid,
        }
    }

    /// Its place there.
    pub fn key(&self) -> String {
        match self {
            Self::Event(stored) => stored.event.eid.to_string(),
            Self::Segment(segment) => segment.key.clone(),
        }
    }

    fn events(self) -> Result<Vec<StoredEvent>, PortError> {
        match self {
            Self::Event(stored) => Ok(vec![*stored]),
            Self::Segment(segment) => segment
                .events()
                .map_err(|error| PortError::new(PortErrorKind::Rejected, "reading a segment").caused_by(error)),
        }
    }
}

/// A table of items by vehicle and key.
pub trait EventItems: Send + Sync {
    /// Puts an item, unless there is one of its key already: that one stands.
    fn put_new(&self, item: &LogItem) -> impl Future<Output = Result<(), PortError>> + Send;

    /// A page of a vehicle's items, in the order of their keys.
    fn page(&self, range: &ItemRange<'_>) -> impl Future<Output = Result<ItemPage, PortError>> + Send;
}

/// A stretch of one vehicle's items.
#[derive(Clone, Debug)]
pub struct ItemRange<'a> {
    /// The vehicle.
    pub vid: &'a VehicleId,
    /// The first key that may come.
    pub from: &'a str,
    /// The last key that may come.
    pub to: &'a str,
    /// How many are wanted at once.
    pub most: usize,
    /// Whether it must show what was put just before.
    pub consistent: bool,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemPage {
    /// In the order of their keys.
    pub items: Vec<LogItem>,
    /// Whether the range may go on.
    pub more: bool,
}

/// The event log over a table of items.
#[derive(Clone, Debug)]
pub struct SegmentedLog<T> {
    /// The table.
    pub items: T,
}

/// Writes under way at once in one call.
const WRITES_AT_ONCE: usize = 32;
/// Items asked for at once: a page of a query is read whole or thrown away.
const ITEMS_AT_ONCE: usize = 100;
/// Sorts after every key that begins with an `eid`.
const AFTER_EID: char = '~';

impl<T: EventItems> EventLog for SegmentedLog<T> {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        let plan = plan(events);
        let segments = plan.segments.into_iter().map(|(segment, places)| (LogItem::Segment(segment), places));
        let singles = plan.single.into_iter().map(|(stored, places)| (LogItem::Event(Box::new(stored.clone())), places));
        // A loop, because a closure over borrowed items is not general enough for the compiler here.
        let mut writes = Vec::new();
        for (item, places) in segments.chain(singles) {
            writes.push(async move { (self.items.put_new(&item).await, places) });
        }
        let written: Vec<(Result<(), PortError>, Vec<usize>)> =
            stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).collect().await;
        let mut answers: Vec<Result<(), PortError>> = events.iter().map(|_| Ok(())).collect();
        for (result, places) in written {
            if let Err(error) = result {
                for place in places {
                    answers[place] = Err(error.clone());
                }
            }
        }
        answers
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        let limit = range.limit.max(1);
        let mut events: Vec<StoredEvent> = Vec::new();
        let mut bucket = Bucket::default();
        let mut from = bucket_start(range.from);
        let to = format!("{}{AFTER_EID}", range.to);
        if range.from > range.to {
            return Ok(EventPage::default());
        }
        loop {
            let most = ITEMS_AT_ONCE.min(limit);
            let wanted = ItemRange { vid: &range.vid, from: &from, to: &to, most, consistent: range.consistent };
            let page = self.items.page(&wanted).await?;
            if let Some(last) = page.items.last() {
                // The next key in order.
                from = last.key() + "\0";
            }
            for item in page.items {
                let start = first_eid(&item)?;
                if bucket.ends_before(start) {
                    events.extend(bucket.take(range));
                    if events.len() >= limit {
                        return Ok(cut(events, limit, Some(Eid::first_at(bucket_of(start.time())))));
                    }
                }
                bucket.add(start, item.events()?);
            }
            if !page.more {
                break;
            }
        }
        events.extend(bucket.take(range));
        Ok(cut(events, limit, None))
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        let range = EventRange { vid: vid.clone(), from: eid, to: eid, limit: 1, consistent: true };
        Ok(self.range(&range).await?.events.pop())
    }
}

/// The events of one bucket of event time, merged.
#[derive(Default)]
struct Bucket {
    first: Option<Eid>,
    events: BTreeMap<Eid, StoredEvent>,
}

impl Bucket {
    /// Whether what begins with `eid` lies in a later bucket.
    fn ends_before(&self, eid: Eid) -> bool {
        self.first.is_some_and(|first| eid.time().ms_since(bucket_of(first.time())) >= BUCKET_MS)
    }

    fn add(&mut self, start: Eid, events: Vec<StoredEvent>) {
        self.first.get_or_insert(start);
        for stored in events {
            match self.events.entry(stored.event.eid) {
                Entry::Vacant(place) => {
                    place.insert(stored);
                }
                Entry::Occupied(mut there) if stored.event.received < there.get().event.received => {
                    there.insert(stored);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// Its events within the range; it is empty afterwards.
    fn take(&mut self, range: &EventRange) -> Vec<StoredEvent> {
        self.first = None;
        let events = std::mem::take(&mut self.events);
        events.into_values().filter(|stored| (range.from..=range.to).contains(&stored.event.eid)).collect()
    }
}

fn cut(mut events: Vec<StoredEvent>, limit: usize, after: Option<Eid>) -> EventPage {
    let next = events.get(limit).map(|first_left| first_left.event.eid);
    events.truncate(limit);
    EventPage { events, next: next.or(after) }
}

/// The first key of the bucket that an event lies in.
fn bucket_start(eid: Eid) -> String {
    Eid::first_at(bucket_of(eid.time())).to_string()
}

fn first_eid(item: &LogItem) -> Result<Eid, PortError> {
    let key = item.key();
    key.get(..Eid::TEXT_LEN)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| PortError::new(PortErrorKind::Rejected, "reading the key of a segment"))
}
