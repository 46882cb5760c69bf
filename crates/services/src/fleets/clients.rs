//! What admins do with machine clients of admins, fleets and ingest partners: create, list, change and delete them, and read their
//! secrets. `credentials.rs` rotates secrets; `app_clients.rs` has the steps that these operations and the workflows share.

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition, ClientRole};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;

use super::app_clients::FleetClients;
use super::onboarding::{FLEET_OFFBOARDING, Onboarding, validate_name};
use crate::authz::Admin;
use crate::{ServiceError, VersionCondition};

/// An admin must not lock itself out: a deployment always keeps one admin that can enable others.
const OWN_CLIENT: ServiceError =
    ServiceError::Conflict("an admin cannot disable or delete its own client; use another admin's client");
/// The first admin is accepted without a record, so its record must stay.
const FIRST_ADMIN: ServiceError =
    ServiceError::Conflict("the first admin is part of the deployment and cannot be deleted; disable it");
/// Another admin or a workflow changed the client.
pub(super) const CHANGED_CONCURRENTLY: &str = "the client is being modified concurrently; retry";

/// What an admin can change in a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUpdate {
    /// The display name.
    pub name: String,
    /// The sources of an ingest client; `None` for a fleet's client.
    pub sources: Option<Vec<String>>,
    /// Whether the client is disabled.
    pub disabled: bool,
}

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
        match &role {
            ClientRole::Admin => {}
            ClientRole::Fleet { fleet_id } => {
                let fleet = self.fleets.get(fleet_id).await?;
                fleet.ok_or_else(|| ServiceError::invalid(["fleetId"], "does not exist"))?;
            }
            ClientRole::Ingest { sources } => validate_sources(sources)?,
        }
        let credentials = self.app_clients.create(&name, role.scope()).await?;
        let now = self.clock.now();
        let new = Client::new(credentials.client_id.clone(), name, role, now);
        let client = Client { secret_shown_at: Some(now), ..new };
        let stored = self.clients.put(&client, &Change::client_changed(admin.author(), None, &client, now)).await;
        match stored {
            Ok(()) => Ok((client, credentials)),
            Err(error) => {
                // The client could not be stored, so it must not stay in the user pool.
                self.app_clients.remove(&client.client_id).await?;
                Err(if error.kind() == PortErrorKind::Conflict { FLEET_OFFBOARDING } else { error.into() })
            }
        }
    }

    /// Returns a page of all clients, or of those of one kind, by kind and id, after `after`.
    pub async fn all_clients(
        &self,
        _admin: &Admin,
        kind: Option<ClientKind>,
        after: Option<&ClientPosition>,
        limit: usize,
    ) -> Result<Vec<Client>, ServiceError> {
        Ok(self.clients.list(kind, after, limit).await?)
    }

    /// Returns a page of a fleet's clients, by id, after `after`.
    pub async fn clients(
        &self,
        __admin: &Admin,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, ServiceError> {
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.clients.list_by_fleet(fleet_id, after, limit).await?)
    }

    /// Returns the client that has this id or this credential.
    pub async fn client(&self, _admin: &Admin, client_id: &ClientId) -> Result<Client, ServiceError> {
        self.find_client(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns a page of a client's changes, newest first, before `before`. The changes of a deleted client are kept.
    pub async fn client_changes(
        &self,
        _admin: &Admin,
        client_id: &ClientId,
        before: Option<ChangeId>,
        limit: usize,
    ) -> Result<Vec<Change>, ServiceError> {
        let changes = self.clients.changes(client_id, before, limit).await?;
        if changes.is_empty() && before.is_none() {
            self.client_by_id(client_id).await?;
        }
        Ok(changes)
    }

    /// Changes a client. Fails with `Stale` unless its version satisfies `condition`, and with `Conflict` if an admin disables
    /// its own client. A disabled client is refused within seconds.
    pub async fn update_client(
        &self,
        admin: &Admin,
        client_id: &ClientId,
        update: ClientUpdate,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<Client, ServiceError> {
        let before = self.client_by_id(client_id).await?;
        if !condition.into().allows(before.version) {
            return Err(ServiceError::Stale);
        }
        if update.disabled && admin.is_client(client_id) {
            return Err(OWN_CLIENT);
        }
        let role = match (&before.role, update.sources) {
            (ClientRole::Ingest { .. }, Some(sources)) => {
                validate_sources(&sources)?;
                ClientRole::Ingest { sources }
            }
            (ClientRole::Ingest { .. }, None) => {
                return Err(ServiceError::invalid(["sources"], "is required for kind ingest"));
            }
            (ClientRole::Admin | ClientRole::Fleet { .. }, Some(_)) => {
                return Err(ServiceError::invalid(["sources"], "is allowed only for kind ingest"));
            }
            (role @ (ClientRole::Admin | ClientRole::Fleet { .. }), None) => role.clone(),
        };
        let now = self.clock.now();
        let disabled_since = update.disabled.then(|| before.disabled_since.unwrap_or(now));
        let after = Client { name: validate_name(&update.name)?, role, disabled_since, ..before.clone() };
        if after == before {
            return Ok(before);
        }
        let change = Change::client_changed(admin.author(), Some(&before), &after, now);
        match self.clients.replace(&before, &after, &change).await {
            Ok(()) => Ok(Client { version: before.version + 1, ..after }),
            Err(error) if error.kind() == PortErrorKind::Conflict => Err(ServiceError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the credentials of a client that provisioning created. Fails with `Conflict` if they were returned before.
    pub async fn show_secret(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        client_id: &ClientId,
    ) -> Result<Credentials, ServiceError> {
        const ALREADY_SHOWN: &str = "the secret was returned before; add a credential to the client and delete this one";
        let client = self.fleet_client(fleet_id, client_id).await?;
        if client.secret_shown_at.is_some() {
            return Err(ServiceError::Conflict(ALREADY_SHOWN));
        }
        let now = self.clock.now();
        let shown = Client { secret_shown_at: Some(now), ..client.clone() };
        let change = Change::client_changed(admin.author(), Some(&client), &shown, now);
        let recorded = self.clients.replace(&client, &shown, &change).await;
        recorded.map_err(|error| ServiceError::or_conflict(error, CHANGED_CONCURRENTLY))?;
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Deletes a client of a fleet: it gets no more tokens, and its existing tokens become invalid within seconds.
    pub async fn remove_client_of_fleet(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        client_id: &ClientId,
    ) -> Result<(), ServiceError> {
        let client = self.fleet_client(fleet_id, client_id).await?;
        Ok(self.app_clients_and_records().remove(&client, &admin.author()).await?)
    }

    /// Deletes a client of any kind: it gets no more tokens, and its existing tokens become invalid within seconds. Its
    /// vehicles and events stay. Fails with `Conflict` for the first admin and for the client of the caller.
    pub async fn remove_client(&self, admin: &Admin, client_id: &ClientId) -> Result<(), ServiceError> {
        let client = self.client_by_id(client_id).await?;
        if self.first_admin.as_ref() == Some(client_id) {
            return Err(FIRST_ADMIN);
        }
        if admin.is_client(client_id) {
            return Err(OWN_CLIENT);
        }
        Ok(self.app_clients_and_records().remove(&client, &admin.author()).await?)
    }

    /// Returns the credentials of a client that the caller created before.
    pub async fn credentials(&self, __admin: &Admin, client_id: &ClientId) -> Result<Credentials, ServiceError> {
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns the client. Fails with `NotFound` unless it is a client of the fleet.
    async fn fleet_client(&self, fleet_id: &FleetId, client_id: &ClientId) -> Result<Client, ServiceError> {
        let client = self.client_by_id(client_id).await?;
        if client.fleet_id() == Some(fleet_id) { Ok(client) } else { Err(ServiceError::NotFound) }
    }

    /// Returns the client with this id. The id of another credential of a client is not found: a change of a client must not
    /// affect more than its author expects.
    pub(super) async fn client_by_id(&self, client_id: &ClientId) -> Result<Client, ServiceError> {
        let client = self.find_client(client_id).await?;
        client.filter(|client| client.client_id == *client_id).ok_or(ServiceError::NotFound)
    }

    /// Returns the client that has this id or this credential; the first admin also if it has no record.
    async fn find_client(&self, client_id: &ClientId) -> Result<Option<Client>, ServiceError> {
        let without_record = || {
            let first_admin = self.first_admin.clone().filter(|first_admin| first_admin == client_id);
            first_admin.map(|client_id| Client::first_admin(client_id, self.clock.now()))
        };
        Ok(self.clients.get(client_id).await?.or_else(without_record))
    }

    const fn app_clients_and_records(&self) -> FleetClients<'_, Ports> {
        FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock }
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
