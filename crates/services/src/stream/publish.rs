//! Publishing: encodes each vehicle's events as blocks, and packs the vehicles of a fleet into common entries.

use roadcast_codec::bus_entry;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::FleetId;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::bus::{Batch, IngestBus as _};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{BatchOutcome, PendingEvent, Record, StepResult, by_vehicle, first_record};
use super::quarantine::QuarantinedItemBuilder;
use crate::cache::CachedEntitlements;
use crate::entry_packing::pack;

/// Events of one vehicle, encoded together.
struct EncodedEvents {
    /// The first fleet that may see the events, by which they are grouped into entries.
    fleet_id: FleetId,
    events: Vec<PendingEvent>,
    /// The events as one CloudEvent in JSON.
    json: String,
}

/// Publishes events to the ingest bus.
pub struct Publisher<Ports: PortSet> {
    /// Determines whether any fleet is entitled to a vehicle's events.
    pub entitlements: CachedEntitlements<Ports>,
    /// The ingest bus, which leads to enrichment.
    pub bus: Ports::IngestBus,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> Publisher<Ports> {
    /// Publishes the events that some fleet may see now or after its suspended subscription resumes. Drops the events that
    /// could not be published, so that they are not stored. Quarantines the events that the bus rejects permanently.
    pub(super) async fn publish(&self, records: &[Record], pending: Vec<PendingEvent>) -> StepResult {
        let mut outcome = BatchOutcome::default();
        let mut remaining = Vec::with_capacity(pending.len());
        let mut encoded: Vec<EncodedEvents> = Vec::new();
        let vids = pending.iter().map(|event| event.log_entry.event.vid.clone()).collect();
        let mut entitlements = self.entitlements.list_by_vehicles(vids).await;
        for events in by_vehicle(pending.into_iter()) {
            let Some(entitled) = events.first().and_then(|first| entitlements.remove(&first.log_entry.event.vid)) else {
                continue;
            };
            match entitled.map(|all| self.first_fleet(&all)) {
                Err(error) => outcome.fail(first_record(&events), error),
                // No fleet may see the events: they are stored, but not published.
                Ok(None) => remaining.extend(events),
                Ok(Some(fleet_id)) => match encode_events(&fleet_id, events) {
                    Ok(entries) => encoded.extend(entries),
                    Err((record, error)) => outcome.fail(record, error),
                },
            }
        }
        // Vehicles are grouped by fleet, because each entry becomes one entry per fleet in it.
        encoded.sort_by(|a, b| a.fleet_id.cmp(&b.fleet_id));
        let groups = pack(encoded, |encoded| encoded.json.len());
        let entries: Vec<Batch> = groups
            .iter()
            .map(|group| Batch { events: group.iter().map(|encoded| encoded.json.clone()).collect() })
            .collect();
        let results = self.bus.publish(&entries).await;
        let mut quarantined = Vec::new();
        for (group, result) in groups.into_iter().zip(results) {
            let events: Vec<PendingEvent> = group.into_iter().flat_map(|encoded| encoded.events).collect();
            match (result, events.as_slice()) {
                (Ok(()), _) => {
                    outcome.counts.entries_published += 1;
                    remaining.extend(events);
                }
                // Only an event alone in its entry can be too large for the bus.
                (Err(error), [event]) if error.kind() == PortErrorKind::Rejected && event.is_large() => {
                    let builder = QuarantinedItemBuilder { record: &records[event.record] };
                    quarantined.push((event.record, builder.unstorable(&event.log_entry.event, event.index)));
                    outcome.quarantine_causes.push(error);
                }
                (Err(error), events) => outcome.fail(first_record(events), error),
            }
        }
        StepResult { remaining, quarantined, outcome }
    }

    /// Returns the first fleet that may see the vehicle now, or after its suspended subscription resumes.
    fn first_fleet(&self, entitlements: &[Entitlement]) -> Option<FleetId> {
        let now = self.clock.now();
        let mut retained = entitlements.iter().filter(|entitlement| entitlement.is_retained_at(now));
        retained.next().map(|entitlement| entitlement.fleet_id.clone())
    }
}

/// Encodes a vehicle's events as CloudEvents for the ingest bus: always as blocks, regardless of the fleets' delivery
/// formats. The error carries the first record to retry.
fn encode_events(fleet_id: &FleetId, events: Vec<PendingEvent>) -> Result<Vec<EncodedEvents>, (usize, PortError)> {
    let all: Vec<&Event> = events.iter().map(|event| &event.log_entry.event).collect();
    let entries = bus_entry::encode(&all, DeliveryFormat::Blocks, None).map_err(|error| {
        (first_record(&events), PortError::new(PortErrorKind::Rejected, "encode events").caused_by(error))
    })?;
    let mut events: Vec<Option<PendingEvent>> = events.into_iter().map(Some).collect();
    let encoded = |bus_entry::EncodedEntry { json, indices }: bus_entry::EncodedEntry| EncodedEvents {
        fleet_id: fleet_id.clone(),
        events: indices.into_iter().filter_map(|index| events[index].take()).collect(),
        json,
    };
    Ok(entries.into_iter().map(encoded).collect())
}

#[cfg(test)]
mod tests {
    use roadcast_testbed::{InFlight, ManualClock, Memory, fixtures, port_set};

    use super::*;

    port_set! {
        enum CountedPorts {
            Entitlements = InFlight<Memory>;
        }
    }

    #[tokio::test]
    async fn entitlements_of_a_batch_are_read_concurrently() {
        let entitlements = InFlight::new(Memory::default());
        let publisher = Publisher::<CountedPorts> {
            entitlements: CachedEntitlements::new(entitlements.clone(), ManualClock::default()),
            bus: Memory::default(),
            clock: ManualClock::default(),
        };
        let event = |n| PendingEvent { record: 0, index: 0, bytes: 1, log_entry: fixtures::diagnostic_event(n, 0) };
        let step = publisher.publish(&[], (0..100).map(event).collect()).await;
        assert_eq!(step.remaining.len(), 100);
        // One call reads the version.
        assert_eq!((entitlements.calls(), entitlements.max_in_flight()), (101, 16));
    }
}
