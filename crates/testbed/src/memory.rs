//! Every port in memory, on one shared state.

mod alert_notices;
mod alert_state;
mod alerts;
mod channel;
mod channel_start;
mod clients;
mod dead_letters;
mod delivery;
mod erasure;
mod event_log;
mod fleets;
mod ingest;
mod packages;
mod queue;
mod redrive;
mod refusals;
mod requests;
mod schemas;
mod secrets;
mod state;
mod subscriptions;
mod vehicles;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{ClientId, Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::state::VehicleState;
use roadcast_ports::archive::{QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, FleetBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::FeedPointer;
use roadcast_ports::provisioning::WorkflowRun;

use crate::{ManualClock, MemoryFifoQueue, MemoryQueue, MemoryStream, QueueConfig, lock};
pub use channel_start::ChannelStart;
pub use erasure::MemoryErasure;
pub use redrive::Redelivered;

use queue::Queue;
use refusals::Refusals;
use state::MemoryState;

/// Implements every port except [`Clock`](roadcast_ports::clock::Clock) and
/// [`Randomness`](roadcast_ports::clock::Randomness) in memory, with accessors for tests. Clones share one state.
#[derive(Clone, Debug)]
pub struct Memory {
    clock: ManualClock,
    stream: MemoryStream,
    state: Arc<Mutex<MemoryState>>,
    refusals: Arc<Mutex<Refusals>>,
    delivery_queue: MemoryQueue,
    ordered_queue: MemoryFifoQueue,
}

impl Memory {
    /// Returns empty ports on `clock`, with the built-in packages and a stream with one shard.
    pub fn new(clock: ManualClock) -> Self {
        Self::with_shards(clock, 1)
    }

    /// Returns empty ports whose stream has `shards` shards.
    pub fn with_shards(clock: ManualClock, shards: usize) -> Self {
        let (state, refusals) = (Arc::new(Mutex::new(MemoryState::empty())), Arc::default());
        let delivery_queue = MemoryQueue::new(QueueConfig::default(), clock.clone());
        let ordered_queue = MemoryFifoQueue::new(QueueConfig::default(), clock.clone());
        Self { stream: MemoryStream::new(clock.clone(), shards), clock, state, refusals, delivery_queue, ordered_queue }
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

    /// Returns the queue of webhook deliveries in any order.
    pub const fn delivery_queue(&self) -> &MemoryQueue {
        &self.delivery_queue
    }

    /// Returns the queue of webhook deliveries in the order of their vehicle.
    pub const fn ordered_queue(&self) -> &MemoryFifoQueue {
        &self.ordered_queue
    }

    /// Returns every archived batch, in order, including repeated and overlapping ones.
    pub fn archived(&self) -> Vec<RawBatch> {
        self.state().archived.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// Makes the first archived batch unreadable, as if its object were damaged.
    pub fn damage_first_batch(&self) {
        let mut state = self.state();
        let key = state.archived.first().and_then(|(_, batch)| ingest::batch_key(batch));
        state.unreadable_batches.extend(key);
    }

    /// Forgets the states of all vehicles, as if their table had been emptied.
    pub fn empty_states(&self) {
        self.state().states.clear();
    }

    /// Forgets the feed index, as if its table had been emptied.
    pub fn empty_feed_index(&self) {
        let mut state = self.state();
        state.pointers.clear();
        state.restored_parts.clear();
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

    /// Returns the state of each vehicle that has one.
    pub fn states(&self) -> BTreeMap<VehicleId, VehicleState> {
        self.state().states.clone()
    }

    /// Returns a text for each grant and each epoch, with fleet and vehicle.
    pub fn grant_texts(&self) -> Vec<String> {
        let state = self.state();
        let grants = state.grants.iter().map(|((vid, fleet_id), grants)| format!("{fleet_id} {vid} {grants:?}"));
        grants.chain(state.epochs.keys().map(|(fleet_id, vid)| format!("{fleet_id} {vid} epoch"))).collect()
    }

    /// Returns a text for each vehicle of each subscription.
    pub fn subscription_vehicles(&self) -> Vec<String> {
        let state = self.state();
        let vehicles = state.subscriptions.values().flat_map(|of| of.vehicles.iter().map(|vid| (&of.subscription_id, vid)));
        vehicles.map(|(subscription_id, vid)| format!("{subscription_id} {vid}")).collect()
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

    /// Sets what the channels of fleets do after they are created. By default they work at once.
    pub fn set_channel_start(&self, start: ChannelStart) {
        self.state().channel_start = start;
    }

    /// Sets the maximum number of rules of fleets on a bus. The default is 299: the quota is 300, and one rule is that of webhooks.
    pub fn set_rules_per_bus(&self, rules_per_bus: usize) {
        self.state().rules_per_bus = rules_per_bus;
    }

    /// Returns the number of rules on each bus.
    pub fn rule_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (bus, _) in &self.state().rules {
            *counts.entry(bus.clone()).or_default() += 1;
        }
        counts
    }

    /// Stores that events pass to the feed of a fleet, as provisioning does after its probes arrived.
    pub fn mark_feed_proven(&self, fleet_id: &FleetId) {
        self.state().feed_proofs.entry(fleet_id.clone()).or_default().proven_at = Some(self.clock.now());
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

    /// Refuses every entry on the ingest bus that contains this event, because of its data.
    pub fn refuse_on_bus(&self, eid: Eid) {
        lock(&self.refusals).on_bus.insert(eid);
    }

    /// Refuses every merge of a state that contains a reading of this event, because of its data.
    pub fn refuse_in_state(&self, eid: Eid) {
        lock(&self.refusals).in_state.insert(eid);
    }

    /// Whether merges of a reading of this event are refused.
    pub fn is_refused_in_state(&self, eid: Eid) -> bool {
        lock(&self.refusals).in_state.contains(&eid)
    }

    fn refusals(&self) -> Refusals {
        lock(&self.refusals).clone()
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
