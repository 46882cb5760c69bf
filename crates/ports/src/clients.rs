//! Machine clients: whom a token speaks for.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::ClientId;

use crate::PortError;

/// What is known of clients.
pub trait Clients: Send + Sync {
    /// Keeps a client, and the change that it is to its fleet.
    fn put(&self, client: &Client, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The client of that id.
    fn get(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Client>, PortError>> + Send;
}

/// The user pool's side: it makes the credentials, and alone knows the secret.
pub trait AppClients: Send + Sync {
    /// Makes a client that may ask for tokens with that scope.
    fn create(&self, name: &str, scope: Scope) -> impl Future<Output = Result<Credentials, PortError>> + Send;

    /// The credentials of a client that was made before.
    fn credentials(&self, client_id: &ClientId) -> impl Future<Output = Result<Option<Credentials>, PortError>> + Send;
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
