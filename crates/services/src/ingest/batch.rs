//! A partner's batch over many vehicles: each event is accepted or refused on its own.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::vehicles::Vehicles;

use super::sender::Sender;
use super::{AcceptedEvent, EventError, Ingest, IngestError, ValidatedEvent, record_of, split};

/// A partner's batch: each event by itself, in the batch's order.
#[derive(Debug)]
pub struct BatchReceipt {
    /// What became of each event: its id and source where they could be read, and the outcome.
    pub events: Vec<BatchEvent>,
}

/// What became of one event of a partner's batch.
#[derive(Debug)]
pub struct BatchEvent {
    /// Its id with its sender, where it could be read.
    pub id: Option<String>,
    /// Its sender, where it could be read.
    pub source: Option<String>,
    /// The outcome.
    pub outcome: Result<AcceptedEvent, EventError>,
}

impl<V: Vehicles, C: Clients, S: TelemetryStream, H: Schemas, K: Clock> Ingest<V, C, S, H, K> {
    /// Takes a partner's batch over many vehicles, each event by itself. Each vehicle's events become one record.
    pub async fn batch(&self, caller: &Caller, body: &str) -> Result<BatchReceipt, IngestError> {
        let events = split(body)?;
        let sender = self.sender(caller).await?;
        let received = self.clock.now();

        let mut receipt = Vec::with_capacity(events.len());
        let mut by_vehicle: BTreeMap<VehicleId, Vec<(usize, String)>> = BTreeMap::new();
        let mut known: BTreeMap<String, Option<Vehicle>> = BTreeMap::new();
        for (place, raw) in events.into_iter().enumerate() {
            let envelope = Envelope::read(raw);
            let (id, source) = envelope.as_ref().map_or((None, None), |e| (Some(e.id.clone()), Some(e.source.clone())));
            let outcome = match envelope {
                Err(refusal) => Err(EventError::Refused(refusal)),
                Ok(envelope) => self.validate_addressed(&envelope, &sender, received, &mut known).await,
            };
            let outcome = outcome.map(|(vid, validated)| {
                by_vehicle.entry(vid).or_default().push((place, validated.json.clone()));
                validated.into_accepted()
            });
            receipt.push(BatchEvent { id, source, outcome });
        }

        let records: Vec<StreamRecord> =
            by_vehicle.iter().map(|(vid, events)| record_of(vid, events.iter().map(|(_, json)| json.as_str()))).collect();
        for (outcome, events) in self.stream.put(&records).await.into_iter().zip(by_vehicle.values()) {
            if let Err(error) = outcome {
                for (place, _) in events {
                    receipt[*place].outcome = Err(EventError::Port(PortError::new(error.kind(), "put onto the stream")));
                }
            }
        }
        Ok(BatchReceipt { events: receipt })
    }

    /// Judges an event that names its vehicle itself.
    async fn validate_addressed(
        &self,
        envelope: &Envelope<'_>,
        sender: &Sender,
        received: Timestamp,
        known: &mut BTreeMap<String, Option<Vehicle>>,
    ) -> Result<(VehicleId, ValidatedEvent), EventError> {
        let Some(subject) = &envelope.subject else {
            return Err(Refusal::new(
                Reason::VehicleUnknown,
                "/subject",
                "name the vehicle: its vid, vin:… or scheme:value",
            )
            .into());
        };
        if !known.contains_key(subject) {
            let vehicle = match Subject::parse(subject) {
                None => None,
                Some(subject) => self.vehicles.named(&subject).await?,
            };
            let vehicle = vehicle.filter(|vehicle| vehicle.retired_at.is_none() && sender.may_send_about(vehicle));
            known.insert(subject.clone(), vehicle);
        }
        let Some(Some(vehicle)) = known.get(subject) else {
            return Err(Refusal::new(Reason::VehicleUnknown, "/subject", "no such vehicle").into());
        };
        let validated = self.validate(envelope, &vehicle.vid, sender, received).await?;
        if validated.intake.accepted.is_none() {
            return Err(EventError::NothingUsable(Box::new(validated.intake)));
        }
        Ok((vehicle.vid.clone(), validated))
    }
}
