//! Enrichment: redacts events for each entitled fleet and publishes them to the fleets' queues.
//!
//! Data that only a suspended subscription covers is also published, and retained in the queue until the subscription
//! resumes. It is published in separate messages, because the queue would redeliver a partly retained message with its
//! visible part again and again. See `docs/decisions/0018-suspended-subscriptions.md`.

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
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::feed::{Delivery, FeedIndex};
use roadcast_ports::port_set::PortSet;

use crate::cache::{CachedEntitlements, CachedFleets};
use crate::entry_packing::pack;

/// Delivers events to the entitled fleets.
pub struct Enrichment<Ports: PortSet> {
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The fleets, which name their delivery buses.
    pub fleets: CachedFleets<Ports>,
    /// The delivery buses.
    pub bus: Ports::DeliveryBus,
    /// The index of delivered events.
    pub index: Ports::FeedIndex,
    /// The clock.
    pub clock: Ports::Clock,
}

/// The counts of an entry.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrichmentCounts {
    /// Events received.
    pub events_received: usize,
    /// Events delivered; an event counts once per fleet.
    pub events_delivered: usize,
    /// Entries published to delivery buses.
    pub entries_published: usize,
}

/// Why an entry must be retried. After its retries, the bus moves it to the dead-letter queue.
#[derive(Debug, thiserror::Error)]
pub enum EnrichmentError {
    /// An event is not readable; the other events of the entry were delivered.
    #[error("an event on the ingest bus is not readable")]
    Unreadable(#[from] bus_entry::DecodeError),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A fleet is entitled, but does not exist.
    #[error("fleet {0} is entitled but does not exist")]
    FleetUnknown(FleetId),
}

/// A fleet, and whether the events are retained until a suspended subscription resumes.
type Destination = (FleetId, bool);

/// A CloudEvent redacted for a fleet, and the events in it.
struct RedactedEvent {
    events: Vec<(VehicleId, Eid)>,
    json: String,
}

impl<Ports: PortSet> Enrichment<Ports> {
    /// Delivers as many events of an ingest bus entry as possible. On failure, the caller must retry the entire entry;
    /// consumers deduplicate the repeated events by `id`.
    pub async fn deliver(&self, cloud_events: &[&str]) -> Result<EnrichmentCounts, EnrichmentError> {
        let mut counts = EnrichmentCounts::default();
        let mut first_error = None;
        let redacted = self.redact_by_fleet(cloud_events, &mut counts, &mut first_error).await?;
        for ((fleet_id, _), events) in redacted {
            let Some(fleet) = self.fleets.get(&fleet_id).await? else {
                first_error.get_or_insert(EnrichmentError::FleetUnknown(fleet_id));
                continue;
            };
            let groups = pack(events, |event| event.json.len());
            let entries: Vec<FleetBatch> = groups
                .iter()
                .map(|group| FleetBatch {
                    fleet_id: fleet_id.clone(),
                    bus: fleet.delivery_bus.clone(),
                    events: group.iter().map(|event| event.json.clone()).collect(),
                })
                .collect();
            let mut deliveries = Vec::with_capacity(groups.len());
            for (group, published) in groups.iter().zip(self.bus.publish(&entries).await) {
                match published {
                    Ok(()) => {
                        counts.entries_published += 1;
                        let events: Vec<_> = group.iter().flat_map(|event| event.events.iter().cloned()).collect();
                        counts.events_delivered += events.len();
                        deliveries.push(Delivery { fleet_id: fleet_id.clone(), events });
                    }
                    Err(error) => {
                        first_error.get_or_insert(EnrichmentError::Port(error));
                    }
                }
            }
            self.index.record(&deliveries).await?;
        }
        first_error.map_or(Ok(counts), Err)
    }

    /// Returns the events redacted for each entitled fleet, in order; visible and retained events separately.
    async fn redact_by_fleet(
        &self,
        cloud_events: &[&str],
        counts: &mut EnrichmentCounts,
        first_error: &mut Option<EnrichmentError>,
    ) -> Result<BTreeMap<Destination, Vec<RedactedEvent>>, EnrichmentError> {
        let packages = self.entitlements.packages().await?;
        let mut decoded: Vec<Vec<Event>> = Vec::with_capacity(cloud_events.len());
        for json in cloud_events {
            match bus_entry::decode(json) {
                Ok(entry) => decoded.push(entry.events),
                Err(unreadable) => {
                    first_error.get_or_insert(unreadable.into());
                }
            }
        }
        let vids = decoded.iter().filter_map(|events| events.first()).map(|event| event.vid.clone()).collect();
        let mut entitlements: BTreeMap<VehicleId, Vec<Entitlement>> = BTreeMap::new();
        for (vid, of_vehicle) in self.entitlements.list_by_vehicles(vids).await {
            entitlements.insert(vid, of_vehicle?);
        }
        let mut by_fleet: BTreeMap<Destination, Vec<RedactedEvent>> = BTreeMap::new();
        for events in decoded {
            counts.events_received += events.len();
            let Some(vid) = events.first().map(|event| &event.vid) else { continue };
            let now = self.clock.now();
            for entitlement in entitlements.get(vid).into_iter().flatten() {
                let format = entitlement.delivery_format(now);
                let (visible, retained) = redact(entitlement, &events, &packages, now);
                for (redacted, is_retained) in [(visible, false), (retained, true)] {
                    let encoded = bus_entry::encode(&redacted.iter().collect::<Vec<_>>(), format, Some(entitlement.epoch));
                    for bus_entry::EncodedEntry { json, indices } in encoded.map_err(bus_entry::DecodeError::from)? {
                        let events = indices.iter().map(|index| (vid.clone(), redacted[*index].eid)).collect();
                        let destination = (entitlement.fleet_id.clone(), is_retained);
                        by_fleet.entry(destination).or_default().push(RedactedEvent { events, json });
                    }
                }
            }
        }
        Ok(by_fleet)
    }
}

/// Returns the events as the fleet may see them now, and the events of which more is retained than is visible, as they are
/// retained. An event may be in both lists: its visible part is delivered now, and the retained event once the subscription
/// resumes.
fn redact(entitlement: &Entitlement, events: &[Event], packages: &Packages, now: Timestamp) -> (Vec<Event>, Vec<Event>) {
    let (mut visible, mut retained) = (Vec::new(), Vec::new());
    for event in events {
        let redacted = entitlement.redact(event, packages, now);
        let full = entitlement.redact_retained(event, packages, now);
        retained.extend(full.filter(|full| redacted.as_ref() != Some(full)));
        visible.extend(redacted);
    }
    (visible, retained)
}

#[cfg(test)]
mod tests {
    use roadcast_domain::subscription::DeliveryFormat;
    use roadcast_testbed::{InFlight, ManualClock, Memory, fixtures, port_set};

    use super::*;

    port_set! {
        enum CountedPorts {
            Entitlements = InFlight<Memory>;
        }
    }

    #[tokio::test]
    async fn entitlements_of_an_entry_are_read_concurrently() {
        let (memory, clock) = (Memory::default(), ManualClock::default());
        let entitlements = InFlight::new(memory.clone());
        let enrichment = Enrichment::<CountedPorts> {
            entitlements: CachedEntitlements::new(entitlements.clone(), clock.clone()),
            fleets: CachedFleets::new(memory.clone(), clock.clone()),
            bus: memory.clone(),
            index: memory,
            clock,
        };
        let encode = |event: &Event| bus_entry::encode(&[event], DeliveryFormat::Blocks, None).unwrap().remove(0).json;
        let entry: Vec<String> = (0..100).map(|n| encode(&fixtures::diagnostic_event(n, 0).event)).collect();
        let cloud_events: Vec<&str> = entry.iter().map(String::as_str).collect();
        assert_eq!(enrichment.deliver(&cloud_events).await.unwrap().events_received, 100);
        // Two calls read the version and the packages.
        assert_eq!((entitlements.calls(), entitlements.max_in_flight()), (102, 16));
    }
}
