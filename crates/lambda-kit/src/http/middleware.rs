//! Middleware of every operation: authentication, rate limit and idempotency.

use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use roadcast_domain::caller::{Caller, CallerId, Scope};
use roadcast_domain::ids::ClientId;
use roadcast_ports::port_set::{PortSet, RequestPorts};
use roadcast_ports::requests::KeyedRequest;
use roadcast_services::cache::{CachedClients, CachedPlans};
use roadcast_services::requests::idempotency::{Idempotency, IdempotencyOutcome};
use roadcast_services::requests::rate_limit::{RateLimitStatus, RateLimiter, WINDOW_MS};
use sha2::{Digest as _, Sha256};

use super::response::{from_stored, to_stored};
use super::{ApiRequest as _, ApiResponse as _, Request, Response};
use crate::auth::Callers;
use crate::cursor::Cursors;
use crate::logging;
use crate::problem::{Problem, ProblemType};

/// The maximum length of an `Idempotency-Key` in bytes.
const MAX_KEY_LEN: usize = 255;

/// Authenticates callers, enforces rate limits and executes requests with an `Idempotency-Key` once.
pub struct Middleware<Ports: PortSet> {
    callers: Callers<Ports>,
    rate_limiter: RateLimiter<Ports>,
    idempotency: Idempotency<Ports>,
    cursors: Cursors,
}

impl<Ports: PortSet> Middleware<Ports> {
    /// Creates the middleware on its ports.
    pub fn new(ports: RequestPorts<Ports>) -> Self {
        let RequestPorts { clients, fleets, rate_counter, idempotency_store, secrets, clock } = ports;
        Self {
            callers: Callers::new(CachedClients::new(clients, clock.clone())),
            rate_limiter: RateLimiter::new(CachedPlans::new(fleets, clock.clone()), rate_counter, clock.clone()),
            idempotency: Idempotency::new(idempotency_store, clock),
            cursors: Cursors::new(secrets),
        }
    }

    /// Accepts this admin without a record, see [`Callers::with_first_admin`].
    #[must_use]
    pub fn with_first_admin(self, first_admin: Option<ClientId>) -> Self {
        Self { callers: self.callers.with_first_admin(first_admin), ..self }
    }

    /// Adds to a request what its [`Page`](super::Page) needs.
    pub(super) fn add_cursors(&self, request: &mut Request) {
        request.extensions_mut().insert(self.cursors.clone());
    }

    /// Returns the caller of a request if it has one of `scopes`.
    pub(super) async fn authenticate(&self, request: &Request, scopes: &[Scope]) -> Result<Caller, Problem> {
        self.callers.caller(request.claims().as_ref(), scopes).await
    }

    /// Counts a request and returns the rate limit status of the fleet, or `None` for callers without a rate limit: only
    /// fleets have one. Fails with `too-many-requests` if the limit is reached.
    pub(super) async fn check_rate_limit(&self, caller: &Caller) -> Result<Option<RateLimitStatus>, Problem> {
        let Caller::Fleet(fleet_id) = caller else { return Ok(None) };
        match self.rate_limiter.acquire(fleet_id).await {
            Ok(status) if status.granted => Ok(Some(status)),
            Ok(status) => {
                let detail = format!("the plan of the fleet allows {} requests per minute", status.quota);
                let problem =
                    Problem::new(ProblemType::TooManyRequests).with_detail(detail).with_retry_after(status.reset_s);
                Err(rate_limit_headers(status).into_iter().fold(problem, |p, (name, value)| p.with_header(name, value)))
            }
            Err(error) => {
                // If the count is unavailable, requests are allowed.
                let error = logging::error_chain(&error);
                tracing::error!(error, "the rate limit cannot be checked; the request is allowed: {error}");
                Ok(None)
            }
        }
    }

    /// Executes a request, at most once if it has an `Idempotency-Key`. A repeated request gets the stored response, to
    /// which `restore_secret` adds the secret that is not stored.
    pub(super) async fn execute_once<H, R>(
        &self,
        request: &Request,
        caller: &Caller,
        handle: impl FnOnce() -> H,
        restore_secret: impl FnOnce(Response) -> R,
    ) -> Result<Response, Problem>
    where
        H: Future<Output = Result<Response, Problem>>,
        R: Future<Output = Result<Response, Problem>>,
    {
        let Some(keyed) = keyed_request(request, &caller.id())? else { return handle().await };
        // Only successful responses are stored: after a failure, the same key may be used to retry.
        let to_stored = |result: &Result<Response, Problem>| result.as_ref().ok().map(to_stored);
        match self.idempotency.execute_once(&keyed, handle, to_stored).await? {
            IdempotencyOutcome::Executed(result) => result,
            IdempotencyOutcome::Replayed(stored) => {
                let response = restore_secret(from_stored(stored)?).await?;
                response.with_header(HeaderName::from_static("idempotency-replayed"), "true")
            }
            IdempotencyOutcome::InProgress => Err(Problem::new(ProblemType::RequestInProgress).with_retry_after(1)),
            IdempotencyOutcome::KeyReused => Err(Problem::new(ProblemType::IdempotencyKeyReused)),
        }
    }
}

/// Returns the digests of a request and its `Idempotency-Key`, or `None` if it has no key.
fn keyed_request(request: &Request, caller: &CallerId) -> Result<Option<KeyedRequest>, Problem> {
    let Some(header) = request.header("idempotency-key") else { return Ok(None) };
    // The IETF draft requires a quoted string; most clients send the key without quotes.
    let key = header.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(header.trim());
    if key.is_empty() || key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("Idempotency-Key must be 1 to {MAX_KEY_LEN} visible ASCII characters");
        return Err(Problem::new(ProblemType::BadRequest).with_detail(detail));
    }
    let caller = format!("{caller:?}");
    let resource = request.resource_and_query();
    let key = digest(&[caller.as_bytes(), request.method().as_str().as_bytes(), resource.as_bytes(), key.as_bytes()]);
    Ok(Some(KeyedRequest { key, body: digest(&[request.body()]) }))
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length prefix makes the concatenation of the parts unambiguous.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

/// Returns the rate limit headers (IETF draft "`RateLimit` header fields for HTTP").
pub(super) fn rate_limit_headers(status: RateLimitStatus) -> [(&'static str, String); 2] {
    let RateLimitStatus { quota, remaining, reset_s, .. } = status;
    [
        ("ratelimit-policy", format!("\"fleet\";q={quota};w={}", WINDOW_MS / 1000)),
        ("ratelimit", format!("\"fleet\";r={remaining};t={reset_s}")),
    ]
}

#[cfg(test)]
mod tests;
