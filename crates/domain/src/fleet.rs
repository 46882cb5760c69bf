//! Fleets, and the machine clients of fleets and data sources.

mod client;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::FleetId;
use crate::plan::Plan;
use crate::webhook::WebhookInterest;

pub use client::{CREDENTIALS_PER_CLIENT, Client, ClientKind, ClientPosition, ClientRole, Credential, is_source_allowed};

/// A fleet: an organization that subscribes to vehicle data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// The fleet's id.
    pub fleet_id: FleetId,
    /// The display name.
    pub name: String,
    /// The delivery bus that carries the fleet's events. The number of rules per bus is limited, so the fleets are
    /// distributed over several buses. A fleet keeps its bus.
    pub delivery_bus: String,
    /// Whether the fleet has a place on its delivery bus: from its creation until its offboarding is complete.
    #[serde(default)]
    pub has_bus_place: bool,
    /// The plan, which sets the rate limit.
    #[serde(default)]
    pub plan: Plan,
    /// The lifecycle state.
    #[serde(default)]
    pub state: FleetState,
    /// The status of the offboarding; absent while the fleet is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboarding: Option<OffboardingStatus>,
    /// What the fleet's webhook endpoints want; absent if it never had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookInterest>,
    /// Incremented by each change. The first version is 1.
    #[serde(default = "first_version")]
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The lifecycle state of a fleet.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FleetState {
    /// The fleet may subscribe and read.
    #[default]
    Active,
    /// The fleet accepts nothing new; its resources are being removed.
    Offboarding,
    /// The fleet's channel, clients and grants are removed. The audit trail and the delivery receipts remain readable.
    Offboarded,
}

/// The status of a fleet's offboarding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffboardingStatus {
    /// What happens to the messages in the feed.
    pub feed: FeedDisposition,
    /// When the offboarding was first requested.
    pub since: Timestamp,
    /// How many times the workflow was started.
    pub attempts: u32,
    /// Why the last run of the workflow failed; absent if it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens to the feed of a fleet that is being offboarded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedDisposition {
    /// No new messages are added. The fleet may read until the feed is empty or the retention of its messages ends.
    Drain,
    /// The feed is removed with all messages.
    Discard,
}

impl Fleet {
    /// Creates an active fleet in version 1.
    pub const fn new(fleet_id: FleetId, name: String, delivery_bus: String, plan: Plan, created_at: Timestamp) -> Self {
        Self {
            fleet_id,
            name,
            delivery_bus,
            has_bus_place: true,
            plan,
            state: FleetState::Active,
            offboarding: None,
            webhooks: None,
            version: 1,
            created_at,
        }
    }

    /// Starts the offboarding, or restarts one that did not complete.
    #[must_use]
    pub fn begin_offboarding(self, feed: FeedDisposition, now: Timestamp) -> Self {
        let (since, attempts) = self.offboarding.as_ref().map_or((now, 0), |status| (status.since, status.attempts));
        let status = OffboardingStatus { feed, since, attempts: attempts + 1, reason: None };
        Self { state: FleetState::Offboarding, offboarding: Some(status), ..self }
    }

    /// Completes the offboarding. The fleet has no rule any more, so its place on the bus is free.
    #[must_use]
    pub fn finish_offboarding(self) -> Self {
        let offboarding = self.offboarding.map(|status| OffboardingStatus { reason: None, ..status });
        Self { state: FleetState::Offboarded, has_bus_place: false, offboarding, ..self }
    }
}

/// The version of a fleet that was stored before versions existed.
const fn first_version() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_offboarding_keeps_the_first_request_time() {
        let fleet = Fleet::new(
            FleetId::from_random_bits(1),
            "f".to_owned(),
            "bus".to_owned(),
            Plan::Standard,
            Timestamp::from_ms(0),
        );
        let again = fleet
            .begin_offboarding(FeedDisposition::Drain, Timestamp::from_ms(5))
            .begin_offboarding(FeedDisposition::Discard, Timestamp::from_ms(9));
        let status = again.offboarding.unwrap();
        assert_eq!((again.state, status.feed), (FleetState::Offboarding, FeedDisposition::Discard));
        assert_eq!((status.since, status.attempts), (Timestamp::from_ms(5), 2));
    }

    #[test]
    fn fleet_stored_before_offboarding_existed_is_active() {
        let stored =
            r#"{"fleetId":"flt_0000000000000000","name":"f","deliveryBus":"bus","createdAt":"2026-01-01T00:00:00Z"}"#;
        let fleet: Fleet = serde_json::from_str(stored).unwrap();
        assert_eq!((fleet.state, fleet.offboarding, fleet.version), (FleetState::Active, None, 1));
    }
}
