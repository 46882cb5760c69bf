//! A fleet's delivery channel (queue and rule), and the workflows that create and remove it.

use roadcast_domain::fleet::Fleet;
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel, ProvisioningWorkflow, WorkflowRun};

use super::Memory;
use super::queue::Queue;

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
        self.state().queues.entry(fleet.fleet_id.clone()).or_default();
        Ok(())
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.state().rules.insert((fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
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
        // A dead-letter queue is created and removed with its queue.
        Ok(ChannelParts { queue, dead_letter_queue: queue, rule })
    }
}
