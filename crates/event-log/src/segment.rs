//! Segments: a stretch of one vehicle's telemetry as one item of the log.
//!
//! A segment holds the block of its events and where they came from. It is filled to the bytes of one write unit, because
//! that is what `DynamoDB` bills; it spans at most [`SPAN_MS`] and never crosses a bucket of [`BUCKET_MS`] of event time, so
//! that a reader who takes whole buckets misses nothing, however batches were cut.

use std::collections::BTreeMap;

use roadcast_blocks::{Block, DecodeError};
use roadcast_codec::telemetry_block::{block_of, key_of, telemetry_of};
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};

use crate::origins::{self, UnreadableOrigins};

/// How long a bucket of event time is, in milliseconds.
pub const BUCKET_MS: i64 = 5 * 60 * 1000;
/// How far the times of a segment's events may lie apart, in milliseconds.
pub const SPAN_MS: i64 = 120 * 1000;
/// Bytes of one write unit of `DynamoDB`.
pub const WRITE_UNIT_BYTES: usize = 1024;
/// Bytes of an item beside block and origins: the names of its attributes (`vid`, `eid`, `fmt`, `block`, `origins`), the
/// vehicle's id, the key and the number of the form.
pub const ITEM_OVERHEAD_BYTES: usize = 3 + 20 + 3 + KEY_BYTES + 3 + 2 + 5 + 7;
/// Bytes of a segment's key: an `eid`, `#` and 8 symbols.
const KEY_BYTES: usize = Eid::TEXT_LEN + 1 + 8;

/// A stretch of one vehicle's telemetry as one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The vehicle.
    pub vid: VehicleId,
    /// Its place in the vehicle's log: the first event's id, and a digest of all of them. The same events always have the
    /// same key, and others another.
    pub key: String,
    /// The block of its events.
    pub block: Vec<u8>,
    /// Where they came from.
    pub origins: Vec<u8>,
}

/// A segment that cannot be read. It is an error, and not skipped: its events were promised to be there.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableSegment {
    /// Its block.
    #[error("the block")]
    Block(#[from] DecodeError),
    /// Its origins.
    #[error("the origins")]
    Origins(#[from] UnreadableOrigins),
    /// There are more events than origins, or fewer.
    #[error("{events} events and {origins} origins")]
    Counts {
        /// Events in the block.
        events: usize,
        /// Origins beside it.
        origins: usize,
    },
}

impl Segment {
    /// Bytes of its item, as `DynamoDB` counts them for a write.
    pub fn item_bytes(&self) -> usize {
        ITEM_OVERHEAD_BYTES + self.block.len() + self.origins.len()
    }

    /// Its events, in `eid` order.
    pub fn events(&self) -> Result<Vec<StoredEvent>, UnreadableSegment> {
        let origins = origins::decode(&self.origins)?;
        let events = telemetry_of(&self.vid, &Block::decode(&self.block)?);
        if events.len() != origins.len() {
            return Err(UnreadableSegment::Counts { events: events.len(), origins: origins.len() });
        }
        Ok(events.into_iter().zip(origins).map(|(event, origin)| StoredEvent { event, origin }).collect())
    }

    /// The segment of these telemetry events of one vehicle, in `eid` order; nothing where no block can hold them.
    pub(crate) fn of(events: &[&StoredEvent]) -> Option<Self> {
        let first = &events.first()?.event;
        let block = block_of(events.iter().map(|stored| &stored.event))?.encode();
        let origins: Vec<&Origin> = events.iter().map(|stored| &stored.origin).collect();
        let key = key_of(events.iter().map(|stored| stored.event.eid))?;
        Some(Self { vid: first.vid.clone(), key, block, origins: origins::encode(&origins).ok()? })
    }
}

/// What is to be stored of a vehicle's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan<'e> {
    /// The segments, each with the places of its events among those that were given.
    pub segments: Vec<(Segment, Vec<usize>)>,
    /// Events to be stored one by one: diagnoses, custom events, and what no block can hold.
    pub single: Vec<(&'e StoredEvent, Vec<usize>)>,
}

/// Plans how to store events, of any vehicles and in any order. An event that is given twice is planned once.
pub fn plan(events: &[StoredEvent]) -> Plan<'_> {
    let mut distinct: BTreeMap<(&VehicleId, Eid), (&StoredEvent, Vec<usize>)> = BTreeMap::new();
    for (place, stored) in events.iter().enumerate() {
        let entry = distinct.entry((&stored.event.vid, stored.event.eid)).or_insert((stored, Vec::new()));
        // The one that was received first stands, here as in the log.
        if stored.event.received < entry.0.event.received {
            entry.0 = stored;
        }
        entry.1.push(place);
    }
    let mut plan = Plan::default();
    let mut telemetry: Vec<(&StoredEvent, Vec<usize>)> = Vec::new();
    for (stored, places) in distinct.into_values() {
        match stored.event.body {
            Body::Telemetry(_) => telemetry.push((stored, places)),
            Body::Diagnostic(_) | Body::Custom(_) => plan.single.push((stored, places)),
        }
    }
    let mut left = telemetry.as_slice();
    while let Some((first, _)) = left.first() {
        let stretch = left.iter().take_while(|(next, _)| may_share(&first.event, &next.event)).count();
        let (taken, segment) = fill(&left[..stretch]);
        let (now, later) = left.split_at(taken);
        match segment {
            Some(segment) => plan.segments.push((segment, now.iter().flat_map(|(_, places)| places.clone()).collect())),
            None => plan.single.extend(now.iter().cloned()),
        }
        left = later;
    }
    plan
}

/// As many of the events as fit into one write unit, at least one: how many, and their segment.
fn fill(events: &[(&StoredEvent, Vec<usize>)]) -> (usize, Option<Segment>) {
    let segment_of = |count: usize| Segment::of(&events[..count].iter().map(|(stored, _)| *stored).collect::<Vec<_>>());
    let fits = |segment: &Option<Segment>| segment.as_ref().is_some_and(|s| s.item_bytes() <= WRITE_UNIT_BYTES);
    let (mut fitting, mut best) = (1, segment_of(1));
    if !fits(&best) {
        return (1, best);
    }
    // The first guess is that events are alike; from there to the last that fits.
    let spare = best.as_ref().map_or(0, |segment| WRITE_UNIT_BYTES - ITEM_OVERHEAD_BYTES - segment.origins.len());
    let each = best.as_ref().map_or(1, |segment| segment.block.len().max(1));
    let mut too_many = events.len() + 1;
    let mut next = (spare / each).clamp(2, events.len().max(2));
    while fitting + 1 < too_many {
        let candidate = segment_of(next);
        if fits(&candidate) {
            (fitting, best) = (next, candidate);
            // Later events cost less than the first, so there may be room for some more.
            next = (fitting + fitting.div_ceil(4)).min(too_many - 1);
        } else {
            too_many = next;
            next = fitting + (too_many - fitting) / 2;
        }
        next = next.max(fitting + 1);
    }
    (fitting, best)
}

/// Whether an event may lie in a segment that begins with `first`.
fn may_share(first: &Event, event: &Event) -> bool {
    let (start, at) = (first.eid.time(), event.eid.time());
    first.vid == event.vid && bucket_of(start) == bucket_of(at) && at.ms_since(start) <= SPAN_MS
}

/// The start of the bucket that a time lies in.
pub fn bucket_of(time: Timestamp) -> Timestamp {
    Timestamp::from_ms(time.ms().div_euclid(BUCKET_MS) * BUCKET_MS)
}
