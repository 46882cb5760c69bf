//! A fleet's delivery channel (queue and rule), the proofs that it works, and the workflows that create and remove it.

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_ports::clock::Clock;
use roadcast_ports::provisioning::{ChannelParts, FeedProof, FeedProofs, FleetChannel, ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::Memory;
use super::channel_start::StartingChannel;
use super::queue::Queue;
use super::state::MemoryState;

impl MemoryState {
    /// Returns whether an entry passes the rule and the queue policy of a fleet.
    pub(super) fn passes_channel(&mut self, fleet_id: &FleetId, now: Timestamp) -> bool {
        self.starting_channels.get_mut(fleet_id).is_none_or(|channel| channel.passes(now))
    }

    fn start_channel(&mut self, fleet_id: &FleetId, now: Timestamp) {
        let (start, until) = (self.channel_start, now.plus_ms(self.channel_start.delay_ms));
        self.starting_channels.insert(fleet_id.clone(), StartingChannel::new(start, until));
    }
}

impl ProvisioningWorkflow for Memory {
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        let mut state = self.state();
        if !state.workflows.contains(run) {
            state.workflows.push(run.clone());
        }
        Ok(())
    }
}

impl FleetChannel for Memory {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut state = self.state();
        if !state.queues.contains_key(&fleet.fleet_id) {
            state.queues.insert(fleet.fleet_id.clone(), Queue::default());
            state.start_channel(&fleet.fleet_id, now);
        }
        Ok(())
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut state = self.state();
        let rule = (fleet.delivery_bus.clone(), fleet.fleet_id.clone());
        if state.rules.contains(&rule) {
            return Ok(());
        }
        let on_bus = state.rules.iter().filter(|(bus, _)| *bus == fleet.delivery_bus).count();
        if on_bus >= state.rules_per_bus {
            // `LimitExceededException`
            return Err(PortError::new(PortErrorKind::Throttled, "creating a rule beyond the quota of the bus"));
        }
        state.rules.insert(rule);
        state.start_channel(&fleet.fleet_id, now);
        Ok(())
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.state().rules.remove(&(fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
        Ok(())
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        Ok(self.state().queues.get(&fleet.fleet_id).is_none_or(Queue::is_empty))
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.state().queues.remove(&fleet.fleet_id);
        Ok(())
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        let state = self.state();
        let queue = state.queues.contains_key(&fleet.fleet_id);
        let rule = state.rules.contains(&(fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
        Ok(ChannelParts { queue, rule })
    }

    async fn is_current(&self, fleet: &Fleet) -> Result<bool, PortError> {
        // A channel in memory has no configuration that could differ.
        Ok(self.status(fleet).await? == ChannelParts::ALL)
    }
}

impl FeedProofs for Memory {
    async fn get(&self, fleet_id: &FleetId) -> Result<FeedProof, PortError> {
        Ok(self.state().feed_proofs.get(fleet_id).copied().unwrap_or_default())
    }

    async fn invalidate(&self, fleet_id: &FleetId) -> Result<(), PortError> {
        let mut state = self.state();
        let proof = state.feed_proofs.entry(fleet_id.clone()).or_default();
        *proof = FeedProof { generation: proof.generation + 1, proven_at: None };
        Ok(())
    }

    async fn prove(&self, fleet_id: &FleetId, generation: u64, at: Timestamp) -> Result<(), PortError> {
        let mut state = self.state();
        let proof = state.feed_proofs.entry(fleet_id.clone()).or_default();
        if proof.generation != generation {
            return Err(PortError::new(PortErrorKind::Conflict, "storing the proof of a feed"));
        }
        proof.proven_at = Some(at);
        Ok(())
    }
}
