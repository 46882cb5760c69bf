//! Idempotency keys: a repeated request with the same key returns the response of the first request.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field". A caller that creates a resource and loses the response
//! retries with the same key, and the resource is not created twice.

use std::future::Future;

use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::requests::{IdempotencyStore, KeyClaim, KeyedRequest, StoredResponse};
use roadcast_ports::{PortError, error_chain};

/// Executes keyed requests at most once.
pub struct Idempotency<Ports: PortSet> {
    store: Ports::IdempotencyStore,
    clock: Ports::Clock,
}

/// The outcome of a keyed request.
#[derive(Debug)]
pub enum IdempotencyOutcome<T> {
    /// The request was executed now.
    Executed(T),
    /// The request was executed before; this was its response.
    Replayed(StoredResponse),
    /// The same request is in progress.
    InProgress,
    /// The key was used for a different request.
    KeyReused,
}

impl<Ports: PortSet> Idempotency<Ports> {
    /// Stores keys and responses in `store`.
    pub const fn new(store: Ports::IdempotencyStore, clock: Ports::Clock) -> Self {
        Self { store, clock }
    }

    /// Executes `work` unless the request was executed before. `response_to_store` returns the response to store; if it
    /// returns `None`, nothing was created, and the same request may be retried.
    pub async fn execute_once<T, F>(
        &self,
        request: &KeyedRequest,
        work: impl FnOnce() -> F,
        response_to_store: impl Fn(&T) -> Option<StoredResponse>,
    ) -> Result<IdempotencyOutcome<T>, PortError>
    where
        F: Future<Output = T>,
    {
        match self.store.claim(request, self.clock.now()).await? {
            KeyClaim::Granted => {}
            KeyClaim::InProgress => return Ok(IdempotencyOutcome::InProgress),
            KeyClaim::KeyReused => return Ok(IdempotencyOutcome::KeyReused),
            KeyClaim::Completed(response) => return Ok(IdempotencyOutcome::Replayed(response)),
        }
        let result = work().await;
        let stored = match response_to_store(&result) {
            Some(response) => self.store.store_response(request, &response, self.clock.now()).await,
            None => self.store.release(request).await,
        };
        if let Err(error) = stored {
            // The request was executed, so the caller gets its response. A repeat within a minute is reported as in
            // progress.
            let error = error_chain(&error);
            tracing::error!(error, "could not store the response of a keyed request: {error}");
        }
        Ok(IdempotencyOutcome::Executed(result))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use roadcast_testbed::{InMemory, Memory};

    use super::*;

    fn request(body: &str) -> KeyedRequest {
        KeyedRequest { key: "k".to_owned(), body: body.to_owned() }
    }

    fn response() -> StoredResponse {
        StoredResponse { status: 201, headers: Vec::new(), body: "{}".to_owned() }
    }

    #[tokio::test]
    async fn repeated_request_returns_the_first_response() {
        let memory = Memory::default();
        let idempotency: Idempotency<InMemory> = Idempotency::new(memory.clone(), memory.clock().clone());
        let executions = AtomicUsize::new(0);
        let work = || async { executions.fetch_add(1, Ordering::Relaxed) };
        let first = idempotency.execute_once(&request("a"), work, |_| Some(response())).await.unwrap();
        assert!(matches!(first, IdempotencyOutcome::Executed(0)));
        let second = idempotency.execute_once(&request("a"), work, |_| Some(response())).await.unwrap();
        assert!(matches!(second, IdempotencyOutcome::Replayed(before) if before == response()));
        let other = idempotency.execute_once(&request("b"), work, |_| Some(response())).await.unwrap();
        assert!(matches!(other, IdempotencyOutcome::KeyReused));
        assert_eq!(executions.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn key_is_released_if_nothing_was_created() {
        let memory = Memory::default();
        let idempotency: Idempotency<InMemory> = Idempotency::new(memory.clone(), memory.clock().clone());
        let nested = || async { idempotency.execute_once(&request("a"), || async {}, |()| None).await.unwrap() };
        let first = idempotency.execute_once(&request("a"), nested, |_| None).await.unwrap();
        assert!(matches!(first, IdempotencyOutcome::Executed(IdempotencyOutcome::InProgress)));
        assert!(matches!(nested().await, IdempotencyOutcome::Executed(())), "the key was released");
    }
}
