//! Receipts: the periods in which a subscription was active, and the events delivered for its vehicles.
//!
//! Deliveries are not counted when they happen, because a counter per vehicle would be written with every bus entry. A
//! receipt is computed on request, from the audit trail and from the feed index, which covers the last 14 days. What a
//! suspended subscription holds back is not delivered yet: it counts once the subscription resumes.

mod audit_walk;

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Holders;
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{FeedIndex, FeedRange, INDEX_RETENTION_MS};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::subscriptions::Subscriptions;
use serde::Serialize;

use self::audit_walk::{AuditedActivity, audited_activity};
use crate::authz::FleetReader;
use crate::{CONCURRENT_READS, ServiceError};

/// Pointers per read. Each pointer names the events of one bus entry.
const POINTERS_PER_READ: usize = 200;
/// The maximum number of reads of the index for one receipt. It bounds the duration of a request.
const MAX_INDEX_READS: usize = 400;
/// The maximum number of events counted for one receipt. It bounds the memory of a request.
const EVENTS_PER_RECEIPT: usize = 200_000;

/// Computes receipts.
pub struct Receipts<Ports: PortSet> {
    /// The fleets with their audit trails.
    pub fleets: Ports::Fleets,
    /// The subscriptions.
    pub subscriptions: Ports::Subscriptions,
    /// The index of delivered events.
    pub index: Ports::FeedIndex,
    /// The entitlements.
    pub entitlements: Ports::Entitlements,
    /// The clock.
    pub clock: Ports::Clock,
}

/// The receipt of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The fleet.
    pub fleet_id: FleetId,
    /// The period of the audit trail that `active` and the list of vehicles cover; starts later than the subscription if
    /// there were too many changes to read at once.
    pub audited: Period,
    /// The periods in which the subscription was active.
    pub active: Vec<Period>,
    /// The period of the counted deliveries; shorter than requested if there were too many deliveries to count at once.
    pub counted: Period,
    /// The deliveries of each vehicle that the subscription names, or named in the audited period.
    pub vehicles: Vec<Deliveries>,
}

/// A period of time.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// The start, inclusive.
    pub from: Timestamp,
    /// The end, exclusive; `None` if the period has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The deliveries of a vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deliveries {
    /// The vehicle.
    pub vid: VehicleId,
    /// The number of distinct events.
    pub events: usize,
    /// The time of the first delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// The time of the last delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// The deliveries of a vehicle while they are counted.
#[derive(Default)]
struct DeliveryTally {
    events: HashSet<Eid>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl DeliveryTally {
    /// Counts a delivery of an event. Returns whether it is the first one of this event.
    fn add(&mut self, eid: Eid, at: Timestamp) -> bool {
        let is_new = self.events.insert(eid);
        if is_new {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        }
        is_new
    }
}

/// A delivery that was held back when it was made.
struct HeldDelivery {
    eid: Eid,
    at: Timestamp,
    held_by: Arc<Holders>,
}

/// The deliveries of the index.
struct Counted {
    /// The time up to which they were counted.
    to: Timestamp,
    /// Deliveries that count only if they were released.
    held: BTreeMap<VehicleId, Vec<HeldDelivery>>,
}

impl<Ports: PortSet> Receipts<Ports> {
    /// Returns the receipt of a subscription in any state, for deliveries in [`from`, `to`) as far as the index goes back.
    pub async fn receipt(
        &self,
        fleet: &FleetReader,
        subscription_id: &SubscriptionId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Receipt, ServiceError> {
        let fleet_id = fleet.fleet_id();
        let subscription = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        let AuditedActivity { since, active, vehicles } = audited_activity(&self.fleets, &self.clock, &subscription).await?;
        let now = self.clock.now();
        let from =
            from.unwrap_or(subscription.created_at).max(subscription.created_at).max(now.plus_ms(-INDEX_RETENTION_MS));
        let to = to.unwrap_or(now).min(now).max(from);
        let mut tallies: BTreeMap<VehicleId, DeliveryTally> =
            vehicles.into_iter().map(|vid| (vid, DeliveryTally::default())).collect();
        let Counted { to: counted_to, held } = self.count(fleet_id, from, to, &mut tallies).await?;
        self.count_released(fleet_id, held, &mut tallies).await?;
        let deliveries = |(vid, tally): (VehicleId, DeliveryTally)| Deliveries {
            vid,
            events: tally.events.len(),
            first: tally.first,
            last: tally.last,
        };
        Ok(Receipt {
            subscription_id: subscription.subscription_id.clone(),
            fleet_id: subscription.fleet_id.clone(),
            audited: Period { from: since, to: Some(now) },
            active,
            counted: Period { from, to: Some(counted_to) },
            vehicles: tallies.into_iter().map(deliveries).collect(),
        })
    }

    /// Counts the deliveries of the vehicles in `tallies` that were not held back.
    async fn count(
        &self,
        fleet_id: &FleetId,
        from: Timestamp,
        to: Timestamp,
        tallies: &mut BTreeMap<VehicleId, DeliveryTally>,
    ) -> Result<Counted, ServiceError> {
        let mut held: BTreeMap<VehicleId, Vec<HeldDelivery>> = BTreeMap::new();
        let last = ArrivalStamp::from_time_and_salt(to.plus_ms(-1), u128::MAX);
        let mut next = Some(ArrivalStamp::lower_bound(from)).filter(|first| *first <= last);
        let mut events = 0;
        for _ in 0..MAX_INDEX_READS {
            let Some(from) = next.filter(|_| events < EVENTS_PER_RECEIPT) else { break };
            let range = FeedRange { fleet_id: fleet_id.clone(), from, to: last, limit: POINTERS_PER_READ };
            let page = self.index.read(&range).await?;
            for pointer in page.pointers {
                let (at, held_by) = (pointer.stamp.time(), Arc::new(pointer.held_by));
                for (vid, eid) in pointer.events {
                    let Some(tally) = tallies.get_mut(&vid) else { continue };
                    if !held_by.is_none() {
                        events += 1;
                        held.entry(vid).or_default().push(HeldDelivery { eid, at, held_by: Arc::clone(&held_by) });
                    } else if tally.add(eid, at) {
                        events += 1;
                    }
                }
            }
            next = page.next.filter(|next| *next <= last);
        }
        Ok(Counted { to: next.map_or(to, ArrivalStamp::time), held })
    }

    /// Counts the deliveries that are not held back any more. Reads the entitlements after the index, which takes long.
    async fn count_released(
        &self,
        fleet_id: &FleetId,
        held: BTreeMap<VehicleId, Vec<HeldDelivery>>,
        tallies: &mut BTreeMap<VehicleId, DeliveryTally>,
    ) -> Result<(), ServiceError> {
        let read = stream::iter(held).map(|(vid, deliveries)| async move {
            let entitlement = self.entitlements.entitlement(fleet_id, &vid).await?;
            Ok::<_, ServiceError>((vid, deliveries, entitlement))
        });
        let mut read = pin!(read.buffer_unordered(CONCURRENT_READS));
        while let Some((vid, deliveries, entitlement)) = read.try_next().await? {
            let (Some(entitlement), Some(tally)) = (entitlement, tallies.get_mut(&vid)) else { continue };
            let now = self.clock.now();
            for HeldDelivery { eid, at, held_by } in deliveries {
                if entitlement.has_released(&held_by, at, now) {
                    tally.add(eid, at);
                }
            }
        }
        Ok(())
    }
}
