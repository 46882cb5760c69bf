//! Making what a fleet needs to be delivered to.

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{FleetChannel, ProvisioningWorkflow};

use super::Memory;

impl ProvisioningWorkflow for Memory {
    async fn start(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<(), PortError> {
        let started = (fleet_id.clone(), subscription_id.clone());
        let mut world = self.world();
        if !world.workflows.contains(&started) {
            world.workflows.push(started);
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
}
