//! Enrichment: who is entitled to an event, and to how much of it.
//!
//! What a suspended subscription covers goes into the queue as well, for when it goes on, but in messages of its own: a message
//! of which part is held back would come again and again with the rest. See `docs/decisions/0018-suspended-subscriptions.md`.

use std::collections::BTreeMap;

use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_ports::PortError;
use roadcast_ports::bus::{DeliveryBus, FleetBatch};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{Delivery, FeedIndex};
use roadcast_ports::fleets::Fleets;

use crate::cache::{CachedEntitlements, CachedFleets};
use crate::entry_packing::pack;

/// Cuts events to what each fleet may see, and sends them on.
pub struct Enrichment<E, F, D, I, K> {
    /// Who may see what.
    pub entitlements: CachedEntitlements<E, K>,
    /// Which bus carries whose events.
    pub fleets: CachedFleets<F, K>,
    /// To the fleets' queues.
    pub bus: D,
    /// Pointers to what was delivered.
    pub index: I,
    /// The time.
    pub clock: K,
}

/// What was counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that came.
    pub events_received: usize,
    /// Events sent on, once for each fleet.
    pub events_delivered: usize,
    /// Entries put onto delivery buses.
    pub entries_published: usize,
}

/// Why an entry must come again, or be set aside by the bus after its retries.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// An event that cannot be read; the others of its entry were delivered.
    #[error("an event on the ingest bus cannot be read")]
    Unreadable(#[from] bus_entry::Unreadable),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A fleet is entitled, but is not known.
    #[error("fleet {0} is entitled but not known")]
    FleetUnknown(FleetId),
}

/// A fleet's share, and whether it is held back for now.
type Destination = (FleetId, bool);

/// A CloudEvent with a fleet's share, and the events in it.
struct Share {
    events: Vec<(VehicleId, Eid)>,
    json: String,
}

impl<E: Entitlements, F: Fleets, D: DeliveryBus, I: FeedIndex, K: Clock> Enrichment<E, F, D, I, K> {
    /// Delivers an entry of the ingest bus. Whatever of it can be delivered is; an error means that the whole entry
    /// should come again, which consumers do not notice after removing duplicates by `id`.
    pub async fn entry(&self, cloud_events: &[&str]) -> Result<Counts, EnrichError> {
        let mut counts = Counts::default();
        let mut failed = None;
        let shares = self.shares(cloud_events, &mut counts, &mut failed).await?;
        for ((fleet_id, _), shares) in shares {
            let Some(fleet) = self.fleets.get(&fleet_id).await? else {
                failed.get_or_insert(EnrichError::FleetUnknown(fleet_id));
                continue;
            };
            let runs = pack(shares, |share| share.json.len());
            let entries: Vec<FleetBatch> = runs
                .iter()
                .map(|run| FleetBatch {
                    fleet_id: fleet_id.clone(),
                    bus: fleet.delivery_bus.clone(),
                    events: run.iter().map(|share| share.json.clone()).collect(),
                })
                .collect();
            let mut deliveries = Vec::with_capacity(runs.len());
            for (run, published) in runs.iter().zip(self.bus.publish(&entries).await) {
                match published {
                    Ok(()) => {
                        counts.entries_published += 1;
                        let events: Vec<_> = run.iter().flat_map(|share| share.events.iter().cloned()).collect();
                        counts.events_delivered += events.len();
                        deliveries.push(Delivery { fleet_id: fleet_id.clone(), events });
                    }
                    Err(error) => {
                        failed.get_or_insert(EnrichError::Port(error));
                    }
                }
            }
            self.index.record(&deliveries).await?;
        }
        failed.map_or(Ok(counts), Err)
    }

    /// Each entitled fleet's share of the events, in their order: what it may see, and apart from that what is held back.
    async fn shares(
        &self,
        cloud_events: &[&str],
        counts: &mut Counts,
        failed: &mut Option<EnrichError>,
    ) -> Result<BTreeMap<Destination, Vec<Share>>, EnrichError> {
        let packages = self.entitlements.packages().await?;
        let mut shares: BTreeMap<Destination, Vec<Share>> = BTreeMap::new();
        for json in cloud_events {
            let events = match bus_entry::read(json) {
                Ok(read) => read.events,
                Err(unreadable) => {
                    failed.get_or_insert(unreadable.into());
                    continue;
                }
            };
            counts.events_received += events.len();
            let Some(vid) = events.first().map(|event| &event.vid) else { continue };
            let now = self.clock.now();
            for entitlement in self.entitlements.to_vehicle(vid).await? {
                let format = entitlement.delivery_format(now);
                let (seen, held) = divide(&entitlement, &events, &packages, now);
                for (cut, is_held) in [(seen, false), (held, true)] {
                    let written = bus_entry::write(&cut.iter().collect::<Vec<_>>(), format, Some(entitlement.epoch));
                    for bus_entry::Written { json, places } in written.map_err(bus_entry::Unreadable::from)? {
                        let events = places.iter().map(|place| (vid.clone(), cut[*place].eid)).collect();
                        let destination = (entitlement.fleet_id.clone(), is_held);
                        shares.entry(destination).or_default().push(Share { events, json });
                    }
                }
            }
        }
        Ok(shares)
    }
}

/// The events as the fleet may see them now, and those of which something is held back, with all that is kept for it. An event
/// may be in both: it is delivered in part now, and whole once the subscription goes on.
fn divide(entitlement: &Entitlement, events: &[Event], packages: &Packages, now: Timestamp) -> (Vec<Event>, Vec<Event>) {
    let (mut seen, mut held) = (Vec::new(), Vec::new());
    for event in events {
        let cut = entitlement.redact(event, packages, now);
        held.extend(entitlement.redact_retained(event, packages, now).filter(|kept| cut.as_ref() != Some(kept)));
        seen.extend(cut);
    }
    (seen, held)
}
