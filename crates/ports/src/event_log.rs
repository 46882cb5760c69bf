//! The event log: the events of each vehicle, ordered by event time.

use std::collections::BTreeSet;
use std::future::Future;

use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};

use crate::PortError;

/// The budget of a page, unless a caller has a reason for another one: several of the largest events that an upload may
/// contain. The smallest function has 256 MiB; it also holds the answer that it makes of a page.
pub const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// The log of accepted events.
pub trait EventLog: Send + Sync {
    /// Stores events of any vehicles and returns the result of each, in the order of `events`. The failure of one event
    /// does not affect the others. Succeeds without a change for an event that is already stored.
    fn append(&self, events: &[StoredEvent]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Returns a page of one vehicle's events in a range of eids, ordered by eid. It has an event unless the range has none,
    /// and at most [`EventRange::limit`] events and [`EventRange::max_bytes`] bytes, unless a single event has more.
    fn range(&self, range: &EventRange) -> impl Future<Output = Result<EventPage, PortError>> + Send;

    /// Returns a page of one vehicle's telemetry in a range of eids, as it is stored: nothing is decoded that the reader does
    /// not need. [`EventRange::limit`] and [`EventRange::max_bytes`] are those of the stored items; a page may exceed them by
    /// the items that contain the same event.
    fn telemetry(&self, range: &EventRange) -> impl Future<Output = Result<TelemetryPage, PortError>> + Send;

    /// Returns an event; `None` if it is not stored.
    fn get(&self, vid: &VehicleId, eid: Eid) -> impl Future<Output = Result<Option<StoredEvent>, PortError>> + Send;

    /// Returns which of these events of a vehicle are stored. Reads no samples, so that its memory does not depend on what
    /// the events contain. Eventually consistent: an event that was stored in the last second may be missing.
    fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> impl Future<Output = Result<BTreeSet<Eid>, PortError>> + Send;
}

/// A range of one vehicle's event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The first eid, inclusive.
    pub from: Eid,
    /// The last eid, inclusive.
    pub to: Eid,
    /// Maximum number of events in one page; at least 1.
    pub limit: usize,
    /// Maximum bytes of the events of one page in memory, as [`StoredEvent::memory_bytes`] counts them. The first event is
    /// returned whatever its size.
    pub max_bytes: usize,
    /// Whether the read is strongly consistent. Otherwise it is eventually consistent, at half the price.
    pub consistent: bool,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The events, ordered by eid.
    pub events: Vec<StoredEvent>,
    /// Start of the next page, after every event of this page; `None` if the range is complete. The next page may be empty.
    pub next: Option<Eid>,
}

/// A page of telemetry, as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryPage {
    /// The items, ordered by their first event. They contain all telemetry of the page, some of it several times, and
    /// events outside of the page.
    pub items: Vec<StoredTelemetry>,
    /// Start of the next page, after every event of this page; `None` if the range is complete. The next page may be empty.
    pub next: Option<Eid>,
}

/// An encoded block, with what is needed to decode it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBlock {
    /// The bytes of the block.
    pub bytes: Vec<u8>,
    /// The hashes of the event ids, in order; empty if the block has them.
    pub hashes: Vec<u128>,
}

impl StoredBlock {
    /// Returns the size of the encoded block in memory.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&self.hashes[..])
    }
}

/// An item of the log with telemetry.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredTelemetry {
    /// An encoded block of one or more events.
    Block(StoredBlock),
    /// An event that exceeds the limits of a block.
    Event(Event),
}
