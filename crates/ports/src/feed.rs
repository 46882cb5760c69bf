//! A fleet's feed: the queue it drains, and the index of what was delivered.

use std::future::Future;

use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_signals::Timestamp;

use crate::PortError;

/// The fleets' queues, read only by Roadcast itself.
pub trait FeedQueue: Send + Sync {
    /// Takes up to `max` messages (1 to 10), waiting up to `wait_s` seconds (0 to 20) for the first. What is not
    /// acknowledged comes again after the queue's visibility timeout. A fleet without a queue has no messages.
    fn receive(
        &self,
        fleet_id: &FleetId,
        max: u8,
        wait_s: u8,
    ) -> impl Future<Output = Result<Vec<Message>, PortError>> + Send;

    /// Removes messages for good, and answers one by one in their order.
    fn acknowledge(
        &self,
        fleet_id: &FleetId,
        receipts: &[String],
    ) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// A message taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What acknowledges it.
    pub receipt: String,
    /// A CloudEvents batch in JSON.
    pub body: String,
}

/// The index of what was delivered to each fleet, by received time: pointers only.
pub trait FeedIndex: Send + Sync {
    /// Records pointers.
    fn record(&self, pointers: &[FeedPointer]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where to find events that were delivered to a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPointer {
    /// The fleet.
    pub fleet_id: FleetId,
    /// When it was stamped, and a hash of what it points to.
    pub stamp: Eid,
    /// The events.
    pub events: Vec<(VehicleId, Eid)>,
}

impl FeedPointer {
    /// The pointer to these events, stamped now.
    pub fn stamped(fleet_id: FleetId, events: Vec<(VehicleId, Eid)>, now: Timestamp) -> Self {
        // Any mixing will do: it only keeps two pointers of one millisecond apart, and the same pointer the same.
        let salt = events.iter().fold(0_u128, |salt, (_, eid)| salt.rotate_left(7) ^ eid.hash());
        Self { fleet_id, stamp: Eid::stamped(now, salt), events }
    }
}
