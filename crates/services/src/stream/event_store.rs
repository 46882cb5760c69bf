//! The stores of the processor.

use roadcast_ports::port_set::PortSet;

use super::recent_events::RecentEvents;

/// Vehicles that are read or merged concurrently.
pub(super) const CONCURRENCY: usize = 16;

/// Knows which events are stored, and stores new ones.
pub struct EventStore<Ports: PortSet> {
    /// The last-known values of vehicles.
    pub state: Ports::StateStore,
    /// The event log.
    pub log: Ports::EventLog,
    /// For each vehicle, the newest event that this instance has stored.
    pub recent: RecentEvents,
}
