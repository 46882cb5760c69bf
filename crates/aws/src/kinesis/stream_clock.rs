//! The clock of the telemetry stream.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use roadcast_ports::stream::StreamClock;
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{BatchOperation, RequestError, RequestLimits, RequestResult, entry_result};
use crate::sdk::LazyClient;
use crate::sdk_error::{kind_of, port_error};

const LIST: &str = "listing the shards of the stream";
const TICK: BatchOperation = BatchOperation {
    context: "putting ticks into the stream",
    max_entry_bytes: 1024,
    limits: RequestLimits { entries: 500, bytes: 5 * 1024 * 1024 },
    max_concurrent_requests: 1,
    max_attempts: 4,
};
/// The partition key of ticks. Their shard is that of an explicit hash key.
const PARTITION_KEY: &str = "clock";

/// The clock of the stream in Kinesis.
#[derive(Clone, Debug)]
pub struct KinesisStreamClock {
    client: LazyClient<Client>,
    stream: String,
}

impl KinesisStreamClock {
    /// Creates the adapter for the named stream.
    pub fn new(client: LazyClient<Client>, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into() }
    }

    /// Returns a hash key of each open shard.
    async fn hash_keys(&self) -> Result<Vec<String>, PortError> {
        let mut keys = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = self.client.list_shards();
            // The stream is not named again on further pages.
            let request = match next {
                None => request.stream_name(&self.stream),
                Some(token) => request.next_token(token),
            };
            let page = request.send().await.map_err(|error| port_error(LIST, error))?;
            for shard in page.shards.unwrap_or_default() {
                let is_open = shard.sequence_number_range.is_some_and(|range| range.ending_sequence_number.is_none());
                if let Some(range) = shard.hash_key_range.filter(|_| is_open) {
                    keys.push(range.starting_hash_key);
                }
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn put(&self, data: &[u8], keys: &[String], indexes: Vec<usize>) -> RequestResult {
        let entries = indexes.into_iter().filter_map(|index| keys.get(index)).map(|key| {
            let entry = PutRecordsRequestEntry::builder().partition_key(PARTITION_KEY).explicit_hash_key(key);
            entry.data(Blob::new(data)).build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| RequestError::new(PortErrorKind::Internal, TICK.context, error))?;
        let output = self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send().await;
        let output = output.map_err(|error| RequestError::new(kind_of(&error), TICK.context, error))?;
        let result = |result: aws_sdk_kinesis::types::PutRecordsResultEntry| {
            entry_result(result.error_code, result.error_message, TICK.context)
        };
        Ok(output.records.into_iter().map(result).collect())
    }
}

impl StreamClock for KinesisStreamClock {
    async fn tick(&self, data: &[u8]) -> Result<usize, PortError> {
        let keys = self.hash_keys().await?;
        let sizes = vec![data.len(); keys.len()];
        let results = TICK.send(&sizes, |indexes| self.put(data, &keys, indexes)).await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(keys.len())
    }
}
