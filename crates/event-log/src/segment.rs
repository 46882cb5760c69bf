//! A segment: consecutive telemetry events of one vehicle as one item of the log.
//!
//! A segment contains the block of its events and the origin of each. It is filled up to one write unit, because that is
//! what `DynamoDB` bills. It spans at most [`SPAN_MS`] and never crosses a bucket of [`BUCKET_MS`] of event time, so that a
//! reader of entire buckets misses no event, regardless of how events were batched.

use roadcast_blocks::{Block, DecodeError};
use roadcast_codec::telemetry_block::{encode_block, events_of_block, segment_key};
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Origin, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};

use crate::origins::{self, OriginsDecodeError};

/// Length of a bucket of event time, in milliseconds.
pub const BUCKET_MS: i64 = 5 * 60 * 1000;
/// Maximum difference between the times of a segment's events, in milliseconds.
pub const SPAN_MS: i64 = 120 * 1000;
/// Bytes of one write unit of `DynamoDB`.
pub const WRITE_UNIT_BYTES: usize = 1024;
/// Maximum bytes of a segment's events in memory, unless it has a single event. A few bytes of a block can hold many samples
/// of a stationary vehicle, so the size of an item does not bound what it decodes to. In columns, this is about a hundred thousand
/// values, which take four times as much as rows.
pub const MEMORY_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of an item without block and origins: the attribute names (`vid`, `eid`, `fmt`, `block`, `origins`), the vehicle
/// id, the key and the format number.
pub const ITEM_OVERHEAD_BYTES: usize = 3 + 20 + 3 + KEY_BYTES + 3 + 2 + 5 + 7;
/// Bytes of a segment key: an `eid`, `#` and 8 hexadecimal digits.
const KEY_BYTES: usize = Eid::TEXT_LEN + 1 + 8;

/// Telemetry events of one vehicle as one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The vehicle.
    pub vid: VehicleId,
    /// Sort key within the vehicle's log: the first event's id and a digest of all event ids. The same events always have
    /// the same key; different events have different keys.
    pub key: String,
    /// The encoded block of its events. It has no hashes of event ids, because they follow from the vehicle and the origins; those of
    /// earlier releases have them.
    pub block: Vec<u8>,
    /// The encoded origins of its events, see [`origins`].
    pub origins: Vec<u8>,
}

/// A segment cannot be decoded. Readers return this error and do not skip the segment: its events are acknowledged data.
#[derive(Debug, thiserror::Error)]
pub enum SegmentDecodeError {
    /// The block cannot be decoded.
    #[error("the block of the segment cannot be decoded")]
    Block(#[from] DecodeError),
    /// The origins cannot be decoded.
    #[error("the origins of the segment cannot be decoded")]
    Origins(#[from] OriginsDecodeError),
    /// The numbers of events and origins differ.
    #[error("the segment has {events} events and {origins} origins")]
    Counts {
        /// Number of events in the block.
        events: usize,
        /// Number of origins.
        origins: usize,
    },
}

impl Segment {
    /// Size of the item in bytes, as `DynamoDB` counts it for a write.
    pub fn item_bytes(&self) -> usize {
        ITEM_OVERHEAD_BYTES + self.block.len() + self.origins.len()
    }

    /// Decodes the events, in `eid` order.
    pub fn events(&self) -> Result<Vec<StoredEvent>, SegmentDecodeError> {
        let origins = origins::decode(&self.origins)?;
        let hashes = self.hashes_of(&origins);
        let events = events_of_block(&self.vid, Block::decode_with_hashes(&self.block, &hashes)?);
        if events.len() != origins.len() {
            return Err(SegmentDecodeError::Counts { events: events.len(), origins: origins.len() });
        }
        Ok(events.into_iter().zip(origins).map(|(event, origin)| StoredEvent { event, origin }).collect())
    }

    /// Returns the ids of the events, in order. Decodes no samples.
    pub fn eids(&self) -> Result<Vec<Eid>, SegmentDecodeError> {
        let head = Block::decode_head_with_hashes(&self.block, &self.hashes()?)?;
        Ok(head.events.into_iter().map(|event| Eid::from_bits(event.eid)).collect())
    }

    /// Returns the hashes of the event ids, in order, without which the block cannot be decoded. Empty if the block has them.
    pub fn hashes(&self) -> Result<Vec<u128>, OriginsDecodeError> {
        if !Block::omits_hashes(&self.block) {
            return Ok(Vec::new());
        }
        Ok(self.hashes_of(&origins::decode(&self.origins)?))
    }

    fn hashes_of(&self, origins: &[Origin]) -> Vec<u128> {
        if !Block::omits_hashes(&self.block) {
            return Vec::new();
        }
        let time = Timestamp::default();
        origins.iter().map(|origin| Eid::for_event(&self.vid, &origin.source, &origin.id, time).hash()).collect()
    }

    /// Creates the segment of telemetry events of one vehicle, in `eid` order. Returns `None` if `events` is empty or
    /// exceeds the limits of a block.
    pub(crate) fn new(events: &[&StoredEvent]) -> Option<Self> {
        let first = &events.first()?.event;
        let block = encode_block(events.iter().map(|stored| &stored.event))?;
        let follows_from_origin = |StoredEvent { event, origin }: &StoredEvent| {
            Eid::for_event(&first.vid, &origin.source, &origin.id, event.eid.time()) == event.eid
        };
        let can_omit_hashes = events.iter().all(|stored| follows_from_origin(stored));
        let block = if can_omit_hashes { block.encode_without_hashes() } else { block.encode() };
        let origins: Vec<&Origin> = events.iter().map(|stored| &stored.origin).collect();
        let key = segment_key(events.iter().map(|stored| stored.event.eid))?;
        Some(Self { vid: first.vid.clone(), key, block, origins: origins::encode(&origins).ok()? })
    }
}

/// Returns the start of the bucket that contains `time`.
pub fn bucket_start(time: Timestamp) -> Timestamp {
    Timestamp::from_ms(time.ms().div_euclid(BUCKET_MS) * BUCKET_MS)
}
