//! Publishing: encodes each vehicle's events as blocks, and packs the vehicles of a fleet into common entries.

use roadcast_codec::bus_entry;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::FleetId;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::archive::QuarantinedItem;
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{BatchOutcome, PendingEvent, Record, by_vehicle, first_record};
use super::processor::StreamProcessor;
use super::quarantine::RecordQuarantine;
use crate::entry_packing::pack;

impl<A, Q, V, E: Entitlements, B: IngestBus, S, L, H, K: Clock> StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// Publishes the events that some fleet may see now or after its suspended subscription resumes. Drops the events that
    /// could not be published, so that they are not stored. Returns the events that the bus rejects permanently.
    pub(super) async fn publish(
        &self,
        records: &[Record],
        pending: &mut Vec<PendingEvent>,
        outcome: &mut BatchOutcome,
    ) -> Vec<(usize, QuarantinedItem)> {
        let mut remaining = Vec::with_capacity(pending.len());
        let mut units: Vec<(Option<FleetId>, Vec<PendingEvent>, String)> = Vec::new();
        for events in by_vehicle(pending.drain(..)) {
            let Some(first) = events.first() else { continue };
            let entitled = self.entitlements.list_by_vehicle(&first.stored.event.vid).await;
            match entitled.map(|all| self.first_fleet(&all)) {
                Err(error) => outcome.fail(first_record(&events), error),
                // No fleet may see the events: they are stored, but not published.
                Ok(None) => remaining.extend(events),
                Ok(fleet_id) => match encode_units(events) {
                    Ok(encoded) => units.extend(encoded.into_iter().map(|(events, json)| (fleet_id.clone(), events, json))),
                    Err((record, error)) => outcome.fail(record, error),
                },
            }
        }
        // Vehicles are grouped by fleet, because each entry becomes one entry per fleet in it.
        units.sort_by(|a, b| a.0.cmp(&b.0));
        let groups = pack(units, |(_, _, json)| json.len());
        let entries: Vec<Batch> =
            groups.iter().map(|group| Batch { events: group.iter().map(|(_, _, json)| json.clone()).collect() }).collect();
        let results = self.bus.publish(&entries).await;
        let mut unpublishable = Vec::new();
        for (group, result) in groups.into_iter().zip(results) {
            let events: Vec<PendingEvent> = group.into_iter().flat_map(|(_, events, _)| events).collect();
            match (result, events.as_slice()) {
                (Ok(()), _) => {
                    outcome.counts.entries_published += 1;
                    remaining.extend(events);
                }
                // Only an event alone in its entry can be too large for the bus.
                (Err(error), [event]) if error.kind() == PortErrorKind::Rejected && event.is_large() => {
                    let quarantine = RecordQuarantine { record: &records[event.record] };
                    unpublishable.push((event.record, quarantine.unstorable(&event.stored.event, event.index)));
                    outcome.failures.push(error);
                }
                (Err(error), events) => outcome.fail(first_record(events), error),
            }
        }
        *pending = remaining;
        unpublishable
    }

    /// Returns the first fleet that may see the vehicle now, or after its suspended subscription resumes.
    fn first_fleet(&self, entitlements: &[Entitlement]) -> Option<FleetId> {
        let now = self.clock.now();
        let mut retained = entitlements.iter().filter(|entitlement| entitlement.is_retained_at(now));
        retained.next().map(|entitlement| entitlement.fleet_id.clone())
    }
}

/// Encodes a vehicle's events as CloudEvents for the ingest bus: always as blocks, regardless of the fleets' delivery
/// formats.
#[allow(clippy::type_complexity)] // the error carries the first record to retry
fn encode_units(events: Vec<PendingEvent>) -> Result<Vec<(Vec<PendingEvent>, String)>, (usize, PortError)> {
    let all: Vec<&Event> = events.iter().map(|event| &event.stored.event).collect();
    let encoded = bus_entry::encode(&all, DeliveryFormat::Blocks, None).map_err(|error| {
        (first_record(&events), PortError::new(PortErrorKind::Rejected, "encode events").caused_by(error))
    })?;
    let mut events: Vec<Option<PendingEvent>> = events.into_iter().map(Some).collect();
    let unit = |bus_entry::EncodedEntry { json, indices }: bus_entry::EncodedEntry| {
        (indices.into_iter().filter_map(|index| events[index].take()).collect(), json)
    };
    Ok(encoded.into_iter().map(unit).collect())
}
