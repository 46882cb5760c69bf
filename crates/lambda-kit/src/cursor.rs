//! Pagination cursors: the position of the next page, sealed for the caller and the query for which they were created.
//!
//! A position may name what its caller must not see, such as the place of a hidden event in the order of arrival. Therefore a
//! cursor is encrypted and authenticated with a key of the stack: only the stack can read, create or change it. Its length does
//! not depend on the position. Two cursors of one position differ, because each has a random nonce.

mod sealed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use roadcast_domain::caller::CallerId;
use roadcast_domain::secret::StackSecrets;
use roadcast_ports::PortError;
use roadcast_ports::secrets::SecretSource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
pub use sealed::PositionSize;

/// Returns the secrets of the stack.
type ReadSecrets = dyn Fn() -> BoxFuture<'static, Result<Arc<StackSecrets>, PortError>> + Send + Sync;

/// Creates and reads cursors. Clones share the secret, which is read when the first cursor is created or read.
///
/// A cursor is valid as long as the secret by which it is sealed is current, previous or pending.
#[derive(Clone)]
pub struct Cursors {
    read_secrets: Arc<ReadSecrets>,
}

impl Cursors {
    /// Creates cursors that are sealed with the secret of the stack.
    pub fn new(source: impl SecretSource + Clone + 'static) -> Self {
        let read_secrets = move || -> BoxFuture<'static, _> {
            let source = source.clone();
            Box::pin(async move { source.secrets().await })
        };
        Self { read_secrets: Arc::new(read_secrets) }
    }

    /// Returns the cursor for a position in the result that `caller` gets for `query`. Fails with `internal-error` if the
    /// position is larger than the largest size.
    pub async fn encode(
        &self,
        caller: &CallerId,
        query: &str,
        position: &impl Serialize,
        size: PositionSize,
    ) -> Result<String, Problem> {
        let position = serde_json::to_vec(position).map_err(Problem::internal)?;
        let secrets = (self.read_secrets)().await?;
        let sealed = sealed::seal(&secrets.current, &associated_data(caller, query), &position, size);
        sealed.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).map_err(Problem::internal)
    }

    /// Returns the position of a cursor. Fails with `invalid-parameter` if it was not created for this caller and query.
    pub async fn decode<P: DeserializeOwned>(&self, caller: &CallerId, query: &str, text: &str) -> Result<P, Problem> {
        let invalid = || Problem::invalid_parameter("cursor", "is not a valid cursor for this query");
        if text.len() > sealed::MAX_TEXT_LEN {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        if !sealed::has_valid_length(&bytes) {
            return Err(invalid());
        }
        let secrets = (self.read_secrets)().await?;
        let position = sealed::open(secrets.all(), &associated_data(caller, query), &bytes).ok_or_else(invalid)?;
        serde_json::from_slice(&position).map_err(|_| invalid())
    }
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursors")
    }
}

/// Returns what a cursor is bound to: a cursor of another caller or query cannot be opened with it.
fn associated_data(caller: &CallerId, query: &str) -> Vec<u8> {
    let (kind, id) = match caller {
        CallerId::Admin(client) => ("admin", client.as_str()),
        CallerId::Fleet(fleet) => ("fleet", fleet.as_str()),
        CallerId::Ingest(client) => ("ingest", client.as_str()),
    };
    let mut data = Vec::new();
    for part in [kind, id, query] {
        // The length prefix makes the concatenation of the parts unambiguous.
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part.as_bytes());
    }
    data
}
