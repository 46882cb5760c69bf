//! Machine clients and their credentials.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};

use crate::PortError;

/// Storage of machine clients, their credentials and their audit trails. A client and its change are stored in one
/// transaction.
pub trait Clients: Send + Sync {
    /// Stores a new client and the change. Replaces a client with the same id. Fails with `Conflict` if its fleet is being
    /// offboarded or is offboarded.
    fn put(&self, client: &Client, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces the client `before` by `after` with the next version, and stores the change. Fails with `Conflict` if the
    /// stored version is not `before.version` or the client does not exist; for version 0, if it exists.
    fn replace(
        &self,
        before: &Client,
        after: &Client,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the client that has this id or this credential; `None` if it does not exist. A client is found by its own id
    /// also after the credential with that id was removed.
    fn get(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Client>, PortError>> + Send;

    /// Lists all clients, or those of one kind, by kind and id. A client that was stored before this list existed is listed
    /// after its first change.
    fn list(
        &self,
        kind: Option<ClientKind>,
        after: Option<&ClientPosition>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Client>, PortError>> + Send;

    /// Lists the clients of a fleet.
    fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Client>, PortError>> + Send;

    /// Removes a client and stores the change. Fails with `Conflict` if the stored version is not `client.version` or the
    /// client does not exist.
    fn remove(&self, client: &Client, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns at most `limit` changes of a client, newest first, older than the change `before`. The changes of a removed
    /// client are kept.
    fn changes(
        &self,
        client_id: &ClientId,
        before: Option<ChangeId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Change>, PortError>> + Send;
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
