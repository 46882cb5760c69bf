//! Machine clients: whom a token speaks for.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::{ClientId, FleetId};

use crate::PortError;

/// What is known of clients.
pub trait Clients: Send + Sync {
    /// Keeps a client, and the change that it is to its fleet; a conflict where its fleet is leaving, or has left.
    fn put(&self, client: &Client, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The client of that id.
    fn get(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Client>, PortError>> + Send;

    /// A fleet's clients by id, after one; at most `limit`.
    fn of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Client>, PortError>> + Send;

    /// Keeps that a client's secret was shown, and the change; a conflict where it was shown before, or the client is gone.
    fn keep_shown(&self, client: &Client, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Forgets a client, and keeps the change; a conflict where it is gone.
    fn remove(&self, client: &Client, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The user pool's side: it makes the credentials, and alone knows the secret.
pub trait AppClients: Send + Sync {
    /// Makes a client that may ask for tokens with that scope.
    fn create(&self, name: &str, scope: Scope) -> impl Future<Output = Result<Credentials, PortError>> + Send;

    /// The credentials of a client that was made before.
    fn credentials(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Credentials>, PortError>> + Send;

    /// The clients of that name, which may be several. All of them are looked through: ask where it is rarely asked.
    fn named(&self, name: &str) -> impl Future<Output = Result<Vec<ClientId>, PortError>> + Send;

    /// Removes a client, so that it gets no more tokens. One that is gone is removed.
    fn remove(&self, client_id: &ClientId) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A new client's credentials. The secret is handed to the caller once and kept nowhere.
#[derive(Clone)]
pub struct Credentials {
    /// Its id.
    pub client_id: ClientId,
    /// Its secret.
    pub client_secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
