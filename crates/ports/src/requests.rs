//! State of API requests: counters for the rate limit, and idempotency keys with their responses.

use std::future::Future;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Counts the requests of fleets. All instances of all functions share the counters.
pub trait RateCounter: Send + Sync {
    /// Adds `requests` of a fleet to the time window that starts at `window`. Returns the new total of the window.
    fn add(
        &self,
        fleet_id: &FleetId,
        window: Timestamp,
        requests: u32,
    ) -> impl Future<Output = Result<u32, PortError>> + Send;
}

/// Retention of an idempotency key, in milliseconds.
pub const REQUEST_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// Maximum duration of a request, in milliseconds; longer than the timeout of the API gateway. Afterwards, the same
/// request may claim its key again.
pub const REQUEST_LEASE_MS: i64 = 60_000;

/// Storage of the responses to requests with an idempotency key, so that a repeated request gets the same response.
pub trait IdempotencyStore: Send + Sync {
    /// Claims the key for a request. Of concurrent claims, only one is granted.
    fn claim(&self, request: &KeyedRequest, now: Timestamp) -> impl Future<Output = Result<KeyClaim, PortError>> + Send;

    /// Stores the response to a request whose key was granted.
    fn store_response(
        &self,
        request: &KeyedRequest,
        response: &StoredResponse,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Releases the key of a request that had no effect, so that it can be claimed again.
    fn release(&self, request: &KeyedRequest) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedRequest {
    /// Digest of the caller, the operation and the idempotency key.
    pub key: String,
    /// Digest of the body: the same key with another body is another request.
    pub body: String,
}

/// The result of [`IdempotencyStore::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyClaim {
    /// The key is claimed for this request. Execute it.
    Granted,
    /// The same request is being executed.
    InProgress,
    /// The key was used for another request.
    KeyReused,
    /// The same request was executed; this is its response.
    Completed(StoredResponse),
}

/// A response, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// HTTP status code.
    pub status: u16,
    /// Headers, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}
