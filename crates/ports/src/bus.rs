//! The event buses.

use std::future::Future;

use roadcast_domain::ids::FleetId;

use crate::PortError;

/// Bytes of one entry at most, as [`entry_bytes`] counts them: what `EventBridge` takes, 1 MB. A larger one is rejected.
pub const ENTRY_BYTES: usize = 1_000_000;
/// Bytes of an entry beside its events, at most: its time, who puts it there and what it is, and the object around the events.
const ENVELOPE_BYTES: usize = 200;

/// Bytes of an entry of these events, with the commas between them.
pub fn entry_bytes(events: &[String]) -> usize {
    ENVELOPE_BYTES + events.iter().map(|event| event.len() + 1).sum::<usize>()
}

/// From the stream-processor to enrichment. Entries mix vehicles.
pub trait IngestBus: Send + Sync {
    /// Publishes entries and answers one by one in their order. One of more than [`ENTRY_BYTES`] is rejected, and no other.
    fn publish(&self, entries: &[Batch]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// From enrichment to the fleets' queues. An entry is one fleet's.
pub trait DeliveryBus: Send + Sync {
    /// Publishes entries and answers one by one in their order. One of more than [`ENTRY_BYTES`] is rejected, and no other.
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
