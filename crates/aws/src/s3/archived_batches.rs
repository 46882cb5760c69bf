//! Reads of the archive in the order of its objects, for restores.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Object;
use roadcast_ports::PortError;
use roadcast_ports::archive::{ArchivedBatch, ArchivedBatches, ArchivedRecord};
use roadcast_signals::Timestamp;

use crate::s3::archive::{RAW_PREFIX, hour_prefix};
use crate::s3::archive_lines::RawLine;
use crate::s3::archive_object::{archived_record, read_lines};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const LIST: &str = "listing the archive of an hour";
const READ: &str = "reading an archived batch";
/// The largest page of `ListObjectsV2`.
const MAX_KEYS: usize = 1000;

/// The batches of the archive in one bucket.
#[derive(Clone, Debug)]
pub struct S3ArchivedBatches {
    client: LazyClient<Client>,
    bucket: String,
}

impl S3ArchivedBatches {
    /// Creates the adapter for the bucket of the archive.
    pub fn new(client: LazyClient<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }
}

impl ArchivedBatches for S3ArchivedBatches {
    async fn list(&self, hour: Timestamp, after: Option<&str>, limit: usize) -> Result<Vec<ArchivedBatch>, PortError> {
        let max_keys = i32::try_from(limit.clamp(1, MAX_KEYS)).unwrap_or(1);
        let prefix = format!("{RAW_PREFIX}{}", hour_prefix(hour));
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(max_keys);
        let output = request.set_start_after(after.map(str::to_owned)).send().await;
        let objects = output.map_err(|error| port_error(LIST, error))?.contents.unwrap_or_default();
        Ok(objects.into_iter().filter_map(archived_batch).collect())
    }

    async fn read(&self, key: &str) -> Result<Vec<ArchivedRecord>, PortError> {
        let lines = read_lines::<RawLine>(&self.client, &self.bucket, key, READ).await?;
        lines.unwrap_or_default().into_iter().map(|line| archived_record(line, READ)).collect()
    }
}

fn archived_batch(object: Object) -> Option<ArchivedBatch> {
    Some(ArchivedBatch {
        written_at: Timestamp::from_ms(object.last_modified?.to_millis().ok()?),
        bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        key: object.key?,
    })
}
