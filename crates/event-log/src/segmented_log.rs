//! The event log on a table of items: telemetry is stored in segments, every other event as a single item.
//!
//! The table only implements [`EventItems`]. The mapping of events to items is here, shared by the `DynamoDB` adapter and
//! the in-memory table of the tests. Segments may overlap and contain the same event. A reader starts at the first item that
//! may contain the first event and decodes one item at a time, in key order. The key of an item starts with its first event,
//! so that a page is complete as soon as an item starts after its last event. Of duplicates, the event received first is
//! returned.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, PAGE_BYTES, StoredTelemetry, TelemetryPage};
use roadcast_ports::{PortError, PortErrorKind};

use crate::encoded_event::EncodedEvent;
use crate::log_item::{EventItems, ItemRange, LogItem};
use crate::page_builder::PageBuilder;
use crate::segment::{SPAN_MS, bucket_start};
use crate::segment_plan::plan;

/// The event log on a table of items.
#[derive(Clone, Debug)]
pub struct SegmentedLog<Items> {
    /// The table.
    pub items: Items,
}

/// Maximum number of concurrent writes per call.
const MAX_CONCURRENT_WRITES: usize = 32;
/// Maximum number of concurrent look-ups of ids per call. Each holds one page of encoded items, up to 1 MB, and the stream
/// processor looks up the events of 16 vehicles at a time.
const MAX_CONCURRENT_LOOK_UPS: usize = 4;
/// Ids at most this far apart are looked up in one range of the log, in milliseconds.
const SAME_RANGE_MS: i64 = 10 * 60 * 1000;
/// Maximum number of items per page request. A page is read completely, even if not all of its items are needed.
const MAX_PAGE_ITEMS: usize = 100;
/// Minimum number of items per page request: items before the range may contain its first event, and one at a time would
/// take as many requests.
const MIN_PAGE_ITEMS: usize = 16;
/// Sorts after every key that starts with an `eid`.
const AFTER_EID: char = '~';

impl<Items: EventItems> EventLog for SegmentedLog<Items> {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        let mut results: Vec<Result<(), PortError>> = events.iter().map(|_| Ok(())).collect();
        let plan = plan(events);
        // A loop instead of `map`: the compiler rejects a closure over borrowed items here as not general enough.
        let mut writes = Vec::new();
        for (segment, indices) in plan.segments {
            writes.push(self.write(Ok(LogItem::Segment(segment)), indices));
        }
        for (stored, indices) in plan.singles {
            let encoded = EncodedEvent::new(stored).map(LogItem::Event);
            let encoded =
                encoded.map_err(|error| PortError::new(PortErrorKind::Rejected, "encode an event").caused_by(error));
            writes.push(self.write(encoded, indices));
        }
        let mut written = stream::iter(writes).buffer_unordered(MAX_CONCURRENT_WRITES);
        while let Some((result, indices)) = written.next().await {
            if let Err(error) = result {
                for index in indices {
                    results[index] = Err(error.clone());
                }
            }
        }
        results
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        let mut page = PageBuilder::new(range);
        let mut scan = self.scan(&range.vid, range.from, range.to, range.limit, range.consistent);
        while let Some(items) = scan.next_page().await? {
            for item in items {
                let start = item.first_eid()?;
                if page.ends_before(start) {
                    return Ok(page.finish());
                }
                // Most items before the range contain none of its events.
                if start < range.from && !item.eids()?.into_iter().any(|eid| page.contains(eid)) {
                    continue;
                }
                item.events()?.into_iter().for_each(|stored| page.add(stored));
            }
        }
        Ok(page.finish())
    }

    async fn telemetry(&self, range: &EventRange) -> Result<TelemetryPage, PortError> {
        let mut page = TelemetryPage::default();
        let mut bytes = 0;
        let mut scan = self.scan(&range.vid, range.from, range.to, range.limit, range.consistent);
        while let Some(items) = scan.next_page().await? {
            for item in items {
                let start = item.first_eid()?;
                let is_full = page.items.len() >= range.limit || bytes >= range.max_bytes;
                // Every event before the first one of this item is in the items before it.
                if is_full && start > range.from {
                    page.next = Some(start);
                    return Ok(page);
                }
                let Some(item) = item.into_telemetry()? else { continue };
                bytes += match &item {
                    StoredTelemetry::Block(block) => block.memory_bytes(),
                    StoredTelemetry::Event(event) => event.memory_bytes(),
                };
                page.items.push(item);
            }
        }
        Ok(page)
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        // A limit of one full page: all items that may contain the event are read, in one request if possible.
        let range = EventRange {
            vid: vid.clone(),
            from: eid,
            to: eid,
            limit: MAX_PAGE_ITEMS,
            max_bytes: PAGE_BYTES,
            consistent: true,
        };
        Ok(self.range(&range).await?.events.pop())
    }

    async fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        let distinct: BTreeSet<Eid> = eids.iter().copied().collect();
        let eids: Vec<Eid> = distinct.into_iter().collect();
        // Events far apart are looked up separately, otherwise a late event would read the log in between; concurrently,
        // because a sender may spread a few kilobytes of events over years.
        let mut look_ups = Vec::new();
        for group in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < SAME_RANGE_MS) {
            look_ups.push(self.stored_ids_of_group(vid, group));
        }
        stream::iter(look_ups).buffer_unordered(MAX_CONCURRENT_LOOK_UPS).try_concat().await
    }
}

impl<Items: EventItems> SegmentedLog<Items> {
    /// Writes an item. Also returns the indices of its events.
    async fn write(&self, item: Result<LogItem, PortError>, indices: Vec<usize>) -> (Result<(), PortError>, Vec<usize>) {
        let result = match item {
            Ok(item) => self.items.put_new(&item).await,
            Err(error) => Err(error),
        };
        (result, indices)
    }

    /// Returns which of these events, in order, are stored.
    async fn stored_ids_of_group(&self, vid: &VehicleId, group: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        let mut stored = BTreeSet::new();
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(stored) };
        let mut scan = self.scan(vid, *first, *last, MAX_PAGE_ITEMS, false);
        while let Some(items) = scan.next_page().await? {
            for item in items {
                stored.extend(item.eids()?.into_iter().filter(|eid| group.binary_search(eid).is_ok()));
            }
        }
        Ok(stored)
    }

    fn scan<'s>(&'s self, vid: &'s VehicleId, from: Eid, to: Eid, limit: usize, consistent: bool) -> ItemScan<'s, Items> {
        ItemScan {
            items: &self.items,
            vid,
            from: first_key(from),
            to: format!("{to}{AFTER_EID}"),
            limit: limit.clamp(MIN_PAGE_ITEMS, MAX_PAGE_ITEMS),
            consistent,
            is_complete: from > to,
        }
    }
}

/// Reads the items that may contain the events of a range, page by page.
struct ItemScan<'s, Items> {
    items: &'s Items,
    vid: &'s VehicleId,
    from: String,
    to: String,
    limit: usize,
    consistent: bool,
    is_complete: bool,
}

impl<Items: EventItems> ItemScan<'_, Items> {
    async fn next_page(&mut self) -> Result<Option<Vec<LogItem>>, PortError> {
        if self.is_complete {
            return Ok(None);
        }
        let range =
            ItemRange { vid: self.vid, from: &self.from, to: &self.to, limit: self.limit, consistent: self.consistent };
        let page = self.items.page(&range).await?;
        self.is_complete = !page.has_more;
        if let Some(last) = page.items.last() {
            // The smallest key after `last`.
            self.from = last.key() + "\0";
        }
        Ok(Some(page.items))
    }
}

/// Returns the first key of an item that may contain `eid`: of its bucket, and at most [`SPAN_MS`] before it, because no
/// segment spans more.
fn first_key(eid: Eid) -> String {
    let time = eid.time();
    Eid::lower_bound(bucket_start(time).max(time.plus_ms(-SPAN_MS))).to_string()
}
