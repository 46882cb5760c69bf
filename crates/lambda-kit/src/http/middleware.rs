//! What stands before every operation: who calls, how much they may ask for, and whether they asked before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roadcast_domain::caller::Caller;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::requests::{IdempotencyStore, KeyedRequest, RateCounter, StoredResponse};
use roadcast_services::cache::{CachedClients, CachedPlans};
use roadcast_services::requests::idempotency::{Idempotency, IdempotencyOutcome};
use roadcast_services::requests::rate_limit::{RateLimitStatus, RateLimiter, WINDOW_MS};
use sha2::{Digest as _, Sha256};

use super::router::{Api, Route, call};
use super::{Request, Response};
use crate::auth::Callers;
use crate::logging;
use crate::problem::{Problem, ProblemType};

/// Longest `Idempotency-Key`, in bytes.
const MAX_KEY_LEN: usize = 255;

/// What it asks: one name for the five ports.
pub trait MiddlewarePorts: Send + Sync {
    /// Whom a client acts for.
    type Clients: Clients;
    /// The fleets' plans.
    type Fleets: Fleets;
    /// How many requests fleets made.
    type Counts: RateCounter;
    /// What was answered to requests with a key.
    type IdempotencyStore: IdempotencyStore;
    /// The time.
    type Clock: Clock + Clone;
}

impl<C: Clients, F: Fleets, R: RateCounter, A: IdempotencyStore, K: Clock + Clone> MiddlewarePorts for (C, F, R, A, K) {
    type Clients = C;
    type Fleets = F;
    type Counts = R;
    type IdempotencyStore = A;
    type Clock = K;
}

/// What stands before every operation.
pub struct Middleware<P: MiddlewarePorts> {
    pub(super) callers: Callers<P::Clients, P::Clock>,
    quota: RateLimiter<P::Fleets, P::Counts, P::Clock>,
    repeats: Idempotency<P::IdempotencyStore, P::Clock>,
}

impl<C: Clients, F: Fleets, R: RateCounter, A: IdempotencyStore, K: Clock + Clone> Middleware<(C, F, R, A, K)> {
    /// Asks these ports.
    pub fn of((clients, fleets, counts, answers, clock): (C, F, R, A, K)) -> Self {
        Self {
            callers: Callers::new(CachedClients::new(clients, clock.clone())),
            quota: RateLimiter::new(CachedPlans::new(fleets, clock.clone()), counts, clock.clone()),
            repeats: Idempotency::new(answers, clock),
        }
    }
}

impl<P: MiddlewarePorts> Middleware<P> {
    /// How the caller stands with its quota; a problem where it is used up. Only fleets have one.
    pub(super) async fn admit(&self, caller: &Caller) -> Result<Option<RateLimitStatus>, Problem> {
        let Caller::Fleet(fleet_id) = caller else { return Ok(None) };
        match self.quota.take(fleet_id).await {
            Ok(standing) if standing.granted => Ok(Some(standing)),
            Ok(standing) => {
                let problem = Problem::new(ProblemType::TooManyRequests).with_retry_after(standing.reset_s);
                let detail = format!("the fleet's plan allows {} requests a minute", standing.quota);
                Err(rate_limit_headers(standing)
                    .into_iter()
                    .fold(problem.with_detail(detail), |p, (n, v)| p.with_header(n, v)))
            }
            Err(error) => {
                // Not to know how much was asked for is no reason to refuse.
                let error = logging::chain(&error);
                tracing::error!(error, "requests are granted without a count: {error}");
                Ok(None)
            }
        }
    }

    /// Does an operation that creates something: once, where the request carries a key.
    pub(super) async fn once<A: Api>(
        &self,
        api: &A,
        route: &Route<A::Operation>,
        request: &Request,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let Some(keyed) = keyed(request, caller)? else { return call(api, route, request, caller).await };
        let work = || call(api, route, request, caller);
        // Only what created something is kept; whatever went wrong may be tried again under the same key.
        let answer_of = |done: &Result<Response, Problem>| done.as_ref().ok().map(Response::to_kept);
        match self.repeats.once(&keyed, work, answer_of).await? {
            IdempotencyOutcome::Executed(answer) => answer,
            IdempotencyOutcome::Replayed(answer) => before(api, route, caller, answer).await,
            IdempotencyOutcome::InProgress => Err(Problem::new(ProblemType::RequestInProgress).with_retry_after(1)),
            IdempotencyOutcome::KeyReused => Err(Problem::new(ProblemType::IdempotencyKeyReused)),
        }
    }
}

async fn before<A: Api>(
    api: &A,
    route: &Route<A::Operation>,
    caller: &Caller,
    answer: StoredResponse,
) -> Result<Response, Problem> {
    let response = Response::from_kept(answer)?;
    Ok(api.restore(route.operation, caller, response).await?.with_header("idempotency-replayed", "true"))
}

/// The request under its key, where it has one.
fn keyed(request: &Request, caller: &Caller) -> Result<Option<KeyedRequest>, Problem> {
    let Some(header) = request.header("idempotency-key") else { return Ok(None) };
    // The draft wants a quoted string; most clients send it bare.
    let key = header.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(header.trim());
    if key.is_empty() || key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("Idempotency-Key must be 1 to {MAX_KEY_LEN} visible ASCII characters");
        return Err(Problem::new(ProblemType::BadRequest).with_detail(detail));
    }
    let caller = format!("{caller:?}");
    let key = digest(&[caller.as_bytes(), request.method.as_bytes(), request.list().as_bytes(), key.as_bytes()]);
    Ok(Some(KeyedRequest { key, body: digest(&[request.body()]) }))
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that no two lists of parts run together to the same text.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

/// The headers that tell how a fleet stands with its quota (IETF draft "`RateLimit` header fields for HTTP").
pub(super) fn rate_limit_headers(standing: RateLimitStatus) -> [(&'static str, String); 2] {
    let RateLimitStatus { quota, remaining, reset_s, .. } = standing;
    [
        ("ratelimit-policy", format!("\"fleet\";q={quota};w={}", WINDOW_MS / 1000)),
        ("ratelimit", format!("\"fleet\";r={remaining};t={reset_s}")),
    ]
}

#[cfg(test)]
mod tests;
