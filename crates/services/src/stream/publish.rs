//! Publishing: a vehicle's events in blocks, a fleet's vehicles together.

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

use super::processor::{BatchOutcome, Pending, Record, StreamProcessor, by_vehicle, first_record};
use super::quarantine::RecordQuarantine;
use crate::entry_packing::pack;

impl<A, Q, V, E: Entitlements, B: IngestBus, S, L, H, K: Clock> StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// Publishes what some fleet may see or is to be kept for one; drops what could not be published, so that it is not stored.
    /// Answers what the bus
    /// refuses for good.
    pub(super) async fn publish(
        &self,
        records: &[Record],
        pending: &mut Vec<Pending>,
        outcome: &mut BatchOutcome,
    ) -> Vec<(usize, QuarantinedItem)> {
        let mut left = Vec::with_capacity(pending.len());
        let mut units: Vec<(Option<FleetId>, Vec<Pending>, String)> = Vec::new();
        for events in by_vehicle(pending.drain(..)) {
            let Some(first) = events.first() else { continue };
            let entitled = self.entitlements.to_vehicle(&first.stored.event.vid).await;
            match entitled.map(|all| self.first_fleet(&all)) {
                Err(error) => outcome.fail(first_record(&events), error),
                // Nobody may see it: it is stored, but stays off the buses.
                Ok(None) => left.extend(events),
                Ok(fleet_id) => match write_units(events) {
                    Ok(written) => units.extend(written.into_iter().map(|(events, json)| (fleet_id.clone(), events, json))),
                    Err((record, error)) => outcome.fail(record, error),
                },
            }
        }
        // A fleet's vehicles together: each entry becomes an entry for every fleet in it.
        units.sort_by(|a, b| a.0.cmp(&b.0));
        let runs = pack(units, |(_, _, json)| json.len());
        let entries: Vec<Batch> =
            runs.iter().map(|run| Batch { events: run.iter().map(|(_, _, json)| json.clone()).collect() }).collect();
        let results = self.bus.publish(&entries).await;
        let mut unpublishable = Vec::new();
        for (run, result) in runs.into_iter().zip(results) {
            let events: Vec<Pending> = run.into_iter().flat_map(|(_, events, _)| events).collect();
            match (result, events.as_slice()) {
                (Ok(()), _) => {
                    outcome.counts.entries_published += 1;
                    left.extend(events);
                }
                // Only an event that stands alone can be too large for the bus.
                (Err(error), [event]) if error.kind() == PortErrorKind::Rejected && event.is_large() => {
                    let aside = RecordQuarantine { record: &records[event.record] };
                    unpublishable.push((event.record, aside.unstorable(&event.stored.event, event.place)));
                    outcome.failures.push(error);
                }
                (Err(error), events) => outcome.fail(first_record(events), error),
            }
        }
        *pending = left;
        unpublishable
    }

    /// The first fleet that may see the vehicle now, or will once its subscription goes on.
    fn first_fleet(&self, entitlements: &[Entitlement]) -> Option<FleetId> {
        let now = self.clock.now();
        let mut kept_for = entitlements.iter().filter(|entitlement| entitlement.is_retained_at(now));
        kept_for.next().map(|entitlement| entitlement.fleet_id.clone())
    }
}

/// A vehicle's events as the CloudEvents that carry them over the ingest bus: in blocks, whatever form fleets want.
#[allow(clippy::type_complexity)] // the error carries the first record that it keeps back
fn write_units(events: Vec<Pending>) -> Result<Vec<(Vec<Pending>, String)>, (usize, PortError)> {
    let all: Vec<&Event> = events.iter().map(|event| &event.stored.event).collect();
    let written = bus_entry::write(&all, DeliveryFormat::Blocks, None).map_err(|error| {
        (first_record(&events), PortError::new(PortErrorKind::Rejected, "write events").caused_by(error))
    })?;
    let mut events: Vec<Option<Pending>> = events.into_iter().map(Some).collect();
    let unit = |bus_entry::Written { json, places }: bus_entry::Written| {
        (places.into_iter().filter_map(|place| events[place].take()).collect(), json)
    };
    Ok(written.into_iter().map(unit).collect())
}
