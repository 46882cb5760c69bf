//! Receipts: from when to when a subscription was active, and what was delivered of its vehicles.
//!
//! Nothing is counted as it is delivered: a counter for each vehicle would be written with every entry of the bus. A receipt is
//! added up when it is asked for, from the audit trail and from the feed index, which remembers a fortnight.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Change, Changed};
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clock::Clock;
use roadcast_ports::feed::{FeedIndex, FeedRange, INDEX_KEPT_MS};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::subscriptions::Subscriptions;
use serde::Serialize;

use super::onboarding::may_see;
use crate::ServiceError;

/// Changes of one read.
const CHANGES_PER_READ: usize = 100;
/// Reads of the audit trail for one receipt: five thousand changes of the fleet.
const READS_OF_CHANGES: usize = 50;
/// Pointers of one read. Each names the events of one entry of the bus.
const POINTERS_PER_READ: usize = 200;
/// Reads of the index for one receipt, and events that it counts: a request must end in time, within a function's memory.
const READS_OF_POINTERS: usize = 400;
const EVENTS_PER_RECEIPT: usize = 200_000;

/// Makes receipts.
pub struct Receipts<F, U, I, K> {
    /// What was changed of fleets.
    pub fleets: F,
    /// The subscriptions.
    pub subscriptions: U,
    /// Pointers to what was delivered.
    pub index: I,
    /// The time.
    pub clock: K,
}

/// What a subscription brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Whose it is.
    pub fleet_id: FleetId,
    /// When it was active.
    pub active: Vec<Period>,
    /// The time that deliveries were counted for; it ends early where there was too much to count at once.
    pub counted: Period,
    /// What was put into the fleet's feed about each vehicle that the subscription ever named.
    pub vehicles: Vec<Deliveries>,
}

/// A time with a beginning.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; none where it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// What was delivered of one vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deliveries {
    /// The vehicle.
    pub vid: VehicleId,
    /// How many events, each once.
    pub events: usize,
    /// When the first was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// What was found of one vehicle.
#[derive(Default)]
struct Found {
    events: HashSet<Eid>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl<F: Fleets, U: Subscriptions, I: FeedIndex, K: Clock> Receipts<F, U, I, K> {
    /// The receipt of a subscription, in whatever state it is, for deliveries in [`from`, `to`) as far as the index remembers.
    pub async fn receipt(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Receipt, ServiceError> {
        may_see(caller, fleet_id)?;
        let kept = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        let changes = self.changes(fleet_id, subscription_id).await?;
        let now = self.clock.now();
        let from = from.unwrap_or(kept.created_at).max(kept.created_at).max(now.plus_ms(-INDEX_KEPT_MS));
        let to = to.unwrap_or(now).min(now).max(from);
        let mut found: BTreeMap<VehicleId, Found> =
            vehicles(&kept, &changes).into_iter().map(|vid| (vid, Found::default())).collect();
        let counted_to = self.count(fleet_id, from, to, &mut found).await?;
        let deliveries = |(vid, found): (VehicleId, Found)| Deliveries {
            vid,
            events: found.events.len(),
            first: found.first,
            last: found.last,
        };
        Ok(Receipt {
            subscription_id: kept.subscription_id.clone(),
            fleet_id: kept.fleet_id.clone(),
            active: active(&kept, &changes),
            counted: Period { from, to: Some(counted_to) },
            vehicles: found.into_iter().map(deliveries).collect(),
        })
    }

    /// What was changed of the subscription, in order.
    async fn changes(&self, fleet_id: &FleetId, id: &SubscriptionId) -> Result<Vec<Change>, ServiceError> {
        let mut changes: Vec<Change> = Vec::new();
        let mut before = None;
        for _ in 0..READS_OF_CHANGES {
            let page = self.fleets.changes(fleet_id, before, CHANGES_PER_READ).await?;
            before = page.last().map(|last| last.change_id);
            let full = page.len() == CHANGES_PER_READ;
            let of_it =
                |change: &Change| matches!(&change.of, Changed::Subscription { subscription_id } if subscription_id == id);
            changes.extend(page.into_iter().filter(of_it));
            if !full || changes.last().is_some_and(|oldest| oldest.before.is_none()) {
                break;
            }
        }
        changes.reverse();
        Ok(changes)
    }

    /// Counts the deliveries of these vehicles, and says how far it got.
    async fn count(
        &self,
        fleet_id: &FleetId,
        from: Timestamp,
        to: Timestamp,
        found: &mut BTreeMap<VehicleId, Found>,
    ) -> Result<Timestamp, ServiceError> {
        let last = Eid::stamped(to.plus_ms(-1), u128::MAX);
        let mut next = Some(Eid::first_at(from)).filter(|first| *first <= last);
        let mut events = 0;
        for _ in 0..READS_OF_POINTERS {
            let Some(from) = next.filter(|_| events < EVENTS_PER_RECEIPT) else { break };
            let range = FeedRange { fleet_id: fleet_id.clone(), from, to: last, limit: POINTERS_PER_READ };
            let page = self.index.read(&range).await?;
            for pointer in page.pointers {
                let at = pointer.stamp.time();
                for (vid, eid) in pointer.events {
                    let Some(found) = found.get_mut(&vid) else { continue };
                    if found.events.insert(eid) {
                        events += 1;
                        found.first = found.first.or(Some(at));
                        found.last = Some(at);
                    }
                }
            }
            next = page.next.filter(|next| *next <= last);
        }
        Ok(next.map_or(to, Eid::time))
    }
}

/// Every vehicle that the subscription names or ever named.
fn vehicles(kept: &Subscription, changes: &[Change]) -> BTreeSet<VehicleId> {
    let mut vehicles: BTreeSet<VehicleId> = kept.vehicles.iter().cloned().collect();
    for members in changes.iter().flat_map(|change| change.before.iter().chain([&change.after])) {
        let named = members.get("vehicles").and_then(|named| named.as_array()).into_iter().flatten();
        vehicles.extend(named.filter_map(|vid| vid.as_str()?.parse().ok()));
    }
    vehicles
}

/// When the subscription was active. One that became so before changes were kept: since it last changed.
fn active(kept: &Subscription, changes: &[Change]) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    for change in changes {
        match change.state() {
            Some(SubscriptionState::Active) => periods.push(Period { from: change.at, to: None }),
            Some(_) => {
                if let Some(open) = periods.last_mut().filter(|period| period.to.is_none()) {
                    open.to = Some(change.at);
                }
            }
            None => {}
        }
    }
    if periods.is_empty() && kept.state == SubscriptionState::Active {
        periods.push(Period { from: kept.updated_at, to: None });
    }
    periods
}
