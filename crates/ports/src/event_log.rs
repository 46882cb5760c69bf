//! The events of each vehicle, by event time.

use std::future::Future;

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};

use crate::PortError;

/// The log of accepted events. Appending the same event again changes nothing.
pub trait EventLog: Send + Sync {
    /// Stores events, of any vehicles, and answers one by one in their order: what fails does not keep the others out. An
    /// event that is stored already is left as it was, and is no error.
    fn append(&self, events: &[StoredEvent]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Events of one vehicle in `eid` order.
    fn range(&self, range: &EventRange) -> impl Future<Output = Result<EventPage, PortError>> + Send;

    /// One event. Reads what was stored just before.
    fn get(&self, vid: &VehicleId, eid: Eid) -> impl Future<Output = Result<Option<StoredEvent>, PortError>> + Send;
}

/// A stretch of one vehicle's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The first id that may come.
    pub from: Eid,
    /// The last id that may come.
    pub to: Eid,
    /// At most so many events in one page; at least 1.
    pub limit: usize,
    /// Whether it must show what was stored just before; otherwise it may lag behind by a moment, at half the price.
    pub consistent: bool,
}

/// A page of a range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// In `eid` order.
    pub events: Vec<StoredEvent>,
    /// Where the next page starts, if the range goes on. It may turn out to be empty.
    pub next: Option<Eid>,
}
