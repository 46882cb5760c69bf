//! The event buses.

use std::future::Future;

use roadcast_domain::ids::FleetId;

use crate::PortError;

/// From the stream-processor to enrichment. Entries mix vehicles.
pub trait IngestBus: Send + Sync {
    /// Publishes entries and answers one by one in their order.
    fn publish(&self, entries: &[Batch]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// From enrichment to the fleets' queues. An entry is one fleet's.
pub trait DeliveryBus: Send + Sync {
    /// Publishes entries and answers one by one in their order.
    fn publish(&self, entries: &[FleetBatch]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// Events in one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// CloudEvents as JSON texts, in order.
    pub events: Vec<String>,
}

/// One fleet's events in one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetBatch {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The bus that carries this fleet's events.
    pub bus: String,
    /// CloudEvents as JSON texts, in order.
    pub events: Vec<String>,
}
