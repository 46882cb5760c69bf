//! The machine clients of fleets and of data sources.

use roadcast_domain::audit::Change;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::{Client, ClientRole};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::limits;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;

use super::app_clients::FleetClients;
use super::onboarding::{FLEET_IS_OFFBOARDING, Onboarding, admin, checked_name};
use crate::ServiceError;

impl<F: Fleets, C: Clients, A: AppClients, U, V, E, W, K: Clock, R: Randomness> Onboarding<F, C, A, U, V, E, W, K, R> {
    /// Makes a machine client. Its secret is in the answer and nowhere else.
    pub async fn create_client(
        &self,
        caller: &Caller,
        name: &str,
        role: ClientRole,
    ) -> Result<(Client, Credentials), ServiceError> {
        let author = admin(caller)?;
        let name = checked_name(name)?;
        let scope = match &role {
            ClientRole::Fleet { fleet_id } => {
                let known = self.fleets.get(fleet_id).await?;
                known.ok_or_else(|| ServiceError::invalid("/fleetId", "no such fleet"))?;
                Scope::Read
            }
            ClientRole::Ingest { sources } => {
                check_sources(sources)?;
                Scope::Ingest
            }
        };
        let credentials = self.app_clients.create(&name, scope).await?;
        let (client_id, now) = (credentials.client_id.clone(), self.clock.now());
        let client = Client { client_id, name, role, secret_shown_at: Some(now), created_at: now };
        match self.clients.put(&client, Change::of_client(author, &client).as_ref()).await {
            Ok(()) => Ok((client, credentials)),
            Err(error) => {
                // Nobody knows it, and nobody will: what cannot be kept must not stay in the user pool.
                self.app_clients.remove(&client.client_id).await?;
                Err(if error.kind() == PortErrorKind::Conflict { FLEET_IS_OFFBOARDING } else { error.into() })
            }
        }
    }

    /// A page of a fleet's clients, by id, after one.
    pub async fn clients(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, ServiceError> {
        admin(caller)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.clients.of_fleet(fleet_id, after, limit).await?)
    }

    /// The credentials of a client that provisioning made, once.
    pub async fn show_secret(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        client_id: &ClientId,
    ) -> Result<Credentials, ServiceError> {
        const SHOWN: &str = "the secret was shown before; make another client, and remove this one";
        let author = admin(caller)?;
        let client = self.client_of(fleet_id, client_id).await?;
        let now = self.clock.now();
        let shown = Client { secret_shown_at: Some(now), ..client.clone() };
        let change = Change::of_shown_secret(author, &client, &shown, now);
        let kept = self.clients.keep_shown(&shown, change.as_ref()).await;
        kept.map_err(|error| ServiceError::or_conflict(error, SHOWN))?;
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Removes a client of a fleet: it gets no more tokens, and those that it has are worth nothing within seconds.
    pub async fn remove_client(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        client_id: &ClientId,
    ) -> Result<(), ServiceError> {
        let author = admin(caller)?;
        let client = self.client_of(fleet_id, client_id).await?;
        let of_fleet = FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock };
        Ok(of_fleet.remove(&client, author).await?)
    }

    /// The credentials of a client that the caller made before.
    pub async fn credentials(&self, caller: &Caller, client_id: &ClientId) -> Result<Credentials, ServiceError> {
        admin(caller)?;
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    async fn client_of(&self, fleet_id: &FleetId, client_id: &ClientId) -> Result<Client, ServiceError> {
        let client = self.clients.get(client_id).await?;
        client.filter(|client| client.fleet_id() == Some(fleet_id)).ok_or(ServiceError::NotFound)
    }
}

fn check_sources(sources: &[String]) -> Result<(), ServiceError> {
    if sources.is_empty() || sources.len() > 32 {
        return Err(ServiceError::invalid("/sources", "1 to 32 sources"));
    }
    let too_long = |source: &String| source.is_empty() || source.len() > limits::ATTRIBUTE_BYTES;
    match sources.iter().position(too_long) {
        Some(place) => Err(ServiceError::invalid(format!("/sources/{place}"), "1 to 512 bytes")),
        None => Ok(()),
    }
}
