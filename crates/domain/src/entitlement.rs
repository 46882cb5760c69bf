//! What a fleet may see, and redaction of events to it.

use std::collections::BTreeSet;

use roadcast_signals::{SignalPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Body, Event, EventType, Telemetry};
use crate::ids::{FleetId, SubscriptionId, VehicleId};
use crate::package::{IndexedPackage, PackageName, Packages};
use crate::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};

mod holders;
mod visibility;

pub use holders::Holders;
pub use visibility::{Lost, Visibility};

/// The part of an entitlement that one subscription grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The granted packages.
    pub packages: Vec<PackageName>,
    /// The form of telemetry.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// The validity interval.
    #[serde(flatten)]
    pub validity: Validity,
    /// Whether the subscription is suspended: the grant allows no reads, but what it covers is retained until it resumes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// The largest consent epoch. Events carry the epoch as a CloudEvents Integer, a signed 32-bit number. It is reached
/// after 68 years if rights of the same fleet to the same vehicle are removed every second.
pub const MAX_EPOCH: u64 = 2_147_483_647;

/// What one fleet may see of one vehicle: the grants of its active and suspended subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vid: VehicleId,
    /// The consent epoch: incremented whenever a right is removed, at most [`MAX_EPOCH`].
    pub epoch: u64,
    /// The grants of active and suspended subscriptions.
    pub grants: Vec<Grant>,
}

/// The packages that apply to data received at a certain time.
#[derive(Clone, Debug)]
pub struct Coverage<'p> {
    packages: Vec<&'p IndexedPackage>,
}

impl Grant {
    /// Returns the grant of a subscription that is active or suspended; `None` in every other state.
    pub fn effective(subscription: &Subscription) -> Option<Self> {
        let has_grant = matches!(subscription.state, SubscriptionState::Active | SubscriptionState::Suspended);
        has_grant.then(|| Self::for_subscription(subscription))
    }

    /// Returns what a subscription grants for each of its vehicles, whatever its state.
    pub fn for_subscription(subscription: &Subscription) -> Self {
        Self {
            subscription_id: subscription.subscription_id.clone(),
            packages: subscription.packages.clone(),
            delivery_format: subscription.delivery_format,
            validity: subscription.validity,
            suspended: subscription.state == SubscriptionState::Suspended,
        }
    }

    /// Returns what both grants allow, with the delivery format and the subscription id of `other`. `None` if they have
    /// no package or no time in common.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let packages: Vec<PackageName> =
            self.packages.iter().filter(|name| other.packages.contains(name)).cloned().collect();
        let validity = self.validity.intersection(other.validity)?;
        let suspended = self.suspended || other.suspended;
        (!packages.is_empty()).then(|| Self { packages, validity, suspended, ..other.clone() })
    }

    /// Whether this grant allows something that `other` does not.
    pub fn exceeds(&self, other: &Self) -> bool {
        self.intersection(other).is_none_or(|common| {
            let has_all = self.packages.iter().all(|name| common.packages.contains(name));
            !has_all || common.validity != self.validity || common.suspended != self.suspended
        })
    }

    fn is_live(&self, now: Timestamp) -> bool {
        !self.suspended && self.validity.contains(now)
    }
}

impl Entitlement {
    /// Whether any grant is live, that is valid at `now` and not suspended. Only then may the fleet know that the vehicle
    /// exists.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.is_live(now))
    }

    /// Whether events received at `now` are retained for the fleet: whether any grant is valid, including suspended ones.
    pub fn is_retained_at(&self, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.validity.contains(now))
    }

    /// Returns the coverage of data received at `received`: the grants that are live at `now` and were valid at `received`.
    pub fn coverage<'p>(&self, packages: &'p Packages, received: Timestamp, now: Timestamp) -> Coverage<'p> {
        self.coverage_by(packages, received, |grant| grant.is_live(now))
    }

    fn coverage_by<'p>(
        &self,
        packages: &'p Packages,
        received: Timestamp,
        applies: impl Fn(&Grant) -> bool,
    ) -> Coverage<'p> {
        let grants = self.grants.iter().filter(|grant| applies(grant) && grant.validity.contains(received));
        let names = grants.flat_map(|grant| &grant.packages);
        Coverage { packages: names.filter_map(|name| packages.indexed(name.as_str())).collect() }
    }

    /// Redacts the event to what the fleet may see at `now`. `None` if nothing remains.
    pub fn redact(&self, event: &Event, packages: &Packages, now: Timestamp) -> Option<Event> {
        debug_assert_eq!(self.vid, event.vid, "an entitlement is about one vehicle");
        if self.vid != event.vid || !self.is_addressed(event) {
            return None;
        }
        self.coverage(packages, event.received, now).redact(event)
    }

    /// Redacts the event to what is retained for the fleet: what it could see at `now` if no grant were suspended. `None`
    /// if nothing remains.
    pub fn redact_retained(&self, event: &Event, packages: &Packages, now: Timestamp) -> Option<Event> {
        if self.vid != event.vid || !self.is_addressed(event) {
            return None;
        }
        self.coverage_by(packages, event.received, |grant| grant.validity.contains(now)).redact(event)
    }

    /// Returns the subscriptions that hold back a part of the event. Of an alert: several that show it only together, if one of them
    /// is suspended. Of every other event: the suspended ones, each of which would show more of it at `now` if it were active.
    pub fn holders(&self, event: &Event, packages: &Packages, now: Timestamp) -> Holders {
        let visible = self.redact(event, packages, now);
        if self.redact_retained(event, packages, now) == visible {
            return Holders::None;
        }
        if matches!(event.body, Body::Alert(_)) {
            return Holders::all(self.needed_together(event, packages, now));
        }
        let suspended = self.grants.iter().filter(|grant| grant.suspended && grant.validity.contains(now));
        let holds_back = |held: &&Grant| {
            let applies = |grant: &Grant| grant.is_live(now) || std::ptr::eq(grant, *held);
            self.coverage_by(packages, event.received, applies).redact(event) != visible
        };
        Holders::any(suspended.filter(holds_back).map(|grant| grant.subscription_id.clone()).collect())
    }

    /// Returns subscriptions that together show the event, and none of which can be omitted. As few suspended ones as possible.
    fn needed_together(&self, event: &Event, packages: &Packages, now: Timestamp) -> BTreeSet<SubscriptionId> {
        let mut needed: Vec<&Grant> = self.grants.iter().filter(|grant| grant.validity.contains(now)).collect();
        needed.sort_by_key(|grant| !grant.suspended);
        let mut index = 0;
        while index < needed.len() {
            let omitted = needed.remove(index);
            let applies = |grant: &Grant| needed.iter().any(|other| std::ptr::eq(*other, grant));
            if self.coverage_by(packages, event.received, applies).redact(event).is_none() {
                needed.insert(index, omitted);
                index += 1;
            }
        }
        needed.into_iter().map(|grant| grant.subscription_id.clone()).collect()
    }

    /// Whether the event may be for the fleet: alerts of other fleets' rules are not.
    fn is_addressed(&self, event: &Event) -> bool {
        match &event.body {
            Body::Alert(alert) => alert.is_addressed_to(&self.fleet_id),
            Body::Telemetry(_) | Body::Diagnostic(_) | Body::Custom(_) => true,
        }
    }

    /// Whether the fleet may know at `now` of an event that was held back when it was delivered, `at`.
    pub fn has_released(&self, held_by: &Holders, at: Timestamp, now: Timestamp) -> bool {
        held_by.are_released(|subscription_id| {
            let mut grants = self.grants.iter().filter(|grant| grant.subscription_id == *subscription_id);
            grants.any(|grant| grant.is_live(now) && grant.validity.contains(at))
        })
    }

    /// Returns the form of telemetry: blocks if every valid grant requests them, otherwise JSON, because a fleet that
    /// requested JSON must be able to read it.
    pub fn delivery_format(&self, now: Timestamp) -> DeliveryFormat {
        let valid = || self.grants.iter().filter(|grant| grant.validity.contains(now));
        let blocks = valid().all(|grant| grant.delivery_format == DeliveryFormat::Blocks);
        if blocks && valid().next().is_some() { DeliveryFormat::Blocks } else { DeliveryFormat::Json }
    }

    /// Returns the entitlement reduced to these packages.
    #[must_use]
    pub fn limited_to(&self, packages: &BTreeSet<PackageName>) -> Self {
        let limited = |grant: &Grant| {
            let packages = grant.packages.iter().filter(|name| packages.contains(*name)).cloned().collect();
            Grant { packages, ..grant.clone() }
        };
        let grants = self.grants.iter().map(limited).filter(|grant| !grant.packages.is_empty()).collect();
        Self { fleet_id: self.fleet_id.clone(), vid: self.vid.clone(), epoch: self.epoch, grants }
    }

    /// Whether a live grant includes the package.
    pub fn has_package(&self, name: &str, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.is_live(now) && grant.packages.iter().any(|package| package.as_str() == name))
    }
}

impl<'p> Coverage<'p> {
    /// Returns the coverage of these packages, without regard to who is entitled to them.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n PackageName>, packages: &'p Packages) -> Self {
        Self { packages: names.into_iter().filter_map(|name| packages.indexed(name.as_str())).collect() }
    }
}

impl Coverage<'_> {
    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Whether both consist of the same packages of the same [`Packages`], in the same order. Packages with equal contents are
    /// not compared.
    pub fn is_same(&self, other: &Self) -> bool {
        self.packages.len() == other.packages.len()
            && self.packages.iter().zip(&other.packages).all(|(a, b)| std::ptr::eq(*a, *b))
    }

    /// Whether the signal with this path is covered. Paths outside the catalogue belong to no package.
    pub fn contains_signal(&self, path: &str) -> bool {
        self.packages.iter().any(|package| package.package().contains_signal(path))
    }

    /// Whether events of this type are covered as entire events.
    pub fn contains_event_type(&self, event_type: &EventType) -> bool {
        self.packages.iter().any(|package| package.package().event_types.contains(event_type))
    }

    /// Redacts the event to what is covered. Omits samples without a covered signal; `None` if nothing remains.
    pub fn redact(&self, event: &Event) -> Option<Event> {
        let body = match &event.body {
            Body::Telemetry(telemetry) => {
                let is_covered = |path: &SignalPath| {
                    path.def().is_some_and(|def| self.packages.iter().any(|package| package.contains(def)))
                };
                let samples = telemetry.samples.select_columns(is_covered);
                (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }))?
            }
            Body::Alert(alert) => alert.is_covered(self).then(|| event.body.clone())?,
            body @ (Body::Diagnostic(_) | Body::Custom(_)) => {
                self.contains_event_type(&event.event_type()).then(|| body.clone())?
            }
        };
        Some(Event { eid: event.eid, vid: event.vid.clone(), received: event.received, body })
    }
}

#[cfg(test)]
mod tests;
