use roadcast_domain::ids::EndpointId;
use roadcast_domain::webhook::EndpointHealth;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::EndpointHealths;
use roadcast_signals::Timestamp;

use super::conflict;
use crate::memory::Memory;

impl EndpointHealths for Memory {
    async fn get(&self, endpoint_id: &EndpointId) -> Result<EndpointHealth, PortError> {
        let stored = self.state().webhooks.health.get(endpoint_id).cloned();
        Ok(stored.unwrap_or_else(|| EndpointHealth::healthy(endpoint_id.clone())))
    }

    async fn replace(&self, health: &EndpointHealth) -> Result<(), PortError> {
        let mut state = self.state();
        let stored = state.webhooks.health.get(&health.endpoint_id).map_or(0, |stored| stored.revision);
        if stored != health.revision {
            return Err(conflict("replacing the health of an endpoint"));
        }
        let next = EndpointHealth { revision: health.revision + 1, ..health.clone() };
        state.webhooks.health.insert(health.endpoint_id.clone(), next);
        Ok(())
    }

    async fn take_slot(
        &self,
        endpoint_id: &EndpointId,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, PortError> {
        let taken = &mut self.state().webhooks.slots;
        let is_free = |slot: &u32| taken.get(&(endpoint_id.clone(), *slot)).is_none_or(|until| *until <= now);
        let free = (0..slots).find(is_free);
        if let Some(slot) = free {
            taken.insert((endpoint_id.clone(), slot), until);
        }
        Ok(free)
    }

    async fn count_attempt(&self, endpoint_id: &EndpointId, second: Timestamp) -> Result<u32, PortError> {
        let mut state = self.state();
        let count = state.webhooks.attempt_counts.entry((endpoint_id.clone(), second)).or_default();
        *count += 1;
        Ok(*count)
    }

    async fn return_slot(&self, endpoint_id: &EndpointId, slot: u32) -> Result<(), PortError> {
        self.state().webhooks.slots.remove(&(endpoint_id.clone(), slot));
        Ok(())
    }
}
