use std::sync::{Arc, Mutex};

use roadcast_ports::clock::Clock;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::random::mix;
use crate::{ManualClock, lock};

/// What Kinesis takes as one record: 1 MiB of data and partition key.
const RECORD_BYTES: usize = 1024 * 1024;

/// A stream in memory: shards that keep their records, in order, for good. Clones are the same stream.
#[derive(Clone, Debug)]
pub struct MemoryStream {
    clock: ManualClock,
    shards: Arc<Mutex<Vec<Vec<StreamRecordIn>>>>,
}

/// A record as a function gets it off a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecordIn {
    /// The shard.
    pub shard: String,
    /// Its place in the stream. Within a shard, they grow with every record.
    pub sequence_number: String,
    /// What it was put under: records of one key are in one shard, in order.
    pub partition_key: String,
    /// When the stream took it.
    pub arrived_at: Timestamp,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl MemoryStream {
    /// A stream of so many shards, at least one, whose records arrive at that clock's time.
    pub fn new(clock: ManualClock, shards: usize) -> Self {
        Self { clock, shards: Arc::new(Mutex::new(vec![Vec::new(); shards.max(1)])) }
    }

    /// Puts bytes under a key, as they are, and answers the record that they became.
    pub fn put_bytes(&self, partition_key: &str, data: &[u8]) -> StreamRecordIn {
        let mut shards = lock(&self.shards);
        let taken: usize = shards.iter().map(Vec::len).sum();
        let shard = slot(partition_key, 0, shards.len());
        let record = StreamRecordIn {
            shard: format!("shardId-{shard:012}"),
            // As long as Kinesis writes them, and beyond 128 bits as theirs are.
            sequence_number: format!("4960{:052}", taken + 1),
            partition_key: partition_key.to_owned(),
            arrived_at: self.clock.now(),
            data: data.to_vec(),
        };
        shards[shard].push(record.clone());
        record
    }

    /// Every record, shard by shard.
    pub fn records(&self) -> Vec<StreamRecordIn> {
        lock(&self.shards).concat()
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        lock(&self.shards).len()
    }

    /// A shard's records from that place on.
    pub fn read(&self, shard: usize, from: usize) -> Vec<StreamRecordIn> {
        lock(&self.shards)[shard].iter().skip(from).cloned().collect()
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

/// Which of `slots` a key belongs to. Kinesis takes MD5 for its shards; any fixed hash keeps a key in its place. A `salt` of
/// its own makes one choice independent of another.
pub fn slot(key: &str, salt: u64, slots: usize) -> usize {
    let hash = key.bytes().fold(mix(salt.wrapping_add(1)), |hash, byte| mix(hash ^ u64::from(byte)));
    // The remainder is below `slots`.
    usize::try_from(hash % slots.max(1) as u64).unwrap_or(0)
}
