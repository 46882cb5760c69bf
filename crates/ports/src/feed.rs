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

    /// Removes messages for good, and answers one by one in their order. A receipt that is none is a conflict.
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

/// How long before now a reader of the index stops, in milliseconds. A writer stamps again what it could not write within
/// half of that, so nothing appears behind a reader.
pub const INDEX_LAG_MS: i64 = 10_000;
/// How old a stamp may be when it is written, in milliseconds.
pub const STAMP_AGE_MS: i64 = INDEX_LAG_MS / 2;

/// How long the index remembers, in milliseconds: a fortnight, longer than a queue keeps a message. The table forgets by the
/// day.
pub const INDEX_KEPT_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// The index of what was delivered to each fleet, by the time of delivery: pointers only.
pub trait FeedIndex: Send + Sync {
    /// Records what was delivered, each under a stamp of the moment that it is written. What is recorded twice stands there
    /// twice.
    fn record(&self, deliveries: &[Delivery]) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Pointers of one fleet in the order of their stamps. Shows what was recorded just before.
    fn read(&self, range: &FeedRange) -> impl Future<Output = Result<FeedPage, PortError>> + Send;
}

/// Events that were delivered to a fleet together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The events.
    pub events: Vec<(VehicleId, Eid)>,
}

/// Where to find events that were delivered to a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPointer {
    /// When it was stamped, and a hash of what it points to.
    pub stamp: Eid,
    /// The events.
    pub events: Vec<(VehicleId, Eid)>,
}

/// A stretch of a fleet's pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRange {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The first stamp that may come.
    pub from: Eid,
    /// The last stamp that may come.
    pub to: Eid,
    /// At most so many pointers in one page; at least 1.
    pub limit: usize,
}

/// A page of pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// In the order of their stamps.
    pub pointers: Vec<FeedPointer>,
    /// Where the next page starts, if the range goes on. It may turn out to be empty, and so may this one.
    pub next: Option<Eid>,
}

impl FeedPointer {
    /// The pointer to these events, stamped now.
    pub fn stamped(events: Vec<(VehicleId, Eid)>, now: Timestamp) -> Self {
        // Any mixing will do: it only keeps two pointers of one millisecond apart, and the same pointer the same.
        let salt = events.iter().fold(0_u128, |salt, (_, eid)| salt.rotate_left(7) ^ eid.hash());
        Self { stamp: Eid::stamped(now, salt), events }
    }
}
