//! Fleets and their audit trail.

use std::collections::BTreeMap;
use std::ops::Bound;

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ChangeId, FleetId};
use roadcast_ports::fleets::{FleetCreation, Fleets};
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;
use super::state::insert_new;

impl Fleets for Memory {
    async fn create_within(&self, fleet: &Fleet, places: u32, change: &Change) -> Result<FleetCreation, PortError> {
        let mut state = self.state();
        let count = state.bus_counts.get(&fleet.delivery_bus).copied().unwrap_or_default();
        if count >= places && !state.fleets.contains_key(&fleet.fleet_id) {
            return Ok(FleetCreation::BusFull);
        }
        insert_new(&mut state.fleets, fleet.fleet_id.clone(), fleet, "creating a fleet")?;
        state.bus_counts.insert(fleet.delivery_bus.clone(), count + 1);
        state.record_change(change);
        Ok(FleetCreation::Created)
    }

    async fn bus_counts(&self) -> Result<BTreeMap<String, u32>, PortError> {
        Ok(self.state().bus_counts.clone())
    }

    async fn release_bus(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        self.update(fleet, change).await?;
        if let Some(count) = self.state().bus_counts.get_mut(&fleet.delivery_bus) {
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    async fn update(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        match state.fleets.get_mut(&fleet.fleet_id) {
            Some(stored) if stored.version == fleet.version => {
                *stored = Fleet { version: stored.version + 1, ..fleet.clone() };
                state.record_change(change);
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "updating a fleet")),
        }
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        Ok(self.state().fleets.get(fleet_id).cloned())
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        let state = self.state();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(state.fleets.range((after, Bound::Unbounded)).map(|(_, fleet)| fleet).take(limit).cloned().collect())
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        let state = self.state();
        let of_fleet = state.changes.values().filter(|change| change.fleet_id.as_ref() == Some(fleet_id));
        let remaining = of_fleet.rev().filter(|change| before.is_none_or(|before| change.change_id < before));
        Ok(remaining.take(limit).cloned().collect())
    }
}
