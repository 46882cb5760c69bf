//! Reads of the telemetry stream beside its event source mappings.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use roadcast_ports::archive::RawRecord;
use roadcast_ports::stream::{ReadStart, StreamReader};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const READ: &str = "reading records of a shard";
/// The limit of `GetRecords`.
const MAX_RECORDS: usize = 10_000;
/// Kinesis may return pages without records where a shard has none. A read skips this many, a pause apart: all readers of a shard
/// together may make five requests per second.
const EMPTY_PAGES: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Reads of the stream in Kinesis.
#[derive(Clone, Debug)]
pub struct KinesisStreamReader {
    client: LazyClient<Client>,
    stream: String,
}

impl KinesisStreamReader {
    /// Creates the adapter for the named stream.
    pub fn new(client: LazyClient<Client>, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into() }
    }

    async fn iterator(&self, shard: &str, from: &ReadStart) -> Result<Option<String>, PortError> {
        let request = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let request = match from {
            ReadStart::At(time) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(time.ms()))
            }
            ReadStart::After(sequence_number) => {
                request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(sequence_number)
            }
        };
        Ok(request.send().await.map_err(|error| port_error(READ, error))?.shard_iterator)
    }
}

impl StreamReader for KinesisStreamReader {
    async fn read(&self, shard: &str, from: &ReadStart, limit: usize) -> Result<Vec<RawRecord>, PortError> {
        let limit = i32::try_from(limit.clamp(1, MAX_RECORDS)).unwrap_or(i32::MAX);
        let mut iterator = self.iterator(shard, from).await?;
        for _ in 0..EMPTY_PAGES {
            // A closed shard ends without an iterator.
            let Some(current) = iterator else { return Ok(Vec::new()) };
            let page = self.client.get_records().shard_iterator(current).limit(limit).send().await;
            let page = page.map_err(|error| port_error(READ, error))?;
            if !page.records.is_empty() || page.millis_behind_latest == Some(0) {
                return Ok(page.records.into_iter().map(raw_record).collect());
            }
            iterator = page.next_shard_iterator;
            tokio::time::sleep(PAUSE).await;
        }
        Err(PortError::new(PortErrorKind::TimedOut, READ))
    }
}

fn raw_record(record: Record) -> RawRecord {
    let arrived_at = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    RawRecord {
        sequence_number: record.sequence_number,
        partition_key: record.partition_key.unwrap_or_default(),
        arrived_at: arrived_at.map(Timestamp::from_ms).unwrap_or_default(),
        data: record.data.into_inner(),
    }
}
