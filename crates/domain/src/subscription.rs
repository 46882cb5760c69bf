//! Subscriptions: a fleet's vehicles, its packages for them, and for how long.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entitlement::Grant;
use crate::ids::{FleetId, SubscriptionId, VehicleId};
use crate::package::PackageName;

/// A half-open time of validity.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// Valid from then on.
    pub valid_from: Timestamp,
    /// Valid until just before then; for good where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl Validity {
    /// Whether it holds at that time.
    pub fn holds_at(&self, time: Timestamp) -> bool {
        self.valid_from <= time && self.valid_until.is_none_or(|until| time < until)
    }

    /// The time that lies in both, if there is any.
    pub fn within(self, other: Self) -> Option<Self> {
        let valid_from = self.valid_from.max(other.valid_from);
        let valid_until = [self.valid_until, other.valid_until].into_iter().flatten().min();
        valid_until.is_none_or(|until| valid_from < until).then_some(Self { valid_from, valid_until })
    }
}

/// How far a subscription is on its way.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    /// Stored; nothing was made for it yet.
    Pending,
    /// Its queue and rule are being made.
    Provisioning,
    /// Events flow.
    Active,
    /// Stopped for now: nothing is readable, and what comes in is kept for when it goes on.
    Suspended,
    /// Ended for good.
    Revoked,
}

impl SubscriptionState {
    /// Whether events of such a subscription may be on their way through the fleet's queue and rule.
    pub const fn needs_a_channel(self) -> bool {
        matches!(self, Self::Provisioning | Self::Active | Self::Suspended)
    }

    /// Whether a subscription may go from this state to that one. Staying is allowed, so that a repeated step is no error.
    pub fn may_become(self, next: Self) -> bool {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        match (self, next) {
            (Revoked, other) => other == Revoked,
            // Failed provisioning goes back to pending, with a reason.
            (Pending, Provisioning)
            | (Provisioning, Active | Pending)
            | (Active, Suspended)
            | (Suspended, Active)
            | (_, Revoked) => true,
            (from, to) => from == to,
        }
    }
}

/// In which form telemetry reaches a fleet's feed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryFormat {
    /// Each event as a CloudEvent in JSON.
    #[default]
    Json,
    /// A vehicle's events together, as a CloudEvent whose data is a columnar block: about a twentieth of the bytes.
    Blocks,
}

/// What a fleet gets of which vehicles, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id.
    pub subscription_id: SubscriptionId,
    /// Whose it is.
    pub fleet_id: FleetId,
    /// The vehicles.
    pub vehicles: Vec<VehicleId>,
    /// The packages.
    pub packages: Vec<PackageName>,
    /// In which form telemetry comes.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// When it is valid.
    #[serde(flatten)]
    pub validity: Validity,
    /// How far it is.
    pub state: SubscriptionState,
    /// How often provisioning was started.
    #[serde(default)]
    pub attempts: u32,
    /// Why provisioning failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Counts its changes, from 1.
    #[serde(default = "first_version")]
    pub version: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Subscription {
    /// What it grants for each of its vehicles in the state that it is in; nothing before it is active, or once it is revoked.
    pub fn grant(&self) -> Option<Grant> {
        matches!(self.state, SubscriptionState::Active | SubscriptionState::Suspended).then(|| Grant::of(self))
    }
}

/// That of a subscription which was kept before versions were counted.
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
        assert_eq!([9, 10, 19, 20].map(|ms| week.holds_at(at(ms))), [false, true, true, false]);
        assert!(Validity { valid_from: at(10), valid_until: None }.holds_at(at(i64::MAX)));
    }

    #[test]
    fn what_lies_in_two_validities_ends_with_the_earlier_one() {
        let validity = |from, until: Option<i64>| Validity {
            valid_from: Timestamp::from_ms(from),
            valid_until: until.map(Timestamp::from_ms),
        };
        assert_eq!(validity(10, None).within(validity(5, Some(20))), Some(validity(10, Some(20))));
        assert_eq!(validity(10, Some(15)).within(validity(5, Some(20))), Some(validity(10, Some(15))));
        assert_eq!(validity(10, Some(15)).within(validity(15, None)), None);
    }

    #[test]
    fn a_revoked_subscription_never_comes_back_and_active_is_reached_only_by_provisioning() {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        for next in [Pending, Provisioning, Active, Suspended] {
            assert!(!Revoked.may_become(next));
            assert!(next.may_become(Revoked));
        }
        assert!(!Pending.may_become(Active));
        assert!(Provisioning.may_become(Active));
        assert!(!Active.may_become(Provisioning));
    }
}
