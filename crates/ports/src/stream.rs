//! The telemetry stream.

use std::future::Future;

use roadcast_domain::ids::VehicleId;
use roadcast_signals::Timestamp;

use crate::PortError;
use crate::archive::RawRecord;

/// The telemetry stream. The records of a vehicle are ordered, and they are retained until they are processed.
pub trait TelemetryStream: Send + Sync {
    /// Puts records and returns the result of each, in the order of `records`. `Ok` means that the record is stored
    /// durably.
    fn put(&self, records: &[StreamRecord]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// The vehicle, which is the partition key: its records are ordered.
    pub vid: VehicleId,
    /// One CloudEvent or a batch of CloudEvents in JSON.
    pub data: Vec<u8>,
}

/// Reads of the telemetry stream beside its consumers. They take from the throughput of the consumers, so they are rare.
pub trait StreamReader: Send + Sync {
    /// Returns the next records of a shard, in order, at most `limit`. Empty only if there are none yet. Records that the stream no
    /// longer retains are skipped.
    fn read(
        &self,
        shard: &str,
        from: &ReadStart,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RawRecord>, PortError>> + Send;
}

/// Where a read of a shard starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadStart {
    /// At the first record that arrived at this time or later.
    At(Timestamp),
    /// After the record with this sequence number.
    After(String),
}

/// The clock of the stream: records without data, so that time passes for its consumers in the order of the records.
pub trait StreamClock: Send + Sync {
    /// Puts `data` as a record into each open shard. Returns the number of shards. Fails if a shard did not get it, also if others
    /// did.
    fn tick(&self, data: &[u8]) -> impl Future<Output = Result<usize, PortError>> + Send;
}
