//! An upload about one vehicle: either all of its events are accepted or none.

use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::stream::TelemetryStream;
use serde_json::value::RawValue;

use super::identities::Identities;
use super::{AcceptedEvent, EventError, Ingest, IngestError, UploadBudget, ValidatedEvent, split, stream_record_for};
use crate::authz::Sender;

impl<Ports: PortSet> Ingest<Ports> {
    /// Accepts an upload about one vehicle, all or nothing, and puts it onto the stream as one record.
    pub async fn upload(&self, sender: &Sender, vid: &VehicleId, body: &str) -> Result<Vec<AcceptedEvent>, IngestError> {
        let events = split(body)?;
        let vehicle = self.vehicles.get(vid).await?.filter(|vehicle| sender.owns(vehicle));
        let vehicle = vehicle.ok_or(IngestError::VehicleNotFound)?;
        if vehicle.retired_at.is_some() {
            return Err(IngestError::VehicleRetired);
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let received = self.clock.now();

        let mut validated = Vec::with_capacity(events.len());
        let mut refused = Vec::new();
        let mut identities = Identities::default();
        let mut budget = UploadBudget::new();
        for (index, raw) in events.into_iter().enumerate() {
            let event = self.validate_for_vehicle(raw, &vehicle, sender, received, &mut budget).await;
            match event.and_then(|event| identities.add(event.receipt.eid, raw).map(|()| event)) {
                Ok(event) => validated.push(event),
                // A failed port fails the upload; it is not a fault of the event.
                Err(EventError::Port(error)) => return Err(error.into()),
                Err(error) => refused.push((index, error)),
            }
        }
        if !refused.is_empty() {
            return Err(IngestError::Events(refused));
        }
        if !validated.iter().any(|event| event.is_usable) {
            return Err(IngestError::NoUsableSample(
                validated.into_iter().map(|event| event.receipt.removed).enumerate().collect(),
            ));
        }
        let record = stream_record_for(vid, validated.iter().map(|event| event.json.as_str()));
        for outcome in self.stream.put(&[record]).await {
            outcome?;
        }
        Ok(validated.into_iter().map(|event| event.receipt).collect())
    }

    /// Validates an event of an upload about `vehicle`. If the event has a subject, it must name that vehicle.
    async fn validate_for_vehicle(
        &self,
        raw: &RawValue,
        vehicle: &Vehicle,
        sender: &Sender,
        received: Timestamp,
        budget: &mut UploadBudget,
    ) -> Result<ValidatedEvent, EventError> {
        let envelope = Envelope::parse(raw)?;
        if let Some(subject) = &envelope.subject {
            let details = &vehicle.details;
            let names_vehicle = match Subject::parse(subject) {
                Some(Subject::Vid(vid)) => vid == vehicle.vid,
                Some(Subject::Vin(vin)) => details.vin.as_ref() == Some(&vin),
                Some(Subject::External(external)) => details.external_ids.contains(&external),
                None => false,
            };
            if !names_vehicle {
                return Err(
                    Refusal::new(Reason::VehicleUnknown, ["subject"], "must name the vehicle of the request path").into()
                );
            }
        }
        self.validate(&envelope, &vehicle.vid, sender, received, budget).await
    }
}
