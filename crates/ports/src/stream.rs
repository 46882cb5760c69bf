//! The way into the stream.

use std::future::Future;

use roadcast_domain::ids::VehicleId;

use crate::PortError;

/// The telemetry stream: ordered by vehicle, kept until it is processed.
pub trait TelemetryStream: Send + Sync {
    /// Puts records and answers one by one in their order. `Ok` means that the record is durable.
    fn put(&self, records: &[StreamRecord]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// What goes into the stream as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// The vehicle: its records stay in order.
    pub vid: VehicleId,
    /// CloudEvents in JSON, one or a batch.
    pub data: Vec<u8>,
}
