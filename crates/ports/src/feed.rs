//! The feed of a fleet: its queue, and the index of delivered events.

use std::future::Future;
use std::time::Duration;

use roadcast_domain::entitlement::Holders;
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, VehicleId};
use roadcast_signals::Timestamp;

use crate::PortError;

/// The queues of the fleets. Only Roadcast reads them.
pub trait FeedQueue: Send + Sync {
    /// Receives messages. A message that is not acknowledged is received again after the visibility timeout of the queue,
    /// also if the response was lost. Delivery is at least once. Returns no messages for a fleet without a queue. The request
    /// is not repeated: fails with `TimedOut` if there is no response within the timeout.
    fn receive(
        &self,
        fleet_id: &FleetId,
        options: ReceiveOptions,
    ) -> impl Future<Output = Result<Vec<Message>, PortError>> + Send;

    /// Deletes messages and returns the result of each, in the order of `ack_handles`. Deleting is idempotent: a handle of a
    /// message that is deleted or was received again, and a handle that the queue does not know, succeed without an effect.
    /// The message is then gone, or is received again.
    fn acknowledge(
        &self,
        fleet_id: &FleetId,
        ack_handles: &[String],
    ) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Makes received messages visible again after `delay_s` seconds, and returns the result of each, in the order of
    /// `ack_handles`. A handle of a message that is deleted or was received again, and a handle that the queue does not know,
    /// succeed without an effect. If a handle fails, its message becomes visible after the visibility timeout of the queue.
    fn release(
        &self,
        fleet_id: &FleetId,
        delay_s: u16,
        ack_handles: &[String],
    ) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// How to receive messages.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// Maximum number of messages, 1 to 10.
    pub max: u8,
    /// How long to wait for the first message, in seconds, 0 to 20. The wait is shorter if `timeout` requires it.
    pub wait_s: u8,
    /// The time after which the caller needs a result.
    pub timeout: Duration,
}

impl Default for ReceiveOptions {
    /// Returns options for ten messages, without a wait.
    fn default() -> Self {
        Self { max: 10, wait_s: 0, timeout: Duration::from_secs(10) }
    }
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The handle that acknowledges the message: in SQS, the receipt handle of this receive.
    pub ack_handle: String,
    /// A CloudEvents batch in JSON.
    pub body: String,
}

/// How long before the current time a reader of the index stops, in milliseconds. A writer assigns a new stamp to a
/// pointer that it could not write within half of this time, so that no pointer appears before the position of a reader.
pub const INDEX_LAG_MS: i64 = 10_000;
/// Maximum age of a stamp when it is written, in milliseconds.
pub const STAMP_AGE_MS: i64 = INDEX_LAG_MS / 2;

/// Retention of the index, in milliseconds: 14 days, longer than the retention of a queue. The table expires items by the
/// day.
pub const INDEX_RETENTION_MS: i64 = 14 * 24 * 60 * 60 * 1000;
/// How long an entry of the index is kept after its retention, in milliseconds. A reader that starts at the time that a
/// refused request names still finds all entries when it continues a little later.
pub const INDEX_GRACE_MS: i64 = 60 * 60 * 1000;

/// The index of the events that were delivered to each fleet, ordered by the time of delivery. It contains only pointers.
pub trait FeedIndex: Send + Sync {
    /// Records deliveries, each with a stamp of the time of writing. A delivery that is recorded twice may occur twice in
    /// the index.
    fn record(&self, deliveries: &[Delivery]) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Records the deliveries of a restored part to its fleet, with stamps of the time of writing, unless this part is recorded
    /// already: all of them or, if it fails, none. Returns whether this call recorded them; false also if it did, but lost the
    /// response and repeated the request. The index knows a part for as long as its pointers. Fails with `Rejected` if there
    /// are more than [`DELIVERIES_PER_PART`].
    fn record_once(
        &self,
        part: &RestoredPart,
        deliveries: &[Delivery],
    ) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Returns a page of one fleet's pointers, ordered by stamp.
    fn read(&self, range: &FeedRange) -> impl Future<Output = Result<FeedPage, PortError>> + Send;
}

/// The maximum number of deliveries that [`FeedIndex::record_once`] records together.
pub const DELIVERIES_PER_PART: usize = 99;

/// A part of what is restored from the archive for a fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RestoredPart {
    /// The fleet.
    pub fleet_id: FleetId,
    /// A digest of the events of the part.
    pub digest: u128,
}

/// Events that were delivered to a fleet together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The events.
    pub events: Vec<(VehicleId, Eid)>,
    /// The suspended subscriptions that hold the events back; none if the fleet could see them when they were delivered.
    pub held_by: Holders,
}

/// A pointer to events that were delivered to a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPointer {
    /// Position in the index: a ULID of the time of writing and a hash of the events.
    pub stamp: ArrivalStamp,
    /// The events.
    pub events: Vec<(VehicleId, Eid)>,
    /// The subscriptions that held the events back when they were delivered.
    pub held_by: Holders,
}

/// A range of a fleet's pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRange {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The first stamp, inclusive.
    pub from: ArrivalStamp,
    /// The last stamp, inclusive.
    pub to: ArrivalStamp,
    /// Maximum number of pointers in one page; at least 1.
    pub limit: usize,
}

/// A page of pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// The pointers, ordered by stamp.
    pub pointers: Vec<FeedPointer>,
    /// Start of the next page; `None` if the range is complete. Each page may be empty.
    pub next: Option<ArrivalStamp>,
}

impl FeedPointer {
    /// Creates a pointer to the events of a delivery with the stamp `now`.
    pub fn new(delivery: &Delivery, now: Timestamp) -> Self {
        let Delivery { events, held_by, .. } = delivery;
        // Any mixing function is sufficient: different pointers of one millisecond get different stamps, and the same
        // pointer gets the same stamp. The same events can be visible in part and held back in full.
        let salt = events.iter().fold(0_u128, |salt, (_, eid)| salt.rotate_left(7) ^ eid.hash());
        let holders = held_by.subscriptions().flat_map(|subscription_id| subscription_id.as_str().bytes());
        let salt = holders.fold(salt, |salt, byte| salt.rotate_left(7) ^ u128::from(byte));
        Self { stamp: ArrivalStamp::from_time_and_salt(now, salt), events: events.clone(), held_by: held_by.clone() }
    }
}
