//! Request counts for the rate limit, and idempotency keys with their responses.

use roadcast_domain::ids::FleetId;
use roadcast_ports::PortError;
use roadcast_ports::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_LEASE_MS, REQUEST_RETENTION_MS, RateCounter, StoredResponse,
};
use roadcast_signals::Timestamp;

use super::Memory;

/// A claimed idempotency key.
#[derive(Debug)]
pub(super) struct ClaimedKey {
    body: String,
    claimed_at: Timestamp,
    response: Option<StoredResponse>,
}

impl RateCounter for Memory {
    async fn add(&self, fleet_id: &FleetId, window: Timestamp, requests: u32) -> Result<u32, PortError> {
        let mut state = self.state();
        let count = state.request_counts.entry((fleet_id.clone(), window)).or_default();
        *count += requests;
        Ok(*count)
    }
}

impl IdempotencyStore for Memory {
    async fn claim(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyClaim, PortError> {
        let mut state = self.state();
        let claimed =
            state.responses.get(&request.key).filter(|claimed| now.ms_since(claimed.claimed_at) < REQUEST_RETENTION_MS);
        let claim = match claimed {
            Some(claimed) if claimed.body != request.body => KeyClaim::KeyReused,
            Some(ClaimedKey { response: Some(response), .. }) => KeyClaim::Completed(response.clone()),
            Some(claimed) if now.ms_since(claimed.claimed_at) < REQUEST_LEASE_MS => KeyClaim::InProgress,
            None | Some(_) => KeyClaim::Granted,
        };
        if claim == KeyClaim::Granted {
            state
                .responses
                .insert(request.key.clone(), ClaimedKey { body: request.body.clone(), claimed_at: now, response: None });
        }
        Ok(claim)
    }

    async fn store_response(
        &self,
        request: &KeyedRequest,
        response: &StoredResponse,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let claimed = ClaimedKey { body: request.body.clone(), claimed_at: now, response: Some(response.clone()) };
        self.state().responses.insert(request.key.clone(), claimed);
        Ok(())
    }

    async fn release(&self, request: &KeyedRequest) -> Result<(), PortError> {
        self.state().responses.remove(&request.key);
        Ok(())
    }
}
