//! Arrivals that are restored from the archive: pointers in the feed index to events that were delivered before.
//!
//! See `docs/decisions/0065-restored-arrivals.md`.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::entitlement::Holders;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::feed::{DELIVERIES_PER_PART, Delivery, FeedIndex as _, INDEX_RETENTION_MS, RestoredPart};
use roadcast_ports::port_set::PortSet;
use sha2::{Digest as _, Sha256};

use super::enrichment::redact;
use crate::CONCURRENT_READS;
use crate::cache::CachedEntitlements;

/// Events of one pointer. A reader of the feed index reads 50 pointers at a time.
const EVENTS_PER_POINTER: usize = 200;

/// Records the arrivals of restored events.
pub struct RestoredArrivals<Ports: PortSet> {
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The index of delivered events.
    pub index: Ports::FeedIndex,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> RestoredArrivals<Ports> {
    /// Records that these events were delivered to the fleets that were entitled to them when they were received, unless that
    /// was recorded for the part with this digest. Leaves out what the index would not have any more. Returns the number of
    /// recorded arrivals. If it fails, call it again with the same digest: each fleet has its arrivals once.
    pub(crate) async fn record(&self, digest: u128, events: &[&Event]) -> Result<usize, PortError> {
        let retained_from = self.clock.now().plus_ms(-INDEX_RETENTION_MS);
        let retained: Vec<&Event> = events.iter().copied().filter(|event| event.received >= retained_from).collect();
        if retained.is_empty() {
            return Ok(0);
        }
        let by_fleet = self.entitled_fleets(&retained).await?;
        let parts = by_fleet.into_iter().flat_map(|(fleet_id, by_holders)| parts(&fleet_id, by_holders, digest));
        let records = parts.map(|(part, deliveries)| async move {
            let is_new = self.index.record_once(&part, &deliveries).await?;
            Ok(if is_new { deliveries.iter().map(|delivery| delivery.events.len()).sum() } else { 0 })
        });
        let mut records = stream::iter(records).buffer_unordered(CONCURRENT_READS);
        let (mut recorded, mut failure) = (0, None);
        while let Some(result) = records.next().await {
            match result {
                Ok(count) => recorded += count,
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(recorded), Err)
    }

    /// Returns the events that each fleet was entitled to when they were received, as enrichment delivers them.
    async fn entitled_fleets(&self, events: &[&Event]) -> Result<BTreeMap<FleetId, EventsByHolders>, PortError> {
        let packages = self.entitlements.packages().await?;
        let vids: BTreeSet<VehicleId> = events.iter().map(|event| event.vid.clone()).collect();
        let entitlements = self.entitlements.list_by_vehicles(vids).await;
        let mut by_fleet: BTreeMap<FleetId, EventsByHolders> = BTreeMap::new();
        for event in events {
            let Some(entitled) = entitlements.get(&event.vid) else { continue };
            for entitlement in entitled.as_ref().map_err(Clone::clone)? {
                // A grant that has ended since covered the event when it arrived.
                for held_by in redact(entitlement, std::slice::from_ref(*event), &packages, event.received).into_keys() {
                    let of_fleet = by_fleet.entry(entitlement.fleet_id.clone()).or_default();
                    of_fleet.entry(held_by).or_default().push((event.vid.clone(), event.eid));
                }
            }
        }
        Ok(by_fleet)
    }
}

/// Events by the suspended subscriptions that hold them back.
type EventsByHolders = BTreeMap<Holders, Vec<(VehicleId, Eid)>>;

/// Returns the deliveries of a fleet, in parts that are recorded together.
fn parts(fleet_id: &FleetId, by_holders: EventsByHolders, digest: u128) -> Vec<(RestoredPart, Vec<Delivery>)> {
    let mut deliveries = Vec::new();
    for (held_by, events) in by_holders {
        let delivery = |events: &[(VehicleId, Eid)]| Delivery {
            fleet_id: fleet_id.clone(),
            events: events.to_vec(),
            held_by: held_by.clone(),
        };
        deliveries.extend(events.chunks(EVENTS_PER_POINTER).map(delivery));
    }
    let parts = deliveries.chunks(DELIVERIES_PER_PART).zip(0_u128..);
    let part = |n: u128| RestoredPart { fleet_id: fleet_id.clone(), digest: digest.wrapping_add(n) };
    parts.map(|(deliveries, n)| (part(n), deliveries.to_vec())).collect()
}

/// Returns a digest of events, by which a repetition is recognized.
pub(crate) fn digest_of<'e>(events: impl Iterator<Item = (&'e VehicleId, Eid)>) -> u128 {
    let mut hash = Sha256::new();
    for (vid, eid) in events {
        hash.update(vid.as_str());
        hash.update(eid.to_string());
    }
    hash.finalize().iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_of_a_fleet_are_split_into_bounded_parts() {
        let fleet_id = FleetId::from_random_bits(1);
        let event = |n: u128| {
            (VehicleId::from_random_bits(n / 1000), Eid::from_time_and_salt(roadcast_domain::Timestamp::from_ms(0), n))
        };
        let count = DELIVERIES_PER_PART * EVENTS_PER_POINTER + 1;
        let events: Vec<_> = (0..).map(event).take(count).collect();
        let parts = parts(&fleet_id, BTreeMap::from([(Holders::None, events.clone())]), u128::MAX);
        assert_eq!(parts.iter().map(|(part, _)| part.digest).collect::<Vec<_>>(), [u128::MAX, 0]);
        assert_eq!(parts.iter().map(|(_, deliveries)| deliveries.len()).collect::<Vec<_>>(), [DELIVERIES_PER_PART, 1]);
        let all: Vec<_> = parts.into_iter().flat_map(|(_, deliveries)| deliveries).flat_map(|found| found.events).collect();
        assert_eq!(all, events);
    }

    #[test]
    fn digest_depends_on_every_event() {
        let vids = [1, 2].map(VehicleId::from_random_bits);
        let eid = |n| Eid::from_time_and_salt(roadcast_domain::Timestamp::from_ms(0), n);
        let digests = [
            digest_of([].into_iter()),
            digest_of([(&vids[0], eid(1))].into_iter()),
            digest_of([(&vids[1], eid(1))].into_iter()),
            digest_of([(&vids[0], eid(1)), (&vids[0], eid(2))].into_iter()),
        ];
        assert_eq!(BTreeSet::from(digests).len(), digests.len());
    }
}
