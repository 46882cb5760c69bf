//! What a fleet may see, and cutting events down to it.

use std::collections::HashMap;

use roadcast_signals::{Sample, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Body, Event, Telemetry};
use crate::ids::{FleetId, SubscriptionId, VehicleId};
use crate::package::{Package, PackageName, Packages};
use crate::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};

/// One subscription's share in what a fleet may see of one vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its packages.
    pub packages: Vec<PackageName>,
    /// In which form telemetry comes.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// When it is valid.
    #[serde(flatten)]
    pub validity: Validity,
    /// Whether the subscription is suspended: nothing is readable by it, and what it covers is kept for when it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// The last consent epoch. It is told as a `CloudEvents` Integer, which has 32 bits and a sign; taking something away from the
/// same fleet and vehicle every second would reach it after 68 years.
pub const LAST_EPOCH: u64 = 2_147_483_647;

/// What one fleet may see of one vehicle: the grants of its active and suspended subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicle.
    pub vid: VehicleId,
    /// Raised whenever something is taken away; at most [`LAST_EPOCH`].
    pub epoch: u64,
    /// The grants of active and suspended subscriptions.
    pub grants: Vec<Grant>,
}

/// What may be seen of data that was received at one time.
#[derive(Clone, Debug)]
pub struct Coverage<'p> {
    packages: Vec<&'p Package>,
}

impl Grant {
    /// What a subscription grants for each of its vehicles.
    pub fn of(subscription: &Subscription) -> Self {
        Self {
            subscription_id: subscription.subscription_id.clone(),
            packages: subscription.packages.clone(),
            delivery_format: subscription.delivery_format,
            validity: subscription.validity,
            suspended: subscription.state == SubscriptionState::Suspended,
        }
    }

    /// What both grant, in the form of the other; nothing where they have no package or no time in common.
    pub fn within(&self, other: &Self) -> Option<Self> {
        let packages: Vec<PackageName> =
            self.packages.iter().filter(|name| other.packages.contains(name)).cloned().collect();
        let validity = self.validity.within(other.validity)?;
        let suspended = self.suspended || other.suspended;
        (!packages.is_empty()).then(|| Self { packages, validity, suspended, ..other.clone() })
    }

    /// Whether it grants something that the other does not.
    pub fn exceeds(&self, other: &Self) -> bool {
        self.within(other).is_none_or(|common| {
            let all = self.packages.iter().all(|name| common.packages.contains(name));
            !all || common.validity != self.validity || common.suspended != self.suspended
        })
    }

    fn is_live(&self, now: Timestamp) -> bool {
        !self.suspended && self.validity.holds_at(now)
    }
}

impl Entitlement {
    /// Whether any grant is live: the fleet may know that the vehicle exists.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.is_live(now))
    }

    /// Whether what comes in is kept for the fleet: a grant is valid, be it suspended.
    pub fn is_retained_at(&self, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.validity.holds_at(now))
    }

    /// What is covered of data received at `received`: by grants that are live now, and were valid then.
    pub fn coverage<'p>(&self, packages: &'p Packages, received: Timestamp, now: Timestamp) -> Coverage<'p> {
        self.coverage_by(packages, received, |grant| grant.is_live(now))
    }

    fn coverage_by<'p>(&self, packages: &'p Packages, received: Timestamp, counts: impl Fn(&Grant) -> bool) -> Coverage<'p> {
        let grants = self.grants.iter().filter(|grant| counts(grant) && grant.validity.holds_at(received));
        let names = grants.flat_map(|grant| &grant.packages);
        Coverage { packages: names.filter_map(|name| packages.get(name)).collect() }
    }

    /// The event as this fleet may see it now, or nothing.
    pub fn redact(&self, event: &Event, packages: &Packages, now: Timestamp) -> Option<Event> {
        debug_assert_eq!(self.vid, event.vid, "an entitlement is about one vehicle");
        if self.vid != event.vid {
            return None;
        }
        self.coverage(packages, event.received, now).redact(event)
    }

    /// The event as this fleet might see it now if nothing were suspended: what is kept for it.
    pub fn redact_retained(&self, event: &Event, packages: &Packages, now: Timestamp) -> Option<Event> {
        if self.vid != event.vid {
            return None;
        }
        self.coverage_by(packages, event.received, |grant| grant.validity.holds_at(now)).redact(event)
    }

    /// In which form telemetry comes: as blocks where every valid grant asks for them, since whoever asked for JSON must be
    /// able to read it.
    pub fn delivery_format(&self, now: Timestamp) -> DeliveryFormat {
        let valid = || self.grants.iter().filter(|grant| grant.validity.holds_at(now));
        let blocks = valid().all(|grant| grant.delivery_format == DeliveryFormat::Blocks);
        if blocks && valid().next().is_some() { DeliveryFormat::Blocks } else { DeliveryFormat::Json }
    }

    /// Whether a live grant names that package.
    pub fn has_package(&self, name: &str, now: Timestamp) -> bool {
        self.grants.iter().any(|grant| grant.is_live(now) && grant.packages.iter().any(|package| package == name))
    }
}

impl Coverage<'_> {
    /// Whether the signal of that path is covered. Paths outside the catalogue belong to no package.
    pub fn holds_signal(&self, path: &str) -> bool {
        self.packages.iter().any(|package| package.holds_signal(path))
    }

    /// The event cut to what is covered: samples without a covered signal fall away, and the event with its last sample.
    pub fn redact(&self, event: &Event) -> Option<Event> {
        let body = match &event.body {
            Body::Telemetry(telemetry) => {
                // The samples of an event hold mostly the same signals, and a package may have many patterns.
                let mut held = HashMap::new();
                let samples: Vec<Sample> =
                    telemetry.samples.iter().filter_map(|sample| self.cut_sample(sample, &mut held)).collect();
                (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }))?
            }
            whole @ (Body::Diagnostic(_) | Body::Custom(_)) => {
                let event_type = event.event_type();
                let covered = self.packages.iter().any(|package| package.event_types.contains(&event_type));
                covered.then(|| whole.clone())?
            }
        };
        Some(Event { eid: event.eid, vid: event.vid.clone(), received: event.received, body })
    }

    fn cut_sample<'e>(&self, sample: &'e Sample, held: &mut HashMap<&'e str, bool>) -> Option<Sample> {
        let signals: roadcast_signals::Signals = sample
            .signals
            .iter()
            .filter(|(path, _)| {
                let covered = || path.def().is_some() && self.holds_signal(path.as_str());
                *held.entry(path.as_str()).or_insert_with(covered)
            })
            .map(|(path, value)| (path.clone(), value.clone()))
            .collect();
        (!signals.is_empty()).then_some(Sample { at: sample.at, signals })
    }
}

#[cfg(test)]
mod tests;
