//! Clients, and the app clients of the user pool.

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};
use roadcast_ports::PortError;
use roadcast_ports::clients::{AppClients, Clients, Credentials};

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

    async fn replace(&self, before: &Client, after: &Client, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        state.check_client_version(before, "updating a client")?;
        let next = Client { version: before.version + 1, ..after.clone() };
        state.clients.insert(after.client_id.clone(), next);
        state.record_change(change);
        Ok(())
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        let state = self.state();
        let by_credential = || state.clients.values().find(|client| client.has_credential(client_id));
        Ok(state.clients.get(client_id).or_else(by_credential).cloned())
    }

    async fn list(
        &self,
        kind: Option<ClientKind>,
        after: Option<&ClientPosition>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        let state = self.state();
        let of_kind = |client: &&Client| kind.is_none_or(|kind| client.role.kind() == kind);
        let is_after = |client: &&Client| after.is_none_or(|after| client.position() > *after);
        let mut remaining: Vec<Client> = state.clients.values().filter(of_kind).filter(is_after).cloned().collect();
        remaining.sort_by_key(Client::position);
        remaining.truncate(limit);
        Ok(remaining)
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

    async fn remove(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        state.check_client_version(client, "removing a client")?;
        state.clients.remove(&client.client_id);
        state.record_change(change);
        Ok(())
    }

    async fn changes(&self, client_id: &ClientId, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        let state = self.state();
        let of_client = state.changes.values().filter(|change| change.client_id() == Some(client_id));
        let remaining = of_client.rev().filter(|change| before.is_none_or(|before| change.change_id < before));
        Ok(remaining.take(limit).cloned().collect())
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
