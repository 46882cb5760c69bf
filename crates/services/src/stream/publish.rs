//! Publishing: encodes each vehicle's events as blocks, and packs the vehicles of a fleet into common entries.

use roadcast_codec::bus_entry;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::bus::{Batch, IngestBus as _};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{PendingEvent, Record, StepResult, by_vehicle, first_record};
use super::quarantine::quarantine_refused;
use crate::cache::CachedEntitlements;
use crate::entry_packing::{entry_share, pack};

/// Events of one vehicle, encoded together.
struct EncodedEvents {
    /// The lane of all of the events.
    lane: Lane,
    /// The first fleet that may see the events, by which they are grouped into entries.
    fleet_id: FleetId,
    events: Vec<PendingEvent>,
    /// The events as one CloudEvent in JSON.
    json: String,
}

impl EncodedEvents {
    /// Returns the bytes that the events take of an entry.
    fn entry_share(&self) -> usize {
        let decoded = self.events.iter().map(|event| event.log_entry.event.memory_bytes());
        entry_share(&self.json, decoded.sum())
    }
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
    /// could not be published, so that they are not stored. Quarantines the events that the bus refuses because of their data.
    pub(super) async fn publish(&self, records: &[Record], pending: Vec<PendingEvent>) -> StepResult {
        let mut step = StepResult::default();
        let mut encoded: Vec<EncodedEvents> = Vec::new();
        let vids = pending.chunk_by(|a, b| a.vid() == b.vid()).map(|events| events[0].vid().clone()).collect();
        let mut entitlements = self.entitlements.list_by_vehicles(vids).await;
        for events in by_vehicle(pending) {
            let Some(entitled) = events.first().and_then(|first| entitlements.remove(&first.log_entry.event.vid)) else {
                continue;
            };
            match entitled.map(|all| self.first_fleet(&all)) {
                Err(error) => step.outcome.fail(first_record(&events), error),
                // No fleet may see the events: they are stored, but not published.
                Ok(None) => step.remaining.extend(events),
                Ok(Some(fleet_id)) => encoded.extend(encode_events(&fleet_id, events, records, &mut step)),
            }
        }
        // Vehicles are grouped by fleet, because each entry becomes one entry per fleet in it.
        encoded.sort_by(|a, b| (a.lane, &a.fleet_id).cmp(&(b.lane, &b.fleet_id)));
        let mut groups = Vec::new();
        for lane in Lane::ALL {
            let of_lane = encoded.extract_if(.., |events| events.lane == lane);
            groups.extend(pack(of_lane, EncodedEvents::entry_share));
        }
        while !groups.is_empty() {
            groups = self.publish_groups(records, groups, &mut step).await;
        }
        step
    }

    /// Publishes each group as one entry. Returns the halves of the groups that the bus refuses because of their data, until
    /// the events that cause it are alone. Each round halves the groups, so there are few rounds.
    async fn publish_groups(
        &self,
        records: &[Record],
        groups: Vec<Vec<EncodedEvents>>,
        step: &mut StepResult,
    ) -> Vec<Vec<EncodedEvents>> {
        let entries: Vec<Batch> = groups.iter().map(|group| entry(group)).collect();
        let results = self.bus.publish(&entries).await;
        let mut refused = Vec::new();
        for (mut group, result) in groups.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    step.outcome.counts.entries_published += 1;
                    step.remaining.extend(group.into_iter().flat_map(|encoded| encoded.events));
                }
                Err(error) if error.kind() == PortErrorKind::Rejected => {
                    let later = group.split_off(group.len() / 2);
                    if !group.is_empty() {
                        refused.extend([group, later]);
                        continue;
                    }
                    for EncodedEvents { fleet_id, mut events, .. } in later {
                        let later = events.split_off(events.len() / 2);
                        if events.is_empty() {
                            for event in &later {
                                quarantine_refused(step, records, event, error.clone());
                            }
                            continue;
                        }
                        refused.extend([events, later].map(|half| encode_events(&fleet_id, half, records, step)));
                    }
                }
                Err(error) => {
                    let events = group.iter().flat_map(|encoded| &encoded.events);
                    step.outcome.fail(first_record(events), error);
                }
            }
        }
        // Events that cannot be encoded are quarantined, so that a half may be empty.
        refused.retain(|group| !group.is_empty());
        refused
    }

    /// Returns the first fleet that may see the vehicle now, or after its suspended subscription resumes.
    fn first_fleet(&self, entitlements: &[Entitlement]) -> Option<FleetId> {
        let now = self.clock.now();
        let mut retained = entitlements.iter().filter(|entitlement| entitlement.is_retained_at(now));
        retained.next().map(|entitlement| entitlement.fleet_id.clone())
    }
}

/// Returns the entry of a group, which is not empty and has one lane.
fn entry(group: &[EncodedEvents]) -> Batch {
    let lane = group.first().map_or(Lane::Telemetry, |events| events.lane);
    Batch { lane, for_notices: false, events: group.iter().map(|events| events.json.clone()).collect() }
}

/// Encodes a vehicle's events as CloudEvents for the ingest bus: always as blocks, regardless of the fleets' delivery
/// formats. Quarantines an event that cannot be encoded.
fn encode_events(
    fleet_id: &FleetId,
    events: Vec<PendingEvent>,
    records: &[Record],
    step: &mut StepResult,
) -> Vec<EncodedEvents> {
    let mut encoded = Vec::new();
    let mut events = events;
    for lane in Lane::ALL {
        let of_lane = events.extract_if(.., |event| Lane::of(&event.log_entry.event.event_type()) == lane).collect();
        encoded.extend(encode_lane(fleet_id, lane, of_lane, records, step));
    }
    encoded
}

/// Encodes a vehicle's events of one lane.
fn encode_lane(
    fleet_id: &FleetId,
    lane: Lane,
    events: Vec<PendingEvent>,
    records: &[Record],
    step: &mut StepResult,
) -> Vec<EncodedEvents> {
    let all: Vec<&Event> = events.iter().map(|event| &event.log_entry.event).collect();
    match bus_entry::encode(&all, DeliveryFormat::Blocks, None) {
        Ok(entries) => {
            let mut events: Vec<Option<PendingEvent>> = events.into_iter().map(Some).collect();
            let encoded = |bus_entry::EncodedEntry { json, indices }: bus_entry::EncodedEntry| EncodedEvents {
                lane,
                fleet_id: fleet_id.clone(),
                events: indices.into_iter().filter_map(|index| events[index].take()).collect(),
                json,
            };
            entries.into_iter().map(encoded).collect()
        }
        Err(_) if events.len() > 1 => {
            events.into_iter().flat_map(|event| encode_lane(fleet_id, lane, vec![event], records, step)).collect()
        }
        Err(error) => {
            let error = PortError::new(PortErrorKind::Rejected, "encode an event").caused_by(error);
            for event in &events {
                quarantine_refused(step, records, event, error.clone());
            }
            Vec::new()
        }
    }
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
        let event =
            |n| PendingEvent { record: 0, index: 0, is_exclusive: true, log_entry: fixtures::diagnostic_event(n, 0) };
        let step = publisher.publish(&[], (0..100).map(event).collect()).await;
        assert_eq!(step.remaining.len(), 100);
        // One call reads the version.
        assert_eq!((entitlements.calls(), entitlements.max_in_flight()), (101, 16));
    }
}
