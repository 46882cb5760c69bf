//! Subscriptions: which vehicles and packages a fleet receives, and when.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{FleetId, SubscriptionId, VehicleId};
use crate::package::PackageName;

/// A half-open validity interval.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// Start of the interval, inclusive.
    pub valid_from: Timestamp,
    /// End of the interval, exclusive. Unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl Validity {
    /// Whether `time` is in the interval.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.valid_from <= time && self.valid_until.is_none_or(|until| time < until)
    }

    /// Returns the intersection of both intervals; `None` if it is empty.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let valid_from = self.valid_from.max(other.valid_from);
        let valid_until = [self.valid_until, other.valid_until].into_iter().flatten().min();
        valid_until.is_none_or(|until| valid_from < until).then_some(Self { valid_from, valid_until })
    }
}

/// The lifecycle state of a subscription.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    /// Stored. Nothing has been provisioned yet.
    Pending,
    /// The fleet's queue and rule are being created.
    Provisioning,
    /// Events are delivered.
    Active,
    /// Stopped temporarily. Nothing is readable; events are retained until the subscription resumes.
    Suspended,
    /// Ended permanently.
    Revoked,
}

impl SubscriptionState {
    /// Whether events of a subscription in this state may be in the fleet's queue or on their way to it.
    pub const fn needs_channel(self) -> bool {
        matches!(self, Self::Provisioning | Self::Active | Self::Suspended)
    }

    /// Whether the transition to `next` is allowed. Remaining in the same state is allowed, so that a repeated step does
    /// not fail.
    pub fn can_transition_to(self, next: Self) -> bool {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        match (self, next) {
            (Revoked, other) => other == Revoked,
            // A failed provisioning returns to pending, with a reason.
            (Pending, Provisioning)
            | (Provisioning, Active | Pending)
            | (Active, Suspended)
            | (Suspended, Active)
            | (_, Revoked) => true,
            (from, to) => from == to,
        }
    }
}

/// The form of telemetry in a fleet's feed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryFormat {
    /// Each event as a CloudEvent in JSON.
    #[default]
    Json,
    /// The events of a vehicle together, as one CloudEvent whose data is a columnar block: about a twentieth of the bytes.
    Blocks,
}

/// A fleet's subscription: which packages of which vehicles it receives, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The subscription's id.
    pub subscription_id: SubscriptionId,
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicles.
    pub vehicles: Vec<VehicleId>,
    /// The packages.
    pub packages: Vec<PackageName>,
    /// The form of telemetry.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// The validity interval.
    #[serde(flatten)]
    pub validity: Validity,
    /// The lifecycle state.
    pub state: SubscriptionState,
    /// How many times provisioning was started.
    #[serde(default)]
    pub attempts: u32,
    /// Why provisioning failed; absent if it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Incremented by each change. The first version is 1.
    #[serde(default = "first_version")]
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The version of a subscription that was stored before versions existed.
const fn first_version() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_half_open() {
        let at = Timestamp::from_ms;
        let week = Validity { valid_from: at(10), valid_until: Some(at(20)) };
        assert_eq!([9, 10, 19, 20].map(|ms| week.contains(at(ms))), [false, true, true, false]);
        assert!(Validity { valid_from: at(10), valid_until: None }.contains(at(i64::MAX)));
    }

    #[test]
    fn intersection_ends_at_the_earlier_end() {
        let validity = |from, until: Option<i64>| Validity {
            valid_from: Timestamp::from_ms(from),
            valid_until: until.map(Timestamp::from_ms),
        };
        assert_eq!(validity(10, None).intersection(validity(5, Some(20))), Some(validity(10, Some(20))));
        assert_eq!(validity(10, Some(15)).intersection(validity(5, Some(20))), Some(validity(10, Some(15))));
        assert_eq!(validity(10, Some(15)).intersection(validity(15, None)), None);
    }

    #[test]
    fn revoked_is_final_and_active_requires_provisioning() {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        for next in [Pending, Provisioning, Active, Suspended] {
            assert!(!Revoked.can_transition_to(next));
            assert!(next.can_transition_to(Revoked));
        }
        assert!(!Pending.can_transition_to(Active));
        assert!(Provisioning.can_transition_to(Active));
        assert!(!Active.can_transition_to(Provisioning));
    }
}
