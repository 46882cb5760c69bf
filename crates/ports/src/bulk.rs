//! Bulk files, vehicle mappings and the progress of imports.

use std::future::Future;

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, VehicleMapping};
use serde::{Deserialize, Serialize};

use crate::PortError;
use crate::batch_result::{BatchResult, push_item_result};

/// A bulk file, as its arrival event describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkFile {
    /// The object key. Its sender chose it, so it may contain personal data and must not be logged.
    pub key: String,
    /// The object version, if the bucket has versioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
    /// Digest of the bytes: the same bytes always have the same digest.
    pub content: String,
    /// Determines which of two files is newer.
    pub version: FileVersion,
}

/// The bulk files and their reports.
pub trait BulkFiles: Send + Sync {
    /// The open file.
    type Body: FileBody;

    /// Opens a file at byte `from`. Fails with `Conflict` if the file was replaced or removed since its arrival.
    fn open(&self, file: &BulkFile, from: u64) -> impl Future<Output = Result<Self::Body, PortError>> + Send;

    /// Stores part number `part` of the file's report, for an import that is resumed. Storing the same part again
    /// replaces it.
    fn store_report_part(
        &self,
        file: &BulkFile,
        part: u32,
        lines: Vec<u8>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores the report of the file, which consists of its first `parts` parts followed by `lines`, and the summary.
    /// Replaces a previous report.
    fn store_report(
        &self,
        file: &BulkFile,
        parts: u32,
        lines: Vec<u8>,
        summary: Vec<u8>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Requests that the file is delivered again immediately, to resume its import.
    fn request_resume(&self, file: &BulkFile) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// An open file.
pub trait FileBody: Send {
    /// Returns the next bytes; `None` at the end of the file.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, PortError>> + Send;
}

/// Storage of vehicle mappings: which fleet has which vehicle.
pub trait VehicleMappings: Send + Sync {
    /// Returns the stored mapping of each pair, in the order of the pairs; `None` for a pair without a mapping. A pair
    /// may occur several times.
    fn get(
        &self,
        pairs: &[(FleetId, VehicleId)],
    ) -> impl Future<Output = Result<Vec<Option<VehicleMapping>>, PortError>> + Send;

    /// Stores a mapping, unless a mapping of the same or a newer version is stored.
    fn put(&self, mapping: &VehicleMapping) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Stores each mapping as [`put`](Self::put) does and returns the results in the order of `mappings`. The adapter may
    /// write several mappings together, in any order. If one mapping is rejected, its result is the error. Any other
    /// error fails the entire call; some of the mappings may be stored then.
    fn put_all(&self, mappings: &[VehicleMapping]) -> impl Future<Output = BatchResult<PutOutcome>> + Send {
        async move {
            let mut results = Vec::with_capacity(mappings.len());
            for mapping in mappings {
                push_item_result(&mut results, self.put(mapping).await)?;
            }
            Ok(results)
        }
    }

    /// Lists the mappings of a fleet, ordered by vehicle id, including those that are marked as removed. `limit` is at
    /// least 1.
    fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<VehicleMapping>, PortError>> + Send;
}

/// The result of [`VehicleMappings::put`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The mapping was stored.
    Stored,
    /// The mapping was not stored: a mapping of the same or a newer version exists.
    NotNewer,
}

/// Storage of the progress of imports.
pub trait ImportProgress: Send + Sync {
    /// Returns the last checkpoint of a file; `None` if its import has not started, or started more than
    /// [`CHECKPOINT_RETENTION_MS`] ago.
    fn checkpoint(&self, file: &BulkFile) -> impl Future<Output = Result<Option<Checkpoint>, PortError>> + Send;

    /// Stores the checkpoint of a file. Replaces a previous one.
    fn save_checkpoint(
        &self,
        file: &BulkFile,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the import ledger; an empty one if none is stored.
    fn ledger(&self) -> impl Future<Output = Result<ImportLedger, PortError>> + Send;

    /// Replaces the import ledger. Fails with `Conflict` unless the stored ledger has the revision before
    /// `ledger.revision`.
    fn replace_ledger(&self, ledger: &ImportLedger) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Retention of checkpoints, in milliseconds: longer than an arrival event can be delivered again.
pub const CHECKPOINT_RETENTION_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// The progress of the import of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The last line that is completed.
    pub line: u64,
    /// Offset of the next line, in bytes of the decompressed file.
    pub offset: u64,
    /// The columns, if the file has a header line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The results of the rows up to this line.
    pub counts: RowCounts,
    /// The number of report parts that are stored.
    pub parts: u32,
    /// Duration of the import up to this line, in milliseconds.
    pub elapsed_ms: i64,
    /// The number of runs that ended before the file did.
    #[serde(default)]
    pub runs: u32,
    /// Whether the import is complete.
    pub done: bool,
}

/// The number of rows by result.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowCounts {
    /// All rows: the sum of the other counts.
    pub rows: u64,
    /// Rows that were stored because their content is new.
    pub loaded: u64,
    /// Rows whose content was already stored.
    pub unchanged: u64,
    /// Rows that were not stored because a newer file has other content for the same fleet and vehicle.
    pub superseded: u64,
    /// Invalid rows.
    pub wrong: u64,
}
