//! The event log: the events of each vehicle, ordered by event time.

use std::future::Future;

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};

use crate::PortError;

/// The log of accepted events.
pub trait EventLog: Send + Sync {
    /// Stores events of any vehicles and returns the result of each, in the order of `events`. The failure of one event
    /// does not affect the others. Succeeds without a change for an event that is already stored.
    fn append(&self, events: &[StoredEvent]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Returns a page of one vehicle's events in a range of eids, ordered by eid.
    fn range(&self, range: &EventRange) -> impl Future<Output = Result<EventPage, PortError>> + Send;

    /// Returns an event; `None` if it is not stored.
    fn get(&self, vid: &VehicleId, eid: Eid) -> impl Future<Output = Result<Option<StoredEvent>, PortError>> + Send;
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
    /// Whether the read is strongly consistent. Otherwise it is eventually consistent, at half the price.
    pub consistent: bool,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The events, ordered by eid.
    pub events: Vec<StoredEvent>,
    /// Start of the next page; `None` if the range is complete. The next page may be empty.
    pub next: Option<Eid>,
}
