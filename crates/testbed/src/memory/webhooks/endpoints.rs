use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{Fleet, FleetState};
use roadcast_domain::ids::{EndpointId, FleetId};
use roadcast_domain::webhook::Endpoint;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::Endpoints;

use super::conflict;
use crate::memory::Memory;
use crate::memory::state::MemoryState;

/// Stores the fleet with the next version.
fn replace_fleet(state: &mut MemoryState, fleet: &Fleet, context: &'static str) -> Result<(), PortError> {
    match state.fleets.get_mut(&fleet.fleet_id) {
        Some(stored) if stored.version == fleet.version => {
            *stored = Fleet { version: fleet.version + 1, ..fleet.clone() };
            Ok(())
        }
        _ => Err(conflict(context)),
    }
}

/// Fails with `Conflict` unless the stored version is that of `endpoint`.
fn check_version(state: &MemoryState, endpoint: &Endpoint, context: &'static str) -> Result<(), PortError> {
    let stored = state.webhooks.endpoints.get(&key(endpoint)).map(|stored| stored.version);
    if stored == Some(endpoint.version) { Ok(()) } else { Err(conflict(context)) }
}

fn key(endpoint: &Endpoint) -> (FleetId, EndpointId) {
    (endpoint.fleet_id.clone(), endpoint.endpoint_id.clone())
}

impl Endpoints for Memory {
    async fn create(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        const CREATE: &str = "creating an endpoint";
        let mut state = self.state();
        let is_active = state.fleets.get(&fleet.fleet_id).is_some_and(|stored| stored.state == FleetState::Active);
        if !is_active || state.webhooks.endpoints.contains_key(&key(endpoint)) {
            return Err(conflict(CREATE));
        }
        replace_fleet(&mut state, fleet, CREATE)?;
        state.webhooks.endpoints.insert(key(endpoint), endpoint.clone());
        state.record_change(change);
        Ok(())
    }

    async fn get(&self, fleet_id: &FleetId, endpoint_id: &EndpointId) -> Result<Option<Endpoint>, PortError> {
        Ok(self.state().webhooks.endpoints.get(&(fleet_id.clone(), endpoint_id.clone())).cloned())
    }

    async fn list(&self, fleet_id: &FleetId) -> Result<Vec<Endpoint>, PortError> {
        let state = self.state();
        let of_fleet = state.webhooks.endpoints.values().filter(|endpoint| endpoint.fleet_id == *fleet_id);
        Ok(of_fleet.cloned().collect())
    }

    async fn replace(&self, endpoint: &Endpoint, fleet: Option<&Fleet>, change: &Change) -> Result<(), PortError> {
        const REPLACE: &str = "replacing an endpoint";
        let mut state = self.state();
        check_version(&state, endpoint, REPLACE)?;
        if let Some(fleet) = fleet {
            replace_fleet(&mut state, fleet, REPLACE)?;
        }
        let next = Endpoint { version: endpoint.version + 1, ..endpoint.clone() };
        state.webhooks.endpoints.insert(key(endpoint), next);
        state.record_change(change);
        Ok(())
    }

    async fn remove(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        const REMOVE: &str = "removing an endpoint";
        let mut state = self.state();
        check_version(&state, endpoint, REMOVE)?;
        replace_fleet(&mut state, fleet, REMOVE)?;
        state.webhooks.endpoints.remove(&key(endpoint));
        state.record_change(change);
        Ok(())
    }
}
