use std::sync::{Arc, Mutex};

use roadcast_ports::archive::RawRecord;
use roadcast_ports::clock::Clock;
use roadcast_ports::stream::{ReadStart, StreamClock, StreamReader, StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::random::mix;
use crate::{ManualClock, lock};

/// Maximum size of a Kinesis record: 1 MiB of data and partition key.
const RECORD_BYTES: usize = 1024 * 1024;

/// A stream in memory. Its shards retain their records in order, without expiry. Clones share one stream.
#[derive(Clone, Debug)]
pub struct MemoryStream {
    clock: ManualClock,
    shards: Arc<Mutex<Vec<Vec<ShardRecord>>>>,
}

/// A record as a consumer reads it from a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRecord {
    /// Shard id.
    pub shard: String,
    /// Sequence number. Increases with every record of a shard.
    pub sequence_number: String,
    /// Partition key. Records of one key are in one shard, in order.
    pub partition_key: String,
    /// When the stream accepted the record.
    pub arrived_at: Timestamp,
    /// Payload.
    pub data: Vec<u8>,
}

impl MemoryStream {
    /// Returns a stream with `shards` shards, at least one. Records arrive at the time of `clock`.
    pub fn new(clock: ManualClock, shards: usize) -> Self {
        Self { clock, shards: Arc::new(Mutex::new(vec![Vec::new(); shards.max(1)])) }
    }

    /// Stores `data` unchanged under a partition key and returns the record.
    pub fn put_bytes(&self, partition_key: &str, data: &[u8]) -> ShardRecord {
        let shard = hash_bucket(partition_key, 0, self.shard_count());
        self.put_into(shard, partition_key, data)
    }

    /// Stores `data` in a shard, as with an explicit hash key.
    fn put_into(&self, shard: usize, partition_key: &str, data: &[u8]) -> ShardRecord {
        let mut shards = lock(&self.shards);
        let stored: usize = shards.iter().map(Vec::len).sum();
        let record = ShardRecord {
            shard: shard_id(shard),
            // As long as in Kinesis, and more than 128 bits, as there.
            sequence_number: format!("4960{:052}", stored + 1),
            partition_key: partition_key.to_owned(),
            arrived_at: self.clock.now(),
            data: data.to_vec(),
        };
        shards[shard].push(record.clone());
        record
    }

    /// Returns every record, shard by shard.
    pub fn records(&self) -> Vec<ShardRecord> {
        lock(&self.shards).concat()
    }

    /// Returns the number of shards.
    pub fn shard_count(&self) -> usize {
        lock(&self.shards).len()
    }

    /// Returns the records of a shard from index `from` on.
    pub fn read(&self, shard: usize, from: usize) -> Vec<ShardRecord> {
        lock(&self.shards)[shard].iter().skip(from).cloned().collect()
    }
}

impl MemoryStream {
    /// Returns the number of records of a shard.
    pub fn shard_len(&self, shard: usize) -> usize {
        lock(&self.shards)[shard].len()
    }

    /// Returns the records of a shard from index `from` on: at most `limit`, and as many as have at most `max_bytes` of data, but at
    /// least one.
    pub fn read_page(&self, shard: usize, from: usize, limit: usize, max_bytes: usize) -> Vec<ShardRecord> {
        let mut bytes = 0;
        let shards = lock(&self.shards);
        let fits = |(index, record): &(usize, &ShardRecord)| {
            bytes += record.data.len();
            *index == 0 || bytes <= max_bytes
        };
        let page = shards[shard].iter().skip(from).take(limit).enumerate().take_while(fits);
        page.map(|(_, record)| record.clone()).collect()
    }
}

impl TelemetryStream for MemoryStream {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        let put = |record: &StreamRecord| {
            if record.data.len() + record.vid.as_str().len() > RECORD_BYTES {
                return Err(PortError::new(PortErrorKind::Rejected, "putting a record of more than 1 MiB"));
            }
            self.put_bytes(record.vid.as_str(), &record.data);
            Ok(())
        };
        records.iter().map(put).collect()
    }
}

impl StreamReader for MemoryStream {
    async fn read(&self, shard: &str, from: &ReadStart, limit: usize) -> Result<Vec<RawRecord>, PortError> {
        let shards = lock(&self.shards);
        let Some(records) = shards.iter().enumerate().find(|(index, _)| shard_id(*index) == shard) else {
            return Err(PortError::new(PortErrorKind::Internal, "reading a shard that does not exist"));
        };
        let follows = |record: &&ShardRecord| match from {
            ReadStart::At(time) => record.arrived_at >= *time,
            ReadStart::After(sequence_number) => record.sequence_number > *sequence_number,
        };
        let raw = |record: &ShardRecord| RawRecord {
            sequence_number: record.sequence_number.clone(),
            partition_key: record.partition_key.clone(),
            arrived_at: record.arrived_at,
            data: record.data.clone(),
        };
        Ok(records.1.iter().filter(follows).take(limit).map(raw).collect())
    }
}

impl StreamClock for MemoryStream {
    async fn tick(&self, data: &[u8]) -> Result<usize, PortError> {
        let shards = self.shard_count();
        for shard in 0..shards {
            self.put_into(shard, "clock", data);
        }
        Ok(shards)
    }
}

fn shard_id(shard: usize) -> String {
    format!("shardId-{shard:012}")
}

/// Returns the bucket of a key, below `buckets`. Kinesis uses MD5 for its shards; any fixed hash assigns a key consistently.
/// Different values of `salt` give independent assignments.
pub fn hash_bucket(key: &str, salt: u64, buckets: usize) -> usize {
    let hash = key.bytes().fold(mix(salt.wrapping_add(1)), |hash, byte| mix(hash ^ u64::from(byte)));
    // The remainder is below `buckets`.
    usize::try_from(hash % buckets.max(1) as u64).unwrap_or(0)
}
