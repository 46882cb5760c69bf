//! Requests that may come twice: under the same key the second gets the answer of the first.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field". Whoever creates something and loses the answer asks again
//! under the same key, and nothing is created twice.

use std::future::Future;

use roadcast_ports::clock::Clock;
use roadcast_ports::requests::{IdempotencyStore, KeyClaim, KeyedRequest, StoredResponse};
use roadcast_ports::{PortError, chain};

/// Does requests once.
pub struct Idempotency<A, K> {
    answers: A,
    clock: K,
}

/// What became of a request with a key.
#[derive(Debug)]
pub enum IdempotencyOutcome<T> {
    /// It was done now.
    Executed(T),
    /// It was done before: this was the answer.
    Replayed(StoredResponse),
    /// It is under way.
    InProgress,
    /// Its key was used for another request.
    KeyReused,
}

impl<A: IdempotencyStore, K: Clock> Idempotency<A, K> {
    /// Remembers requests in `answers`.
    pub const fn new(answers: A, clock: K) -> Self {
        Self { answers, clock }
    }

    /// Does the request, unless it was done before. `answer_of` tells the answer to keep; where there is none, nothing was
    /// created, and the same request may be tried again.
    pub async fn once<T, F>(
        &self,
        request: &KeyedRequest,
        work: impl FnOnce() -> F,
        answer_of: impl Fn(&T) -> Option<StoredResponse>,
    ) -> Result<IdempotencyOutcome<T>, PortError>
    where
        F: Future<Output = T>,
    {
        match self.answers.claim(request, self.clock.now()).await? {
            KeyClaim::Granted => {}
            KeyClaim::InProgress => return Ok(IdempotencyOutcome::InProgress),
            KeyClaim::KeyReused => return Ok(IdempotencyOutcome::KeyReused),
            KeyClaim::Answered(answer) => return Ok(IdempotencyOutcome::Replayed(answer)),
        }
        let done = work().await;
        let kept = match answer_of(&done) {
            Some(answer) => self.answers.keep(request, &answer, self.clock.now()).await,
            None => self.answers.release(request).await,
        };
        if let Err(error) = kept {
            // What was done is done: its caller gets the answer. Only a repeat within a minute is told to wait.
            let error = chain(&error);
            tracing::error!(error, "the answer to a keyed request was not kept: {error}");
        }
        Ok(IdempotencyOutcome::Executed(done))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use roadcast_testbed::{ManualClock, Memory};

    use super::*;

    fn request(body: &str) -> KeyedRequest {
        KeyedRequest { key: "k".to_owned(), body: body.to_owned() }
    }

    fn answer() -> StoredResponse {
        StoredResponse { status: 201, headers: Vec::new(), body: "{}".to_owned() }
    }

    #[tokio::test]
    async fn a_request_is_done_once_and_its_repeat_gets_the_first_answer() {
        let memory = Memory::default();
        let repeats: Idempotency<Memory, ManualClock> = Idempotency::new(memory.clone(), memory.clock().clone());
        let done = AtomicUsize::new(0);
        let work = || async { done.fetch_add(1, Ordering::Relaxed) };
        let first = repeats.once(&request("a"), work, |_| Some(answer())).await.unwrap();
        assert!(matches!(first, IdempotencyOutcome::Executed(0)));
        let second = repeats.once(&request("a"), work, |_| Some(answer())).await.unwrap();
        assert!(matches!(second, IdempotencyOutcome::Replayed(before) if before == answer()));
        let other = repeats.once(&request("b"), work, |_| Some(answer())).await.unwrap();
        assert!(matches!(other, IdempotencyOutcome::KeyReused));
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_created_nothing_may_be_tried_again_and_what_is_under_way_is_waited_for() {
        let memory = Memory::default();
        let repeats: Idempotency<Memory, ManualClock> = Idempotency::new(memory.clone(), memory.clock().clone());
        let within = || async { repeats.once(&request("a"), || async {}, |()| None).await.unwrap() };
        let first = repeats.once(&request("a"), within, |_| None).await.unwrap();
        assert!(matches!(first, IdempotencyOutcome::Executed(IdempotencyOutcome::InProgress)));
        assert!(matches!(within().await, IdempotencyOutcome::Executed(())), "the key was given back");
    }
}
