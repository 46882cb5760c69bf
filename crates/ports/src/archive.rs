//! Raw records and what was set aside, for good.

use std::future::Future;

use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_signals::Timestamp;

use crate::PortError;

/// Keeps every record as it came.
pub trait Archive: Send + Sync {
    /// Keeps a batch of one shard's records, in one object. Retried batches may overlap earlier ones.
    fn store(&self, batch: &RawBatch) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Records of one shard, in its order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBatch {
    /// The shard.
    pub shard: String,
    /// The records.
    pub records: Vec<RawRecord>,
}

/// A record as it came off the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its sequence number in the shard.
    pub sequence_number: String,
    /// When the stream took it.
    pub arrived_at: Timestamp,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Keeps what could not be taken, with the reason.
pub trait Quarantine: Send + Sync {
    /// Sets items aside, in one object for each reason. Setting the same aside again may leave it there twice.
    fn store(&self, items: &[QuarantinedItem]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A sample, an event or a record set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedItem {
    /// Why.
    pub reason: Reason,
    /// What is wrong, and where in the event.
    pub pointer: String,
    /// The vehicle, where known.
    pub vid: Option<VehicleId>,
    /// The event, where its envelope was right.
    pub eid: Option<Eid>,
    /// The sample's place in the event; none for a whole event.
    pub index: Option<usize>,
    /// Samples that this stands for.
    pub samples: usize,
    /// The shard and sequence number of the record it came in.
    pub shard: String,
    /// See `shard`.
    pub sequence_number: String,
    /// When the stream took that record.
    pub arrived_at: Timestamp,
    /// The bytes, untouched.
    pub bytes: Vec<u8>,
}
