//! The telemetry stream.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{BatchOperation, RequestError, RequestLimits, RequestResult, entry_result};
use crate::sdk::LazyClient;
use crate::sdk_error::kind_of;

const PUT: BatchOperation = BatchOperation {
    context: "putting records into the stream",
    // The maximum size of a record including its key, unless the stream is configured for larger records.
    max_entry_bytes: 1024 * 1024,
    // The smallest limits of any stream: 500 records, and 5 MiB including partition keys (newer streams accept 10 MiB).
    limits: RequestLimits { entries: 500, bytes: 5 * 1024 * 1024 },
    max_concurrent_requests: 1,
    // The uploader waits meanwhile, and can afford to wait longer than we can.
    max_attempts: 4,
};

/// The stream in Kinesis, partitioned by vehicle.
///
/// A throttled record is retried after the others were accepted, so the records of a vehicle may be reordered. Readers order
/// events by their own time.
#[derive(Clone, Debug)]
pub struct KinesisTelemetryStream {
    client: LazyClient<Client>,
    stream: String,
}

impl KinesisTelemetryStream {
    /// Creates the adapter for the named stream.
    pub fn new(client: LazyClient<Client>, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into() }
    }

    /// Puts the records at `indexes` with one request.
    async fn put_records(&self, records: &[StreamRecord], indexes: Vec<usize>) -> RequestResult {
        let entries = indexes.into_iter().map(|index| {
            let record = &records[index];
            PutRecordsRequestEntry::builder().partition_key(record.vid.as_str()).data(Blob::new(record.data.clone())).build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| RequestError::new(PortErrorKind::Internal, PUT.context, error))?;
        let output = self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send().await;
        let output = output.map_err(|error| RequestError::new(kind_of(&error), PUT.context, error))?;
        Ok(output.records.into_iter().map(record_result).collect())
    }
}

impl TelemetryStream for KinesisTelemetryStream {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        let sizes: Vec<usize> = records.iter().map(|record| record.data.len() + record.vid.as_str().len()).collect();
        PUT.send(&sizes, |indexes| self.put_records(records, indexes)).await
    }
}

fn record_result(result: PutRecordsResultEntry) -> Result<(), PortError> {
    entry_result(result.error_code, result.error_message, PUT.context)
}

#[cfg(test)]
mod tests;
