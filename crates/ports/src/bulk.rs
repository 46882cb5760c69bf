//! Files of bulk data, and what is kept of loading them.

use std::future::Future;

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, VehicleMapping};
use serde::{Deserialize, Serialize};

use crate::PortError;
use crate::batch_result::{BatchResult, per_item};

/// A file of bulk data, as its arrival told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkFile {
    /// Where it lies. Whoever named it may have put anything into it, so it is in no log line.
    pub key: String,
    /// Its version in the bucket, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
    /// The same for the same bytes.
    pub content: String,
    /// Which of two files is newer.
    pub version: FileVersion,
}

/// The files themselves, and what is answered to them.
pub trait BulkFiles: Send + Sync {
    /// A file being read.
    type Body: FileBody;

    /// Opens a file at a byte; a conflict where it is no longer what arrived.
    fn open(&self, file: &BulkFile, from: u64) -> impl Future<Output = Result<Self::Body, PortError>> + Send;

    /// Keeps a part of the file's report, for a load that goes on. The same part again takes the place of the first.
    fn keep_part(&self, file: &BulkFile, part: u32, lines: Vec<u8>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Puts a report beside the file: its first `parts` parts and the lines after them, then the summary.
    fn report(
        &self,
        file: &BulkFile,
        parts: u32,
        lines: Vec<u8>,
        summary: Vec<u8>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Has the file come again, at once.
    fn request_resume(&self, file: &BulkFile) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A file being read.
pub trait FileBody: Send {
    /// The next bytes; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, PortError>> + Send;
}

/// Which customer has which vehicle.
pub trait VehicleMappings: Send + Sync {
    /// What is kept of these pairs, in their order.
    fn get(
        &self,
        pairs: &[(FleetId, VehicleId)],
    ) -> impl Future<Output = Result<Vec<Option<VehicleMapping>>, PortError>> + Send;

    /// Keeps a mapping, unless one of the same version or a newer one is kept.
    fn put(&self, mapping: &VehicleMapping) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Keeps each of these as if by itself, in any order, and answers in theirs; the adapter may write many together. What is
    /// refused of one mapping stands in its place. Any other error is of all of them: some may be kept then.
    fn put_all(&self, mappings: &[VehicleMapping]) -> impl Future<Output = BatchResult<PutOutcome>> + Send {
        async move {
            let mut each = Vec::with_capacity(mappings.len());
            for mapping in mappings {
                each.push(per_item(self.put(mapping).await)?);
            }
            Ok(each)
        }
    }

    /// The mappings of a customer, those that are marked as removed too, by vehicle and after one; at most `limit`, which is
    /// at least 1. Fewer are the last ones.
    fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<VehicleMapping>, PortError>> + Send;
}

/// What putting did.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is kept.
    Kept,
    /// What is kept is as new, or newer.
    Older,
}

/// How far files were loaded.
pub trait ImportProgress: Send + Sync {
    /// How far a file was loaded; none where it was not begun, or longer than [`CHECKPOINT_KEPT_MS`] ago.
    fn checkpoint(&self, file: &BulkFile) -> impl Future<Output = Result<Option<Checkpoint>, PortError>> + Send;

    /// Keeps how far a file was loaded.
    fn keep_checkpoint(
        &self,
        file: &BulkFile,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// What is known of all files; the empty one where nothing is.
    fn ledger(&self) -> impl Future<Output = Result<ImportLedger, PortError>> + Send;

    /// Keeps it, where the one that is kept has the revision before; otherwise it is a conflict.
    fn replace_ledger(&self, ledger: &ImportLedger) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// How long it is known how far a file was loaded, in milliseconds: longer than its arrival may come again.
pub const CHECKPOINT_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How far a file was loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The last line that is done.
    pub line: u64,
    /// Where the next one begins, in bytes of the unpacked file.
    pub offset: u64,
    /// The columns, where the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// What became of the rows up to there.
    pub counts: RowCounts,
    /// Parts of the report that are kept.
    pub parts: u32,
    /// How long it took up to there, in milliseconds.
    pub elapsed_ms: i64,
    /// Whether that is all.
    pub done: bool,
}

/// What became of rows.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowCounts {
    /// All of them; the others add up to it.
    pub rows: u64,
    /// Said something new, and are kept.
    pub loaded: u64,
    /// Said what was kept already.
    pub unchanged: u64,
    /// Said something else than a newer file, which stands.
    pub superseded: u64,
    /// Were wrong.
    pub wrong: u64,
}
