//! Redrives of the failed deliveries of an endpoint.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Delivery, DeliveryState, FailureReason};
use crate::audit::Author;
use crate::dead_letter::RedriveId;
use crate::ids::{DeliveryId, EndpointId};

/// The record of a redrive of failed deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRedrive {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The id, which the caller chose. It is unique within the endpoint.
    pub redrive_id: RedriveId,
    /// Which deliveries.
    pub request: EndpointRedriveRequest,
    /// Who requested it.
    pub by: Author,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last continued.
    pub updated_at: Timestamp,
    /// The number of times that the record was replaced.
    pub revision: u64,
    /// Whether all its deliveries are done.
    pub finished: bool,
    /// The last delivery that is done, in the order of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DeliveryId>,
    /// The number of deliveries that are pending again.
    pub redriven: u64,
    /// The number of deliveries that had not failed, or that another redrive made pending.
    pub skipped: u64,
}

/// Which deliveries of an endpoint a redrive makes pending again. Only those that failed are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EndpointRedriveRequest {
    /// These deliveries.
    Deliveries {
        /// The deliveries, 1 to [`MAX_DELIVERIES`](EndpointRedriveRequest::MAX_DELIVERIES).
        delivery_ids: Vec<DeliveryId>,
    },
    /// Those of events at or after a time.
    Since {
        /// The time of the event.
        since: Timestamp,
    },
    /// All.
    All,
}

impl EndpointRedriveRequest {
    /// The largest number of deliveries that a redrive names.
    pub const MAX_DELIVERIES: usize = 100;
}

/// What a redrive does with a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveDecision {
    /// It is replaced by this pending delivery, and attempted.
    Redrive(Box<Delivery>),
    /// This redrive made it pending before, and may have been interrupted before it was sent.
    Resend,
    /// It did not fail, or this redrive made it pending before and it failed again.
    Skip,
}

impl Delivery {
    /// Returns what the redrive `redrive_id` does with this delivery at `now`. A redrive makes a delivery pending once.
    #[must_use]
    pub fn redriven(&self, redrive_id: &RedriveId, now: Timestamp) -> RedriveDecision {
        let was_redriven = self.redrive_id.as_ref() == Some(redrive_id);
        match self.state {
            // It would fail again.
            DeliveryState::Failed { reason: FailureReason::TooLarge } => RedriveDecision::Skip,
            DeliveryState::Failed { .. } if !was_redriven => RedriveDecision::Redrive(Box::new(Self {
                state: DeliveryState::Pending,
                attempts: 0,
                history: Vec::new(),
                next_attempt_at: Some(now),
                redrive_id: Some(redrive_id.clone()),
                created_at: now,
                finished_at: None,
                ..self.clone()
            })),
            DeliveryState::Pending if was_redriven && self.attempts == 0 => RedriveDecision::Resend,
            _ => RedriveDecision::Skip,
        }
    }
}
