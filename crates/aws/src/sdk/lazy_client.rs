//! Clients that are created when they are needed.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// A client of an AWS service, created by its first request, because many starts of a function need only the tables. Clones
/// share the client.
pub struct LazyClient<Client> {
    client: Arc<LazyLock<Client, CreateClient<Client>>>,
}

type CreateClient<Client> = Box<dyn FnOnce() -> Client + Send>;

impl<Client> LazyClient<Client> {
    pub(super) fn new(create: impl FnOnce() -> Client + Send + 'static) -> Self {
        Self { client: Arc::new(LazyLock::new(Box::new(create))) }
    }
}

impl<Client: Send + 'static> From<Client> for LazyClient<Client> {
    /// Wraps a client that exists, of a caller with a configuration of its own.
    fn from(client: Client) -> Self {
        Self::new(move || client)
    }
}

impl<Client> Clone for LazyClient<Client> {
    fn clone(&self) -> Self {
        Self { client: Arc::clone(&self.client) }
    }
}

impl<Client> Deref for LazyClient<Client> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl<Client> fmt::Debug for LazyClient<Client> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyClient").finish_non_exhaustive()
    }
}
