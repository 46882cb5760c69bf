//! Clients, and the app clients of the user pool.

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

impl Clients for Memory {
    async fn put(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        if let Some(fleet_id) = client.fleet_id() {
            state.check_active(fleet_id, "storing a client")?;
        }
        state.clients.insert(client.client_id.clone(), client.clone());
        state.record_change(change);
        Ok(())
    }

    async fn put_ingest(&self, client: &Client) -> Result<(), PortError> {
        if client.fleet_id().is_some() {
            return Err(PortError::new(PortErrorKind::Rejected, "storing an ingest client"));
        }
        self.state().clients.insert(client.client_id.clone(), client.clone());
        Ok(())
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        Ok(self.state().clients.get(client_id).cloned())
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        let state = self.state();
        let of_fleet = state.clients.values().filter(|client| client.fleet_id() == Some(fleet_id));
        let remaining = of_fleet.filter(|client| after.is_none_or(|after| client.client_id > *after));
        Ok(remaining.take(limit).cloned().collect())
    }

    async fn record_secret_shown(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        match state.clients.get_mut(&client.client_id) {
            Some(stored) if stored.secret_shown_at.is_none() => stored.clone_from(client),
            _ => return Err(PortError::new(PortErrorKind::Conflict, "recording that a client's secret was shown")),
        }
        state.record_change(change);
        Ok(())
    }

    async fn remove(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        if state.clients.remove(&client.client_id).is_none() {
            return Err(PortError::new(PortErrorKind::Conflict, "removing a client"));
        }
        state.record_change(change);
        Ok(())
    }
}

impl AppClients for Memory {
    async fn create(&self, name: &str, _scope: Scope) -> Result<Credentials, PortError> {
        let mut state = self.state();
        state.app_clients_created += 1;
        let number = state.app_clients_created;
        let client_id = ClientId::new(format!("client-{number}"));
        let credentials = Credentials { client_id: client_id.clone(), client_secret: format!("secret-{number}") };
        state.credentials.insert(client_id, (name.to_owned(), credentials.clone()));
        Ok(credentials)
    }

    async fn credentials(&self, client_id: &ClientId) -> Result<Option<Credentials>, PortError> {
        Ok(self.state().credentials.get(client_id).map(|(_, credentials)| credentials.clone()))
    }

    async fn find_by_name(&self, name: &str) -> Result<Vec<ClientId>, PortError> {
        let state = self.state();
        let with_name = state.credentials.iter().filter(|(_, (stored_name, _))| stored_name == name);
        Ok(with_name.map(|(client_id, _)| client_id.clone()).collect())
    }

    async fn remove(&self, client_id: &ClientId) -> Result<(), PortError> {
        self.state().credentials.remove(client_id);
        Ok(())
    }
}
