//! Making what a fleet needs to be delivered to, and removing it.

use roadcast_domain::fleet::Fleet;
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel, ProvisioningWorkflow, WorkflowRun};

use super::Memory;
use super::delivery::Queue;

impl ProvisioningWorkflow for Memory {
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        let mut world = self.world();
        if !world.workflows.contains(run) {
            world.workflows.push(run.clone());
        }
        Ok(())
    }
}

impl FleetChannel for Memory {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.world().queues.entry(fleet.fleet_id.clone()).or_default();
        Ok(())
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.world().rules.insert((fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
        Ok(())
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.world().rules.remove(&(fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
        Ok(())
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        Ok(self.world().queues.get(&fleet.fleet_id).is_none_or(Queue::is_empty))
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.world().queues.remove(&fleet.fleet_id);
        Ok(())
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        let world = self.world();
        let queue = world.queues.contains_key(&fleet.fleet_id);
        let rule = world.rules.contains(&(fleet.delivery_bus.clone(), fleet.fleet_id.clone()));
        // A dead-letter queue comes and goes with its queue.
        Ok(ChannelParts { queue, dead_letter_queue: queue, rule })
    }
}
