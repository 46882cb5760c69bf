//! Machine clients and their credentials.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::{ClientId, FleetId};

use crate::PortError;

/// Storage of machine clients and their roles.
pub trait Clients: Send + Sync {
    /// Stores a fleet's client and the change to its fleet in one transaction. Replaces a client with the same id. Fails
    /// with `Conflict` if its fleet is being offboarded or is offboarded.
    fn put(&self, client: &Client, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores an ingest client, without a change: it has no fleet, and only fleets have an audit trail. Replaces a client
    /// with the same id. Fails with `Rejected` if the client has a fleet.
    fn put_ingest(&self, client: &Client) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the client with this id; `None` if it does not exist.
    fn get(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Client>, PortError>> + Send;

    /// Lists the clients of a fleet.
    fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Client>, PortError>> + Send;

    /// Records in one transaction that a client's secret was shown, and the change. Fails with `Conflict` if the secret
    /// was shown before or the client does not exist.
    fn record_secret_shown(&self, client: &Client, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes a client and stores the change in one transaction. Fails with `Conflict` if the client does not exist.
    fn remove(&self, client: &Client, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The app clients of the user pool. It creates the credentials and is the only place that stores the secret.
pub trait AppClients: Send + Sync {
    /// Creates an app client that may request tokens with this scope. Names are not unique.
    fn create(&self, name: &str, scope: Scope) -> impl Future<Output = Result<Credentials, PortError>> + Send;

    /// Returns the credentials of an app client; `None` if it does not exist.
    fn credentials(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Credentials>, PortError>> + Send;

    /// Returns every app client with this name, in no particular order. Searches all app clients, so call it rarely.
    fn find_by_name(&self, name: &str) -> impl Future<Output = Result<Vec<ClientId>, PortError>> + Send;

    /// Removes an app client, so that it can no longer request tokens. Succeeds if it does not exist.
    fn remove(&self, client_id: &ClientId) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The credentials of an app client. The secret is returned to the caller once and is not stored outside the user pool.
#[derive(Clone)]
pub struct Credentials {
    /// The client id.
    pub client_id: ClientId,
    /// The client secret.
    pub client_secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
