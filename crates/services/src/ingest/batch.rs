//! A partner's batch about many vehicles: each event is accepted or refused individually.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

use super::identities::Identities;
use super::{AcceptedEvent, EventError, Ingest, IngestError, UploadBudget, ValidatedEvent, split, stream_record_for};
use crate::CONCURRENT_READS;
use crate::authz::Sender;

/// The results of a batch, in the batch's order.
#[derive(Debug)]
pub struct BatchReceipt {
    /// The result of each event.
    pub events: Vec<BatchEvent>,
}

/// The result of one event of a batch.
#[derive(Debug)]
pub struct BatchEvent {
    /// The sender's `id`; `None` if the envelope is unreadable.
    pub id: Option<String>,
    /// The `source`; `None` if the envelope is unreadable.
    pub source: Option<String>,
    /// The accepted event, or why it was refused.
    pub outcome: Result<AcceptedEvent, EventError>,
}

impl<Ports: PortSet> Ingest<Ports> {
    /// Accepts or refuses each event of a partner's batch individually. The accepted events of a vehicle become one stream
    /// record.
    pub async fn batch(&self, sender: &Sender, body: &str) -> Result<BatchReceipt, IngestError> {
        let events = split(body)?;
        let received = self.clock.now();

        let mut receipt = Vec::with_capacity(events.len());
        let mut by_vehicle: BTreeMap<VehicleId, Vec<(usize, String)>> = BTreeMap::new();
        let envelopes: Vec<_> = events.iter().map(|raw| Envelope::parse(raw)).collect();
        let resolved = self.resolve_subjects(&envelopes, sender).await;
        let mut identities = Identities::default();
        let mut budget = UploadBudget::new();
        for (index, (raw, envelope)) in events.into_iter().zip(envelopes).enumerate() {
            let (id, source) = envelope.as_ref().map_or((None, None), |e| (Some(e.id.clone()), Some(e.source.clone())));
            let outcome = match envelope {
                Err(refusal) => Err(EventError::Refused(refusal)),
                Ok(envelope) => self.validate_by_subject(&envelope, sender, received, &resolved, &mut budget).await,
            };
            let outcome = outcome.and_then(|(vid, validated)| {
                identities.add(validated.receipt.eid, raw)?;
                by_vehicle.entry(vid).or_default().push((index, validated.json));
                Ok(validated.receipt)
            });
            receipt.push(BatchEvent { id, source, outcome });
        }

        let records: Vec<StreamRecord> = by_vehicle
            .iter()
            .map(|(vid, events)| stream_record_for(vid, events.iter().map(|(_, json)| json.as_str())))
            .collect();
        for (outcome, events) in self.stream.put(&records).await.into_iter().zip(by_vehicle.values()) {
            if let Err(error) = outcome {
                for (index, _) in events {
                    receipt[*index].outcome =
                        Err(EventError::Port(PortError::new(error.kind(), "put events onto the stream")));
                }
            }
        }
        Ok(BatchReceipt { events: receipt })
    }

    /// Returns the vehicle of each subject of the batch; `None` if the sender may not send events about it. Reads the
    /// vehicles concurrently.
    async fn resolve_subjects(
        &self,
        envelopes: &[Result<Envelope<'_>, Refusal>],
        sender: &Sender,
    ) -> BTreeMap<String, Result<Option<Vehicle>, PortError>> {
        let subjects = envelopes.iter().flatten().filter_map(|envelope| envelope.subject.clone());
        let distinct: BTreeSet<String> = subjects.collect();
        // Read in advance, otherwise each of the first concurrent look-ups would read the version.
        let vehicles = &self.vehicles.current().await;
        let look_ups = distinct.into_iter().map(|subject| async move {
            let vehicle = match (Subject::parse(&subject), vehicles) {
                (None, _) => Ok(None),
                (Some(subject), Ok(vehicles)) => vehicles.resolve(&subject).await,
                (Some(_), Err(error)) => Err(error.clone()),
            };
            (subject, vehicle)
        });
        let resolved: Vec<_> = stream::iter(look_ups).buffer_unordered(CONCURRENT_READS).collect().await;
        let is_allowed = |vehicle: &Vehicle| vehicle.retired_at.is_none() && sender.owns(vehicle);
        resolved.into_iter().map(|(subject, vehicle)| (subject, vehicle.map(|found| found.filter(is_allowed)))).collect()
    }

    /// Validates an event whose subject names its vehicle. `resolved` contains the result of each subject of the batch.
    async fn validate_by_subject(
        &self,
        envelope: &Envelope<'_>,
        sender: &Sender,
        received: Timestamp,
        resolved: &BTreeMap<String, Result<Option<Vehicle>, PortError>>,
        budget: &mut UploadBudget,
    ) -> Result<(VehicleId, ValidatedEvent), EventError> {
        let Some(subject) = &envelope.subject else {
            return Err(Refusal::new(
                Reason::VehicleUnknown,
                ["subject"],
                "must name the vehicle: its vid, vin:… or scheme:value",
            )
            .into());
        };
        let vehicle = match resolved.get(subject) {
            Some(Ok(Some(vehicle))) => vehicle,
            Some(Err(error)) => return Err(error.clone().into()),
            Some(Ok(None)) | None => return Err(Refusal::vehicle_unknown().into()),
        };
        let validated = self.validate(envelope, &vehicle.vid, sender, received, budget).await?;
        if !validated.is_usable {
            return Err(EventError::NoUsableSample(Box::new(validated.receipt.removed)));
        }
        Ok((vehicle.vid.clone(), validated))
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::caller::Caller;
    use roadcast_domain::ids::ClientId;
    use roadcast_testbed::{InFlight, ManualClock, Memory, port_set};
    use serde_json::json;

    use super::*;
    use crate::authz::Proof as _;
    use crate::cache::CachedVehicles;
    use crate::catalogue::event_schemas::CachedSchemas;

    port_set! {
        enum CountedPorts {
            Vehicles = InFlight<Memory>;
        }
    }

    #[tokio::test]
    async fn vehicles_of_a_batch_are_read_once_and_concurrently() {
        let (memory, clock) = (Memory::default(), ManualClock::default());
        let vehicles = InFlight::new(memory.clone());
        let ingest = Ingest::<CountedPorts> {
            vehicles: CachedVehicles::new(vehicles.clone(), clock.clone()),
            stream: memory.clone(),
            schemas: CachedSchemas::new(memory, clock.clone()),
            clock,
        };
        let event = |n: usize| {
            json!({
                "specversion": "1.0", "id": n.to_string(), "source": "urn:test", "type": "roadcast.telemetry.v1",
                "subject": format!("test:{}", n % 100), "time": "2026-11-21T09:00:00Z", "data": {"samples": []},
            })
        };
        let batch = serde_json::Value::from((0..200).map(event).collect::<Vec<_>>()).to_string();
        let sender = Sender::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
        let receipt = ingest.batch(&sender, &batch).await.unwrap();
        assert_eq!(receipt.events.iter().filter(|event| event.outcome.is_err()).count(), 200);
        // The version, and each name.
        assert_eq!((vehicles.calls(), vehicles.max_in_flight()), (1 + 100, 16));
    }
}
