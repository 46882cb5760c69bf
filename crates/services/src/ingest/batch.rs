//! A partner's batch about many vehicles: each event is accepted or refused individually.

use std::collections::BTreeMap;

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
use super::{AcceptedEvent, EventError, Ingest, IngestError, ValidatedEvent, split, stream_record_for};
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
        let mut resolved: BTreeMap<String, Option<Vehicle>> = BTreeMap::new();
        let mut identities = Identities::default();
        for (index, raw) in events.into_iter().enumerate() {
            let envelope = Envelope::parse(raw);
            let (id, source) = envelope.as_ref().map_or((None, None), |e| (Some(e.id.clone()), Some(e.source.clone())));
            let outcome = match envelope {
                Err(refusal) => Err(EventError::Refused(refusal)),
                Ok(envelope) => self.validate_by_subject(&envelope, sender, received, &mut resolved).await,
            };
            let outcome = outcome.and_then(|(vid, validated)| {
                identities.add(validated.outcome.eid, raw)?;
                by_vehicle.entry(vid).or_default().push((index, validated.json.clone()));
                Ok(validated.into_accepted())
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

    /// Validates an event whose subject names its vehicle. `resolved` caches the vehicle of each subject of the batch;
    /// `None` if the sender may not send events about it.
    async fn validate_by_subject(
        &self,
        envelope: &Envelope<'_>,
        sender: &Sender,
        received: Timestamp,
        resolved: &mut BTreeMap<String, Option<Vehicle>>,
    ) -> Result<(VehicleId, ValidatedEvent), EventError> {
        let Some(subject) = &envelope.subject else {
            return Err(Refusal::new(
                Reason::VehicleUnknown,
                ["subject"],
                "must name the vehicle: its vid, vin:… or scheme:value",
            )
            .into());
        };
        if !resolved.contains_key(subject) {
            let vehicle = match Subject::parse(subject) {
                None => None,
                Some(subject) => self.vehicles.resolve(&subject).await?,
            };
            let vehicle = vehicle.filter(|vehicle| vehicle.retired_at.is_none() && sender.owns(vehicle));
            resolved.insert(subject.clone(), vehicle);
        }
        let Some(Some(vehicle)) = resolved.get(subject) else {
            return Err(Refusal::vehicle_unknown().into());
        };
        let validated = self.validate(envelope, &vehicle.vid, sender, received).await?;
        if validated.outcome.accepted.is_none() {
            return Err(EventError::NoUsableSample(Box::new(validated.outcome)));
        }
        Ok((vehicle.vid.clone(), validated))
    }
}
