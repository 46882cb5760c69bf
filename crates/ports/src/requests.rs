//! What is remembered of requests: how many a fleet made, and what was answered to those that may come twice.

use std::future::Future;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Counts the requests of fleets, together for all copies of all functions.
pub trait RateCounter: Send + Sync {
    /// Adds requests of a fleet in the time window that began at `window`, and answers how many there are now.
    fn add(
        &self,
        fleet_id: &FleetId,
        window: Timestamp,
        requests: u32,
    ) -> impl Future<Output = Result<u32, PortError>> + Send;
}

/// How long a key of a request is remembered, in milliseconds.
pub const REQUEST_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a request may be under way, in milliseconds; the gateway waits for less. Its key is free again afterwards.
pub const REQUEST_LEASE_MS: i64 = 60_000;

/// Remembers what was answered to requests that carry a key of their caller's, so that a repeat gets the same.
pub trait IdempotencyStore: Send + Sync {
    /// Takes the key for a request, unless it is taken.
    fn claim(&self, request: &KeyedRequest, now: Timestamp) -> impl Future<Output = Result<KeyClaim, PortError>> + Send;

    /// Keeps the answer to a request whose key was granted.
    fn keep(
        &self,
        request: &KeyedRequest,
        answer: &StoredResponse,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Gives the key back: nothing was done for it.
    fn release(&self, request: &KeyedRequest) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedRequest {
    /// Digest of its caller, its operation and its key.
    pub key: String,
    /// Digest of its body: another body under the same key is another request.
    pub body: String,
}

/// What is known of a request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyClaim {
    /// Nobody has it: go on.
    Granted,
    /// The same request is under way.
    InProgress,
    /// It was used for another request.
    KeyReused,
    /// The same request was answered.
    Answered(StoredResponse),
}

/// An answer, as it went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers, by their lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}
