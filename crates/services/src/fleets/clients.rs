//! What admins do with machine clients of fleets and of ingest partners: create, list and delete them, and read their
//! secrets. `app_clients.rs` has the steps on one fleet's clients that these operations and the workflows share.

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;

use super::app_clients::FleetClients;
use super::onboarding::{FLEET_OFFBOARDING, Onboarding, validate_name};
use crate::ServiceError;
use crate::authz::Admin;

impl<Ports: PortSet> Onboarding<Ports> {
    /// Creates a machine client. Only the response contains its secret. Fails with `Conflict` if the fleet is being
    /// offboarded.
    pub async fn create_client(
        &self,
        admin: &Admin,
        name: &str,
        role: ClientRole,
    ) -> Result<(Client, Credentials), ServiceError> {
        let name = validate_name(name)?;
        let scope = match &role {
            ClientRole::Fleet { fleet_id } => {
                let fleet = self.fleets.get(fleet_id).await?;
                fleet.ok_or_else(|| ServiceError::invalid(["fleetId"], "does not exist"))?;
                Scope::Read
            }
            ClientRole::Ingest { sources } => {
                validate_sources(sources)?;
                Scope::Ingest
            }
        };
        let credentials = self.app_clients.create(&name, scope).await?;
        let (client_id, now) = (credentials.client_id.clone(), self.clock.now());
        let client = Client { client_id, name, role, secret_shown_at: Some(now), created_at: now };
        let stored = match &client.role {
            ClientRole::Fleet { fleet_id } => {
                self.clients.put(&client, &Change::client_created(admin.author(), fleet_id, &client)).await
            }
            ClientRole::Ingest { .. } => self.clients.put_ingest(&client).await,
        };
        match stored {
            Ok(()) => Ok((client, credentials)),
            Err(error) => {
                // The client could not be stored, so it must not stay in the user pool.
                self.app_clients.remove(&client.client_id).await?;
                Err(if error.kind() == PortErrorKind::Conflict { FLEET_OFFBOARDING } else { error.into() })
            }
        }
    }

    /// Returns a page of a fleet's clients, by id, after `after`.
    pub async fn clients(
        &self,
        _admin: &Admin,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, ServiceError> {
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.clients.list_by_fleet(fleet_id, after, limit).await?)
    }

    /// Returns the credentials of a client that provisioning created. Fails with `Conflict` if they were returned before.
    pub async fn show_secret(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        client_id: &ClientId,
    ) -> Result<Credentials, ServiceError> {
        const ALREADY_SHOWN: &str = "the secret was returned before; create another client and delete this one";
        let client = self.fleet_client(fleet_id, client_id).await?;
        let now = self.clock.now();
        let shown = Client { secret_shown_at: Some(now), ..client.clone() };
        let change = Change::client_secret_shown(admin.author(), fleet_id, &client, &shown, now);
        let recorded = self.clients.record_secret_shown(&shown, &change).await;
        recorded.map_err(|error| ServiceError::or_conflict(error, ALREADY_SHOWN))?;
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Deletes a client of a fleet: it gets no more tokens, and its existing tokens become invalid within seconds.
    pub async fn remove_client(&self, admin: &Admin, fleet_id: &FleetId, client_id: &ClientId) -> Result<(), ServiceError> {
        let client = self.fleet_client(fleet_id, client_id).await?;
        let fleet_clients =
            FleetClients::<Ports> { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock };
        Ok(fleet_clients.remove(fleet_id, &client, admin.author()).await?)
    }

    /// Returns the credentials of a client that the caller created before.
    pub async fn credentials(&self, _admin: &Admin, client_id: &ClientId) -> Result<Credentials, ServiceError> {
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns the client. Fails with `NotFound` unless it is a client of the fleet.
    async fn fleet_client(&self, fleet_id: &FleetId, client_id: &ClientId) -> Result<Client, ServiceError> {
        let client = self.clients.get(client_id).await?;
        client.filter(|client| client.fleet_id() == Some(fleet_id)).ok_or(ServiceError::NotFound)
    }
}

fn validate_sources(sources: &[String]) -> Result<(), ServiceError> {
    if sources.is_empty() || sources.len() > 32 {
        return Err(ServiceError::invalid(["sources"], "must contain 1 to 32 sources"));
    }
    let is_invalid = |source: &String| source.is_empty() || source.len() > limits::ATTRIBUTE_BYTES;
    match sources.iter().position(is_invalid) {
        Some(index) => Err(ServiceError::invalid(JsonPointer::from(["sources"]).index(index), "must have 1 to 512 bytes")),
        None => Ok(()),
    }
}
