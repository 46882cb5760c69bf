//! Permanent storage of raw records and of quarantined items.

use std::future::Future;
use std::sync::Arc;

use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_signals::Timestamp;

use crate::PortError;

/// Archive of all stream records in their original form.
pub trait Archive: Send + Sync {
    /// Stores a batch of one shard's records in one object. A retried batch may overlap earlier batches. It may have other
    /// boundaries.
    fn store(&self, batch: &RawBatch) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Reads of the archive in the order in which it was written, to restore what was stored from it.
pub trait ArchivedBatches: Send + Sync {
    /// Lists the batches whose first record arrived in the hour that starts at `hour`, ordered by key: at most `limit` ones
    /// after the key `after`. The list ends with an empty page.
    fn list(
        &self,
        hour: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ArchivedBatch>, PortError>> + Send;

    /// Returns the records of a batch, in the order in which they were archived; none if the batch does not exist (any more).
    /// Fails with `Rejected` if the batch is not readable or larger than any that the archive stores.
    fn read(&self, key: &str) -> impl Future<Output = Result<Vec<ArchivedRecord>, PortError>> + Send;
}

/// A batch in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedBatch {
    /// The key.
    pub key: String,
    /// When the batch was last written, in full seconds. Its records arrived before.
    pub written_at: Timestamp,
    /// The stored size in bytes.
    pub bytes: u64,
}

/// Records of one shard, in the order of the shard. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBatch {
    /// The shard.
    pub shard: String,
    /// The records. Shared with those who process them.
    pub records: Vec<Arc<RawRecord>>,
}

/// A record, as it was read from the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// The sequence number in the shard.
    pub sequence_number: String,
    /// The partition key; the `vid` if the record was uploaded over HTTP.
    pub partition_key: String,
    /// When the stream accepted the record.
    pub arrived_at: Timestamp,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A record of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedRecord {
    /// The shard.
    pub shard: String,
    /// The record.
    pub raw: RawRecord,
}

/// Storage of refused events and samples, with the reason.
pub trait Quarantine: Send + Sync {
    /// Stores items, in one object per reason. Items that are stored again may be duplicated.
    fn store(&self, items: &[QuarantinedItem]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A quarantined sample, event or record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedItem {
    /// The reason.
    pub reason: Reason,
    /// JSON pointer to the invalid part of the event.
    pub pointer: JsonPointer,
    /// The vehicle, if known.
    pub vid: Option<VehicleId>,
    /// The event id, if the envelope was valid.
    pub eid: Option<Eid>,
    /// Index of the sample in the event; `None` for an entire event.
    pub index: Option<usize>,
    /// The number of samples in this item.
    pub samples: usize,
    /// The shard of the record that contained the item.
    pub shard: String,
    /// The sequence number of that record in the shard.
    pub sequence_number: String,
    /// When the stream accepted that record.
    pub arrived_at: Timestamp,
    /// The bytes, unchanged.
    pub bytes: Vec<u8>,
}
