//! Enrichment: redacts events for each entitled fleet and publishes them to the fleets' queues.
//!
//! An entry of the ingest bus contains events of several fleets. What fails for one fleet or one vehicle does not affect the
//! others: everything else is delivered, and the failures are returned together. See
//! `docs/decisions/0031-failures-of-one-fleet.md`.
//!
//! Data that only a suspended subscription covers is also published, and retained in the queue until the subscription
//! resumes. It is published in separate messages, because the queue would redeliver a partly retained message with its
//! visible part again and again. See `docs/decisions/0018-suspended-subscriptions.md`.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use roadcast_codec::bus_entry::{self, Probe};
use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::{Entitlement, Holders};
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::trace::TraceCandidates;
use roadcast_ports::PortError;
use roadcast_ports::bus::{DeliveryBus, FleetBatch};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::feed::{Delivery, FeedIndex};
use roadcast_ports::port_set::PortSet;

mod progress;

pub use self::progress::EntryProgress;
use self::progress::{PartKey, Stage, split_by_progress};
use crate::CONCURRENT_READS;
use crate::cache::{CachedEntitlements, CachedFleets};

/// Events that are published for a fleet later than this after they were received, in milliseconds, are late: the objective of
/// freshness in `docs/operations/slo.md`.
pub const LATE_MS: i64 = 5 * 60 * 1000;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrichmentCounts {
    /// Events received.
    pub events_received: usize,
    /// Events delivered; an event counts once per fleet.
    pub events_delivered: usize,
    /// Events delivered later than [`LATE_MS`] after they were received.
    pub events_delivered_late: usize,
    /// Entries published to delivery buses.
    pub entries_published: usize,
    /// Of the events that were delivered, those that may be traced.
    pub trace_candidates: TraceCandidates,
}

/// Why a part of an entry was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryFailure {
    /// The packages, which all fleets need, were not read. Nothing was delivered.
    #[error("the packages cannot be read")]
    Packages(#[source] PortError),
    /// An event is not readable.
    #[error("event {index} of the entry is not readable")]
    Unreadable {
        /// The index of the event in the entry.
        index: usize,
        /// The cause.
        source: bus_entry::DecodeError,
    },
    /// The entitlements to vehicles were not read, for the same reason.
    #[error("the entitlements to {} vehicles cannot be read", vids.len())]
    Vehicles {
        /// The vehicles.
        vids: Vec<VehicleId>,
        /// The error of the first one.
        source: PortError,
    },
    /// The events of a vehicle were not encoded for a fleet.
    #[error("events of {vid} cannot be encoded for {fleet_id}")]
    Encoding {
        /// The fleet.
        fleet_id: FleetId,
        /// The vehicle.
        vid: VehicleId,
        /// The cause.
        source: serde_json::Error,
    },
    /// A fleet is entitled, but does not exist.
    #[error("{0} is entitled but does not exist")]
    FleetUnknown(FleetId),
    /// The fleet was not read; nothing was delivered to it.
    #[error("{fleet_id} cannot be read")]
    Fleet {
        /// The fleet.
        fleet_id: FleetId,
        /// The cause.
        source: PortError,
    },
    /// Entries were not published to a fleet.
    #[error("{entries} entries for {fleet_id} cannot be published")]
    Entries {
        /// The fleet.
        fleet_id: FleetId,
        /// The number of entries.
        entries: usize,
        /// The error of the first one.
        source: PortError,
    },
    /// Events were published to a fleet, but are not in the feed index.
    #[error("the deliveries to {fleet_id} cannot be recorded")]
    Index {
        /// The fleet.
        fleet_id: FleetId,
        /// The cause.
        source: PortError,
    },
}

/// Parts of an entry were not delivered, so that the entry must be retried. After its retries, the bus moves it to the
/// dead-letter queue.
#[derive(Debug, thiserror::Error)]
#[error("an entry was delivered in part, with {} failures", failures.len())]
pub struct IncompleteDelivery {
    /// What was delivered.
    pub counts: EnrichmentCounts,
    /// What was not delivered. The caller logs each of them.
    pub failures: Vec<DeliveryFailure>,
}

/// The events of an entry that a fleet receives, each in order.
type FleetEvents = BTreeMap<Holders, Vec<RedactedEvent>>;

/// A CloudEvent redacted for a fleet, and the events in it.
struct RedactedEvent {
    events: Vec<(VehicleId, Eid)>,
    /// When each of them was received.
    received: Vec<Timestamp>,
    /// The type of all of its events.
    event_type: EventType,
    json: String,
    /// The memory of its events when they are decoded.
    decoded_bytes: usize,
}

impl<Ports: PortSet> Enrichment<Ports> {
    /// Delivers as many events of an ingest bus entry as possible. On failure, the caller must retry the entire entry;
    /// consumers deduplicate the repeated events by `id`.
    pub async fn deliver(&self, cloud_events: &[&str]) -> Result<EnrichmentCounts, IncompleteDelivery> {
        self.deliver_rest(cloud_events, &EntryProgress::default()).await
    }

    /// Delivers what earlier attempts with the same progress did not deliver of an entry. Counts only what this attempt delivers.
    pub async fn deliver_rest(
        &self,
        cloud_events: &[&str],
        progress: &EntryProgress,
    ) -> Result<EnrichmentCounts, IncompleteDelivery> {
        let (mut counts, mut failures) = (EnrichmentCounts::default(), Vec::new());
        let (probes, by_vehicle) = decode(cloud_events, &mut failures);
        for (probe, json) in probes {
            failures.extend(self.pass_probe(probe, json).await.err());
        }
        counts.events_received = by_vehicle.iter().map(Vec::len).sum();
        let by_fleet = self.redact_by_fleet(by_vehicle, &mut failures).await;
        // Concurrently: the timeouts of one fleet must not use up the time of the function before the next fleet.
        let deliveries = by_fleet.into_iter().map(|(fleet_id, events)| self.deliver_to(fleet_id, events, progress));
        let mut deliveries = stream::iter(deliveries).buffer_unordered(CONCURRENT_READS);
        while let Some((delivered, failed)) = deliveries.next().await {
            counts.events_delivered += delivered.events_delivered;
            counts.events_delivered_late += delivered.events_delivered_late;
            counts.entries_published += delivered.entries_published;
            counts.trace_candidates.extend(delivered.trace_candidates);
            failures.extend(failed);
        }
        if failures.is_empty() { Ok(counts) } else { Err(IncompleteDelivery { counts, failures }) }
    }

    /// Publishes a probe to its fleet. It is no event: it has no entitlement, is not in the feed index and is not counted.
    async fn pass_probe(&self, probe: Probe, json: &str) -> Result<(), DeliveryFailure> {
        let fleet_id = probe.fleet_id;
        let fleet = self.fleets.get(&fleet_id).await;
        let fleet = fleet.map_err(|source| DeliveryFailure::Fleet { fleet_id: fleet_id.clone(), source })?;
        let fleet = fleet.ok_or_else(|| DeliveryFailure::FleetUnknown(fleet_id.clone()))?;
        let (bus, events) = (fleet.delivery_bus, vec![json.to_owned()]);
        let entry = FleetBatch { fleet_id: fleet_id.clone(), bus, for_webhooks: false, events };
        let published: Result<(), PortError> = self.bus.publish(&[entry]).await.into_iter().collect();
        published.map_err(|source| DeliveryFailure::Entries { fleet_id, entries: 1, source })
    }

    /// Delivers its events to a fleet. Returns what was delivered, and why the rest was not.
    async fn deliver_to(
        &self,
        fleet_id: FleetId,
        events: FleetEvents,
        progress: &EntryProgress,
    ) -> (EnrichmentCounts, Vec<DeliveryFailure>) {
        let mut counts = EnrichmentCounts::default();
        let fleet = match self.fleets.get(&fleet_id).await {
            Ok(Some(fleet)) => fleet,
            Ok(None) => return (counts, vec![DeliveryFailure::FleetUnknown(fleet_id)]),
            Err(source) => return (counts, vec![DeliveryFailure::Fleet { fleet_id, source }]),
        };
        let (published, groups) = split_by_progress(&fleet_id, events, progress);
        let entries: Vec<FleetBatch> = groups
            .iter()
            .map(|group| FleetBatch {
                fleet_id: fleet_id.clone(),
                bus: fleet.delivery_bus.clone(),
                for_webhooks: group.is_wanted(fleet.webhooks.as_ref()),
                events: group.events.iter().map(|event| event.json.clone()).collect(),
            })
            .collect();
        let (mut unrecorded, mut errors) = (published, Vec::new());
        for (group, result) in groups.into_iter().zip(self.bus.publish(&entries).await) {
            match result {
                Ok(()) => {
                    progress.set(&group.parts, Stage::Published);
                    counts.entries_published += 1;
                    counts.events_delivered += group.events.iter().map(|event| event.events.len()).sum::<usize>();
                    let delivered = group.events.iter().flat_map(|event| &event.events);
                    counts.trace_candidates.extend(delivered.map(|(_, eid)| *eid));
                    counts.events_delivered_late += group.received_before(self.clock.now().plus_ms(-LATE_MS));
                    unrecorded.push(group);
                }
                Err(error) => errors.push(error),
            }
        }
        let mut failures = Vec::new();
        let parts: Vec<PartKey> = unrecorded.iter().flat_map(|group| group.parts.iter().copied()).collect();
        let deliveries: Vec<Delivery> = unrecorded.into_iter().map(|group| group.into_delivery(&fleet_id)).collect();
        let recorded = if deliveries.is_empty() { Ok(()) } else { self.index.record(&deliveries).await };
        match recorded {
            Ok(()) => progress.set(&parts, Stage::Recorded),
            Err(source) => failures.push(DeliveryFailure::Index { fleet_id: fleet_id.clone(), source }),
        }
        let entries = errors.len();
        let failed = errors.into_iter().next();
        failures.extend(failed.map(|source| DeliveryFailure::Entries { fleet_id, entries, source }));
        (counts, failures)
    }

    /// Returns the events redacted for each entitled fleet.
    async fn redact_by_fleet(
        &self,
        by_vehicle: Vec<Vec<Event>>,
        failures: &mut Vec<DeliveryFailure>,
    ) -> BTreeMap<FleetId, FleetEvents> {
        let mut by_fleet: BTreeMap<FleetId, FleetEvents> = BTreeMap::new();
        if by_vehicle.is_empty() {
            return by_fleet;
        }
        let packages = match self.entitlements.packages().await {
            Ok(packages) => packages,
            Err(error) => {
                failures.push(DeliveryFailure::Packages(error));
                return by_fleet;
            }
        };
        let vids = by_vehicle.iter().filter_map(|events| events.first()).map(|event| event.vid.clone()).collect();
        let entitlements = self.entitlements_to(vids, failures).await;
        for events in by_vehicle {
            let Some(vid) = events.first().map(|event| &event.vid) else { continue };
            let now = self.clock.now();
            for entitlement in entitlements.get(vid).into_iter().flatten() {
                let redacted = redact(entitlement, &events, &packages, now).into_iter();
                let encoded = redacted.map(|(held_by, events)| Ok((held_by, encode(entitlement, &events, now)?)));
                match encoded.collect::<serde_json::Result<Vec<_>>>() {
                    Ok(encoded) => {
                        for (held_by, events) in encoded {
                            let of_fleet = by_fleet.entry(entitlement.fleet_id.clone()).or_default();
                            of_fleet.entry(held_by).or_default().extend(events);
                        }
                    }
                    Err(source) => {
                        let (fleet_id, vid) = (entitlement.fleet_id.clone(), vid.clone());
                        failures.push(DeliveryFailure::Encoding { fleet_id, vid, source });
                    }
                }
            }
        }
        by_fleet
    }

    /// Returns the entitlements to those vehicles of which they can be read.
    async fn entitlements_to(
        &self,
        vids: BTreeSet<VehicleId>,
        failures: &mut Vec<DeliveryFailure>,
    ) -> BTreeMap<VehicleId, Vec<Entitlement>> {
        let mut entitlements = BTreeMap::new();
        // If a store is down, one failure for all vehicles is enough.
        let mut failed: BTreeMap<String, (Vec<VehicleId>, PortError)> = BTreeMap::new();
        for (vid, of_vehicle) in self.entitlements.list_by_vehicles(vids).await {
            match of_vehicle {
                Ok(of_vehicle) => {
                    entitlements.insert(vid, of_vehicle);
                }
                Err(error) => failed.entry(error.to_string()).or_insert_with(|| (Vec::new(), error)).0.push(vid),
            }
        }
        failures.extend(failed.into_values().map(|(vids, source)| DeliveryFailure::Vehicles { vids, source }));
        entitlements
    }
}

/// Returns the probes, and the events of each other CloudEvent, all of one vehicle, without those that are not readable.
fn decode<'e>(cloud_events: &[&'e str], failures: &mut Vec<DeliveryFailure>) -> (Vec<(Probe, &'e str)>, Vec<Vec<Event>>) {
    let (mut probes, mut decoded) = (Vec::new(), Vec::with_capacity(cloud_events.len()));
    for (index, &json) in cloud_events.iter().enumerate() {
        if let Some(probe) = Probe::decode(json) {
            probes.push((probe, json));
            continue;
        }
        match bus_entry::decode(json) {
            Ok(entry) => decoded.push(entry.events),
            Err(source) => failures.push(DeliveryFailure::Unreadable { index, source }),
        }
    }
    (probes, decoded)
}

/// Encodes events of one vehicle in the format of the fleet.
fn encode(entitlement: &Entitlement, events: &[Event], now: Timestamp) -> serde_json::Result<Vec<RedactedEvent>> {
    let references: Vec<&Event> = events.iter().collect();
    let encoded = bus_entry::encode(&references, entitlement.delivery_format(now), Some(entitlement.epoch))?;
    let redacted_event = |bus_entry::EncodedEntry { json, indices }| {
        let events = || indices.iter().filter_map(|index| events.get(*index));
        let decoded_bytes = events().map(Event::memory_bytes).sum();
        // Only telemetry events share a CloudEvent.
        let event_type = events().next().map_or(EventType::Telemetry, Event::event_type);
        let ids = events().map(|event| (event.vid.clone(), event.eid)).collect();
        let received = events().map(|event| event.received).collect();
        RedactedEvent { events: ids, received, event_type, json, decoded_bytes }
    };
    Ok(encoded.into_iter().map(redacted_event).collect())
}

/// Returns the events as the fleet may see them now, and the events of which more is retained than is visible, as they are
/// retained, by the subscriptions that hold them back. An event may be in two lists: its visible part is delivered now, and
/// the retained event once a subscription resumes.
pub(super) fn redact(
    entitlement: &Entitlement,
    events: &[Event],
    packages: &Packages,
    now: Timestamp,
) -> BTreeMap<Holders, Vec<Event>> {
    let mut by_holders: BTreeMap<Holders, Vec<Event>> = BTreeMap::new();
    for event in events {
        let visible = entitlement.redact(event, packages, now);
        let retained = entitlement.redact_retained(event, packages, now);
        if let Some(retained) = retained.filter(|retained| visible.as_ref() != Some(retained)) {
            by_holders.entry(entitlement.holders(event, packages, now)).or_default().push(retained);
        }
        if let Some(visible) = visible {
            by_holders.entry(Holders::None).or_default().push(visible);
        }
    }
    by_holders
}

#[cfg(test)]
mod tests;
