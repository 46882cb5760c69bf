//! The app clients of a fleet, in the user pool and in the reference data: made and removed in both.

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::ClientId;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::Clock;
use roadcast_ports::{PortError, PortErrorKind};

/// Clients that are looked at together.
const PAGE: usize = 100;

/// The app clients of fleets.
pub(crate) struct FleetClients<'p, C, A, K> {
    pub(crate) clients: &'p C,
    pub(crate) app_clients: &'p A,
    pub(crate) clock: &'p K,
}

impl<C: Clients, A: AppClients, K: Clock> FleetClients<'_, C, A, K> {
    /// Whether the fleet has any.
    pub(crate) async fn any(&self, fleet: &Fleet) -> Result<bool, PortError> {
        Ok(!self.clients.of_fleet(&fleet.fleet_id, None, 1).await?.is_empty())
    }

    /// The fleet has one. The user pool makes another at every call, so one that was made and not kept is looked for, by the
    /// fleet's id as its name there.
    pub(crate) async fn ensure(&self, fleet: &Fleet) -> Result<(), PortError> {
        if self.any(fleet).await? {
            return Ok(());
        }
        let client_id = match self.forgotten(fleet).await?.into_iter().next() {
            Some(client_id) => client_id,
            None => self.app_clients.create(fleet.fleet_id.as_str(), Scope::Read).await?.client_id,
        };
        let client = Client {
            client_id,
            name: fleet.name.clone(),
            role: ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() },
            secret_shown_at: None,
            created_at: self.clock.now(),
        };
        let kept = self.clients.put(&client, Change::of_client(Author::Provisioning, &client).as_ref()).await;
        if let Err(error) = &kept
            && error.kind() == PortErrorKind::Conflict
        {
            // The fleet leaves, and whoever removes its clients may have been here already.
            self.app_clients.remove(&client.client_id).await?;
        }
        kept
    }

    /// Removes those clients of the fleet of which `which` says so, and those that were made and not kept.
    pub(crate) async fn remove_where(
        &self,
        fleet: &Fleet,
        by: &Author,
        which: impl Fn(&Client) -> bool,
    ) -> Result<(), PortError> {
        let mut after = None;
        loop {
            let page = self.clients.of_fleet(&fleet.fleet_id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.client_id.clone());
            for client in page.iter().filter(|client| which(client)) {
                self.remove(client, by.clone()).await?;
            }
        }
        for client_id in self.forgotten(fleet).await? {
            self.app_clients.remove(&client_id).await?;
        }
        Ok(())
    }

    /// Removes a client. The user pool comes first: what is left half-way is found again by what is kept of it.
    pub(crate) async fn remove(&self, client: &Client, by: Author) -> Result<(), PortError> {
        self.app_clients.remove(&client.client_id).await?;
        let change = Change::of_removed_client(by, client, self.clock.now());
        match self.clients.remove(client, change.as_ref()).await {
            // Somebody else removed it.
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(()),
            removed => removed,
        }
    }

    /// Clients that provisioning made for the fleet, and that nobody knows of.
    async fn forgotten(&self, fleet: &Fleet) -> Result<Vec<ClientId>, PortError> {
        let mut forgotten = Vec::new();
        for client_id in self.app_clients.named(fleet.fleet_id.as_str()).await? {
            if self.clients.get(&client_id).await?.is_none() {
                forgotten.push(client_id);
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::FeedDisposition;
    use roadcast_domain::ids::FleetId;
    use roadcast_domain::plan::Plan;
    use roadcast_ports::fleets::Fleets;
    use roadcast_testbed::Memory;

    use super::*;

    #[tokio::test]
    async fn a_client_that_was_made_while_its_fleet_began_to_leave_is_not_left_in_the_user_pool() {
        let memory = Memory::default();
        let (name, bus, now) = ("f".to_owned(), "bus".to_owned(), memory.clock().now());
        let fleet = Fleet::new(FleetId::from_random(1), name, bus, Plan::Standard, now);
        Fleets::create(&memory, &fleet, None).await.unwrap();
        Fleets::update(&memory, &fleet.clone().begin_offboarding(FeedDisposition::Discard, now), None).await.unwrap();
        let clients = FleetClients { clients: &memory, app_clients: &memory, clock: memory.clock() };
        let ensured = clients.ensure(&fleet).await.map_err(|error| error.kind());
        assert_eq!((ensured, memory.pool_clients()), (Err(PortErrorKind::Conflict), Vec::new()));
    }
}
