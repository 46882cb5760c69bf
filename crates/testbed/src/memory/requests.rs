//! What is remembered of requests.

use roadcast_domain::ids::FleetId;
use roadcast_ports::PortError;
use roadcast_ports::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_KEPT_MS, REQUEST_LEASE_MS, RateCounter, StoredResponse,
};
use roadcast_signals::Timestamp;

use super::Memory;

/// A key that is taken.
#[derive(Debug)]
pub(super) struct Kept {
    body: String,
    since: Timestamp,
    answer: Option<StoredResponse>,
}

impl RateCounter for Memory {
    async fn add(&self, fleet_id: &FleetId, window: Timestamp, requests: u32) -> Result<u32, PortError> {
        let mut world = self.world();
        let count = world.requests.entry((fleet_id.clone(), window)).or_default();
        *count += requests;
        Ok(*count)
    }
}

impl IdempotencyStore for Memory {
    async fn claim(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyClaim, PortError> {
        let mut world = self.world();
        let kept = world.answers.get(&request.key).filter(|kept| now.ms_since(kept.since) < REQUEST_KEPT_MS);
        let claim = match kept {
            Some(kept) if kept.body != request.body => KeyClaim::KeyReused,
            Some(Kept { answer: Some(answer), .. }) => KeyClaim::Answered(answer.clone()),
            Some(kept) if now.ms_since(kept.since) < REQUEST_LEASE_MS => KeyClaim::InProgress,
            None | Some(_) => KeyClaim::Granted,
        };
        if claim == KeyClaim::Granted {
            world.answers.insert(request.key.clone(), Kept { body: request.body.clone(), since: now, answer: None });
        }
        Ok(claim)
    }

    async fn keep(&self, request: &KeyedRequest, answer: &StoredResponse, now: Timestamp) -> Result<(), PortError> {
        let kept = Kept { body: request.body.clone(), since: now, answer: Some(answer.clone()) };
        self.world().answers.insert(request.key.clone(), kept);
        Ok(())
    }

    async fn release(&self, request: &KeyedRequest) -> Result<(), PortError> {
        self.world().answers.remove(&request.key);
        Ok(())
    }
}
