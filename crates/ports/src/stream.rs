//! The telemetry stream.

use std::future::Future;

use roadcast_domain::ids::VehicleId;

use crate::PortError;

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
