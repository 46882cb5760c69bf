//! The event buses.

use std::future::Future;

use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;

use crate::PortError;

/// Maximum bytes of one entry, as [`entry_bytes`] counts them: the limit of EventBridge, 1 MB. A larger entry is rejected.
pub const ENTRY_BYTES: usize = 1_000_000;
/// Maximum bytes of an entry without its events: the time, the source, the detail type, and the JSON object around the
/// events.
const ENVELOPE_BYTES: usize = 220;

/// Returns the bytes of an entry with these events, including the commas between them.
pub fn entry_bytes(events: &[String]) -> usize {
    ENVELOPE_BYTES + events.iter().map(|event| event.len() + 1).sum::<usize>()
}

/// The bus from the stream processor to the enrichment. An entry may contain events of several vehicles.
pub trait IngestBus: Send + Sync {
    /// Publishes entries and returns the result of each, in the order of `entries`. An entry fails with `Rejected` if it has
    /// more than [`ENTRY_BYTES`], or JSON that the bus does not accept, such as an integer beyond 64 bits.
    fn publish(&self, entries: &[Batch]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// The buses from the enrichment to the queues of the fleets. An entry contains events of one fleet.
pub trait DeliveryBus: Send + Sync {
    /// Publishes entries and returns the result of each, in the order of `entries`. An entry fails with `Rejected` if it has
    /// more than [`ENTRY_BYTES`], or JSON that the bus does not accept, such as an integer beyond 64 bits.
    fn publish(&self, entries: &[FleetBatch]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// The events of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The lane of all of the events.
    pub lane: Lane,
    /// Whether the entry is an alert of a rule of the operator: a rule then also sends the entry to the notices.
    pub for_notices: bool,
    /// CloudEvents as JSON texts, in order.
    pub events: Vec<String>,
}

/// The events of one entry, all for one fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetBatch {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The fleet's delivery bus.
    pub bus: String,
    /// Whether an endpoint of the fleet wants one of the events: a rule then also sends the entry to the fan-out of webhooks.
    pub for_webhooks: bool,
    /// CloudEvents as JSON texts, in order.
    pub events: Vec<String>,
}
