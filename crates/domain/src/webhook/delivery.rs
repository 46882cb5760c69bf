//! Deliveries: one event for one endpoint.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::AttemptOutcome;
use crate::dead_letter::RedriveId;
use crate::ids::{DeliveryId, Eid, EndpointId, FleetId, VehicleId};

/// The key of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryKey {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The delivery.
    pub delivery_id: DeliveryId,
}

/// One event for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The endpoint and the delivery.
    #[serde(flatten)]
    pub key: DeliveryKey,
    /// The fleet.
    pub fleet_id: FleetId,
    /// What is delivered.
    pub payload: Payload,
    /// The state.
    pub state: DeliveryState,
    /// The number of attempts.
    pub attempts: u32,
    /// The time of the next attempt, unless the state is terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts since it was created, or made pending again; at most [`MAX_HISTORY`](Self::MAX_HISTORY).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastAttempt>,
    /// The latest redrive that made the delivery pending again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_id: Option<RedriveId>,
    /// Incremented by each stored change. The first revision is 1.
    pub revision: u64,
    /// When it was created, or made pending again by a redrive. Its time counts from it.
    pub created_at: Timestamp,
    /// When it reached its terminal state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// What a delivery keeps of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastAttempt {
    /// When it was started.
    pub at: Timestamp,
    /// Its outcome.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if a response was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The time that it took, in milliseconds.
    pub latency_ms: u32,
}

/// What is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Payload {
    /// An event about a vehicle. It is redacted again at each attempt.
    Event {
        /// The vehicle.
        vid: VehicleId,
        /// The event.
        eid: Eid,
        /// The CloudEvents type.
        event_type: String,
        /// The event in the form of the delivery bus, as it was published to the fleet.
        cloud_event: String,
    },
    /// A message about the endpoints of the fleet: a test event, or the notice that an endpoint was disabled. It contains no
    /// data of a vehicle.
    Notice {
        /// The CloudEvents type.
        event_type: String,
        /// The CloudEvent in JSON.
        cloud_event: String,
    },
}

/// The state of a delivery.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DeliveryState {
    /// An attempt follows.
    Pending,
    /// The endpoint accepted it. Terminal.
    Delivered,
    /// It was not delivered, and a redrive can make it pending again. Terminal; it is in the store of dead letters.
    Failed {
        /// Why.
        reason: FailureReason,
    },
    /// It is not delivered, and no redrive changes that. Terminal.
    Dropped {
        /// Why.
        reason: DropReason,
    },
}

/// Why a delivery failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureReason {
    /// All attempts of the schedule failed.
    AttemptsExhausted,
    /// Its time ended before the schedule did: the endpoint was paused, or its circuit was open.
    Expired,
    /// The endpoint responded with 410 Gone.
    Gone,
    /// The endpoint was disabled.
    EndpointDisabled,
    /// The event exceeds [`Endpoint::MAX_BODY_BYTES`](super::Endpoint::MAX_BODY_BYTES).
    TooLarge,
}

/// Why a delivery was dropped.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DropReason {
    /// The fleet may no longer see any part of the event.
    NotEntitled,
    /// The endpoint was deleted.
    EndpointDeleted,
    /// The endpoint no longer receives events of this type or of these packages.
    NotWanted,
}

impl DeliveryState {
    /// Whether the state is final: no attempt follows.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

impl Payload {
    /// Returns the CloudEvents type.
    pub fn event_type(&self) -> &str {
        match self {
            Self::Event { event_type, .. } | Self::Notice { event_type, .. } => event_type,
        }
    }

    /// Returns the vehicle; `None` for a notice.
    pub const fn vid(&self) -> Option<&VehicleId> {
        match self {
            Self::Event { vid, .. } => Some(vid),
            Self::Notice { .. } => None,
        }
    }
}
