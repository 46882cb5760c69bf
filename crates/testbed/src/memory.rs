//! Every port in memory, on one shared state.

mod channel;
mod clients;
mod delivery;
mod event_log;
mod fleets;
mod ingest;
mod packages;
mod queue;
mod requests;
mod schemas;
mod state;
mod subscriptions;
mod vehicles;

use std::sync::{Arc, Mutex, MutexGuard};

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_ports::archive::{QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, FleetBatch};
use roadcast_ports::feed::FeedPointer;
use roadcast_ports::provisioning::WorkflowRun;

use crate::{ManualClock, MemoryStream, lock};
use queue::Queue;
use state::MemoryState;

/// Implements every port except [`Clock`](roadcast_ports::clock::Clock) and
/// [`Randomness`](roadcast_ports::clock::Randomness) in memory, with accessors for tests. Clones share one state.
#[derive(Clone, Debug)]
pub struct Memory {
    clock: ManualClock,
    stream: MemoryStream,
    state: Arc<Mutex<MemoryState>>,
}

impl Memory {
    /// Returns empty ports on `clock`, with the built-in packages and a stream with one shard.
    pub fn new(clock: ManualClock) -> Self {
        Self::with_shards(clock, 1)
    }

    /// Returns empty ports whose stream has `shards` shards.
    pub fn with_shards(clock: ManualClock, shards: usize) -> Self {
        Self { stream: MemoryStream::new(clock.clone(), shards), clock, state: Arc::new(Mutex::new(MemoryState::empty())) }
    }

    /// Sets the visibility timeout of received messages. The default is 30 s.
    pub fn set_visibility_ms(&self, visibility_ms: i64) {
        self.state().visibility_ms = visibility_ms;
    }

    /// Returns the clock.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Returns the telemetry stream.
    pub fn stream(&self) -> &MemoryStream {
        &self.stream
    }

    /// Returns every archived batch, in order, including repeated and overlapping ones.
    pub fn archived(&self) -> Vec<RawBatch> {
        self.state().archived.clone()
    }

    /// Returns every quarantined item, in order, including repeated ones.
    pub fn quarantined(&self) -> Vec<QuarantinedItem> {
        self.state().quarantined.clone()
    }

    /// Returns every entry published to the ingest bus, in order.
    pub fn published(&self) -> Vec<Batch> {
        self.state().published.clone()
    }

    /// Returns and removes the entries published to the ingest bus, as enrichment receives them.
    pub fn take_published(&self) -> Vec<Batch> {
        std::mem::take(&mut self.state().published)
    }

    /// Returns every entry published to the delivery buses, in order, including those that matched no rule.
    pub fn deliveries(&self) -> Vec<FleetBatch> {
        self.state().deliveries.clone()
    }

    /// Returns the messages that the queue of a fleet refused because of a character, in order.
    pub fn undeliverable(&self) -> Vec<String> {
        self.state().undeliverable.clone()
    }

    /// Returns a fleet's pointers in the feed index, ordered by stamp, including repeated ones.
    pub fn pointers(&self, fleet_id: &FleetId) -> Vec<FeedPointer> {
        self.state().pointers.get(fleet_id).cloned().unwrap_or_default()
    }

    /// Returns every event in the log, ordered by vehicle and `eid`.
    pub fn events(&self) -> Vec<StoredEvent> {
        self.state().events.values().cloned().collect()
    }

    /// Returns the workflows that were started, in order, each once.
    pub fn workflows(&self) -> Vec<WorkflowRun> {
        self.state().workflows.clone()
    }

    /// Returns the bodies of the messages in a fleet's queue, in order, including invisible ones.
    pub fn queued(&self, fleet_id: &FleetId) -> Vec<String> {
        self.state().queues.get(fleet_id).map(Queue::bodies).unwrap_or_default()
    }

    /// Returns the app clients of the user pool.
    pub fn pool_clients(&self) -> Vec<ClientId> {
        self.state().credentials.keys().cloned().collect()
    }

    /// Returns whether a fleet has both a queue and a rule on a bus.
    pub fn is_provisioned(&self, fleet_id: &FleetId) -> bool {
        let state = self.state();
        state.queues.contains_key(fleet_id) && state.rules.iter().any(|(_, of_rule)| of_rule == fleet_id)
    }

    /// Increments the consent epoch of a fleet and vehicle, as narrowing or revoking a grant does.
    pub fn raise_epoch(&self, fleet_id: &FleetId, vid: &VehicleId) {
        let mut state = self.state();
        *state.epochs.entry((fleet_id.clone(), vid.clone())).or_default() += 1;
        state.entitlements_version += 1;
    }

    /// Replaces the built-in packages.
    pub fn set_packages(&self, packages: Packages) {
        self.state().packages = packages;
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        lock(&self.state)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(ManualClock::default())
    }
}

#[cfg(test)]
mod tests;
