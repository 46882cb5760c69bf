//! Where redrives send dead letters, and the archived records that they need.

use std::collections::BTreeMap;
use std::future::Future;

use roadcast_domain::dead_letter::{Content, RedriveId};
use roadcast_signals::Timestamp;

use crate::PortError;
use crate::archive::ArchivedRecord;

/// Where redrives send dead letters. Everything that is sent may be sent again; its effect is as if it was sent once.
pub trait RedriveTargets: Send + Sync {
    /// Has the stream processor process records that arrived earlier, beside the batches of the stream, and waits for it.
    fn process(&self, batch: &RedrivenBatch) -> impl Future<Output = Result<ProcessedBatch, PortError>> + Send;

    /// Sends a message to the queue of a lane of enrichment. Fails with `Rejected` if there is no such lane.
    fn enrich(&self, lane: &str, message: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Has the loader import the bulk file of a notification, without waiting for it.
    fn import(&self, notification: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Sends a message to the queue of notices of the operator's alerts.
    fn notify(&self, message: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Records for the stream processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivenBatch {
    /// The redrive.
    pub redrive_id: RedriveId,
    /// The records as JSON texts, as the event source mapping of the stream sends them.
    pub records: Vec<String>,
}

/// What the stream processor did with the records of a redrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessedBatch {
    /// Whether some of the records could not be processed.
    pub is_partial: bool,
    /// The number of samples that were quarantined, by the code of the reason.
    pub quarantined: BTreeMap<String, usize>,
}

/// Reads of the archive that redrives need.
pub trait ArchivedRecords: Send + Sync {
    /// Returns the positions of the records whose items are in an object of the quarantine, in the order of the object, each
    /// once; `None` if the object does not exist (any more). Fails with `Rejected` if the object is too large or not of the
    /// quarantine.
    fn quarantined(&self, content: &Content) -> impl Future<Output = Result<Option<Vec<RecordPosition>>, PortError>> + Send;

    /// Returns the archived records at these positions; those that are not found are omitted. Fails with `Rejected` if that
    /// takes more reads than the bound of the adapter.
    fn find(&self, positions: &[RecordPosition]) -> impl Future<Output = Result<Vec<ArchivedRecord>, PortError>> + Send;
}

/// The position of a record in the stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPosition {
    /// The shard.
    pub shard: String,
    /// The sequence number in the shard.
    pub sequence_number: String,
    /// When the stream accepted the record.
    pub arrived_at: Timestamp,
}
