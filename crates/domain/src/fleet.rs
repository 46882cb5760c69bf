//! Fleets and the machine clients that act for them or for data sources.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, FleetId};
use crate::plan::Plan;

/// A customer: the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Its id.
    pub fleet_id: FleetId,
    /// Its name, as people read it.
    pub name: String,
    /// The delivery bus that carries its events. Rules per bus are limited, so fleets may be spread over several.
    pub delivery_bus: String,
    /// How much it may ask for.
    #[serde(default)]
    pub plan: Plan,
    /// Whether it is a customer still.
    #[serde(default)]
    pub state: FleetState,
    /// How it leaves, or left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboarding: Option<OffboardingStatus>,
    /// Counts its changes, from 1.
    #[serde(default = "first_version")]
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether a fleet is a customer still.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FleetState {
    /// It may subscribe and read.
    #[default]
    Active,
    /// It takes nothing new; what it has is being removed.
    Offboarding,
    /// Its channel, its clients and its grants are gone. What was changed of it, and what it was given, can be read still.
    Offboarded,
}

/// How a fleet leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffboardingStatus {
    /// What becomes of what waits in its feed.
    pub feed: FeedDisposition,
    /// When that was asked for.
    pub since: Timestamp,
    /// How often the workflow was started for it.
    pub attempts: u32,
    /// Why the last run of the workflow failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What becomes of a leaving fleet's feed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedDisposition {
    /// Nothing new comes into it. The fleet may read on until it is empty, or its messages have grown too old.
    Drain,
    /// It goes with all that is in it.
    Discard,
}

impl Fleet {
    /// A new customer.
    pub const fn new(fleet_id: FleetId, name: String, delivery_bus: String, plan: Plan, created_at: Timestamp) -> Self {
        Self { fleet_id, name, delivery_bus, plan, state: FleetState::Active, offboarding: None, version: 1, created_at }
    }

    /// The fleet once it was asked to leave, for the first time or again: what did not get to its end is started once more.
    #[must_use]
    pub fn begin_offboarding(self, feed: FeedDisposition, now: Timestamp) -> Self {
        let (since, attempts) = self.offboarding.as_ref().map_or((now, 0), |status| (status.since, status.attempts));
        let status = OffboardingStatus { feed, since, attempts: attempts + 1, reason: None };
        Self { state: FleetState::Offboarding, offboarding: Some(status), ..self }
    }
}

/// A machine client of the user pool, and whom it acts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Its id in the user pool.
    pub client_id: ClientId,
    /// Its name, as people read it.
    pub name: String,
    /// Whom it acts for.
    #[serde(flatten)]
    pub role: ClientRole,
    /// When its secret was handed to an admin, which is done once. One that provisioning made waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_shown_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Client {
    /// The fleet that it acts for, if it is one.
    pub const fn fleet_id(&self) -> Option<&FleetId> {
        match &self.role {
            ClientRole::Fleet { fleet_id } => Some(fleet_id),
            ClientRole::Ingest { .. } => None,
        }
    }
}

/// Whom a client acts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientRole {
    /// An application of a fleet: reads.
    Fleet {
        /// The fleet.
        fleet_id: FleetId,
    },
    /// A partner or gateway: sends events.
    Ingest {
        /// The CloudEvents sources it may use: each exactly, or all below it where it ends with `/` or `:`.
        sources: Vec<String>,
    },
}

/// Whether an ingest client that is bound to `sources` may send an event of `source`.
pub fn source_is_bound(sources: &[String], source: &str) -> bool {
    sources.iter().any(|bound| bound == source || (bound.ends_with(['/', ':']) && source.starts_with(bound.as_str())))
}

/// That of a fleet which was kept before versions were counted.
const fn first_version() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_is_asked_to_leave_again_began_when_it_was_first_asked() {
        let fleet =
            Fleet::new(FleetId::from_random(1), "f".to_owned(), "bus".to_owned(), Plan::Standard, Timestamp::from_ms(0));
        let again = fleet
            .begin_offboarding(FeedDisposition::Drain, Timestamp::from_ms(5))
            .begin_offboarding(FeedDisposition::Discard, Timestamp::from_ms(9));
        let status = again.offboarding.unwrap();
        assert_eq!((again.state, status.feed), (FleetState::Offboarding, FeedDisposition::Discard));
        assert_eq!((status.since, status.attempts), (Timestamp::from_ms(5), 2));
    }

    #[test]
    fn a_fleet_that_was_kept_before_fleets_could_leave_is_active() {
        let kept = r#"{"fleetId":"flt_0000000000000000","name":"f","deliveryBus":"bus","createdAt":"2026-01-01T00:00:00Z"}"#;
        let fleet: Fleet = serde_json::from_str(kept).unwrap();
        assert_eq!((fleet.state, fleet.offboarding, fleet.version), (FleetState::Active, None, 1));
    }

    #[test]
    fn a_client_may_use_its_sources_and_what_lies_below_a_prefix() {
        let sources = vec!["urn:partner:a".to_owned(), "https://gateway.example/".to_owned()];
        assert!(source_is_bound(&sources, "urn:partner:a"));
        assert!(source_is_bound(&sources, "https://gateway.example/north/7"));
        assert!(!source_is_bound(&sources, "urn:partner:ab"));
        assert!(!source_is_bound(&sources, "https://gateway.example.evil/"));
        assert!(!source_is_bound(&[], "urn:partner:a"));
    }
}
