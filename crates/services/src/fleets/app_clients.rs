//! The steps on app clients, in the user pool and in the reference data, that the workflows and `clients.rs` share: ensure
//! that a fleet has one, and delete them. They check no caller; `clients.rs` does.

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::ClientId;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

/// Clients per page.
const PAGE: usize = 100;

/// The app clients of fleets.
pub(crate) struct FleetClients<'p, Ports: PortSet> {
    pub(crate) clients: &'p Ports::Clients,
    pub(crate) app_clients: &'p Ports::AppClients,
    pub(crate) clock: &'p Ports::Clock,
}

impl<Ports: PortSet> FleetClients<'_, Ports> {
    /// Whether the fleet has a client.
    pub(crate) async fn exist(&self, fleet: &Fleet) -> Result<bool, PortError> {
        Ok(!self.clients.list_by_fleet(&fleet.fleet_id, None, 1).await?.is_empty())
    }

    /// Ensures that the fleet has a client. The user pool creates a new client at every call; therefore a client that an
    /// earlier attempt created but did not store is searched first, by the fleet's id, which is its name in the user pool.
    pub(crate) async fn ensure(&self, fleet: &Fleet) -> Result<(), PortError> {
        if self.exist(fleet).await? {
            return Ok(());
        }
        let client_id = match self.orphaned(fleet).await?.into_iter().next() {
            Some(client_id) => client_id,
            None => self.app_clients.create(fleet.fleet_id.as_str(), Scope::Read).await?.client_id,
        };
        let role = ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() };
        let client = Client::new(client_id, fleet.name.clone(), role, self.clock.now());
        let change = Change::client_changed(Author::Provisioning, None, &client, client.created_at);
        let stored = self.clients.put(&client, &change).await;
        if let Err(error) = &stored
            && error.kind() == PortErrorKind::Conflict
        {
            // The fleet is being offboarded, and its clients may have been deleted already.
            self.app_clients.remove(&client.client_id).await?;
        }
        stored
    }

    /// Deletes the fleet's clients that satisfy `predicate`, and its orphaned clients.
    pub(crate) async fn remove_where(
        &self,
        fleet: &Fleet,
        by: &Author,
        predicate: impl Fn(&Client) -> bool,
    ) -> Result<(), PortError> {
        let mut after = None;
        loop {
            let page = self.clients.list_by_fleet(&fleet.fleet_id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.client_id.clone());
            for client in page.iter().filter(|client| predicate(client)) {
                self.remove(client, by).await?;
            }
        }
        for client_id in self.orphaned(fleet).await? {
            self.app_clients.remove(&client_id).await?;
        }
        Ok(())
    }

    /// Deletes a client of a fleet or an ingest client, with all its credentials. The user pool first: an interrupted deletion
    /// is found again by the stored client.
    pub(crate) async fn remove(&self, client: &Client, by: &Author) -> Result<(), PortError> {
        let mut current = Some(client.clone());
        while let Some(client) = current {
            for credential in &client.credentials {
                self.app_clients.remove(&credential.client_id).await?;
            }
            let change = Change::client_removed(by.clone(), &client, self.clock.now());
            match self.clients.remove(&client, &change).await {
                // The client was changed or deleted concurrently. It may have another credential now.
                Err(error) if error.kind() == PortErrorKind::Conflict => {
                    current = self.clients.get(&client.client_id).await?;
                }
                removed => return removed,
            }
        }
        Ok(())
    }

    /// Returns the clients that provisioning created in the user pool for the fleet but did not store.
    async fn orphaned(&self, fleet: &Fleet) -> Result<Vec<ClientId>, PortError> {
        let mut orphaned = Vec::new();
        for client_id in self.app_clients.find_by_name(fleet.fleet_id.as_str()).await? {
            if self.clients.get(&client_id).await?.is_none() {
                orphaned.push(client_id);
            }
        }
        Ok(orphaned)
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::FeedDisposition;
    use roadcast_domain::ids::FleetId;
    use roadcast_domain::plan::Plan;
    use roadcast_ports::fleets::Fleets;
    use roadcast_testbed::{InMemory, Memory, fixtures};

    use super::*;

    #[tokio::test]
    async fn client_created_during_offboarding_is_deleted_from_the_pool() {
        let memory = Memory::default();
        let (name, bus, now) = ("f".to_owned(), "bus".to_owned(), memory.clock().now());
        let fleet = Fleet::new(FleetId::from_random_bits(1), name, bus, Plan::Standard, now);
        let change = fixtures::change(&fleet.fleet_id);
        Fleets::create(&memory, &fleet, &change).await.unwrap();
        let offboarding = fleet.clone().begin_offboarding(FeedDisposition::Discard, now);
        Fleets::update(&memory, &offboarding, &change).await.unwrap();
        let clients = FleetClients::<InMemory> { clients: &memory, app_clients: &memory, clock: memory.clock() };
        let ensured = clients.ensure(&fleet).await.map_err(|error| error.kind());
        assert_eq!((ensured, memory.pool_clients()), (Err(PortErrorKind::Conflict), Vec::new()));
    }
}
