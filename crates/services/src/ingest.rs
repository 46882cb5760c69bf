//! Taking uploads in over HTTP: judged whole, then put onto the stream. A 202 means that the stream holds it.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::fleet::{ClientRole, source_is_bound};
use roadcast_domain::ids::{ClientId, Eid, VehicleId};
use roadcast_domain::intake::{Intake, ParkedSample, RejectedSignal};
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_packing::incoming;
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::vehicles::Vehicles;
use serde_json::value::RawValue;

use crate::cached::{CachedClients, CachedVehicles};
use crate::schemas::CachedSchemas;

/// Takes uploads in.
pub struct Ingest<V, C, S, H, K> {
    /// The register.
    pub vehicles: CachedVehicles<V, K>,
    /// The ingest clients and their sources.
    pub clients: CachedClients<C, K>,
    /// Where uploads go.
    pub stream: S,
    /// What events of custom types must be.
    pub schemas: CachedSchemas<H, K>,
    /// The time.
    pub clock: K,
}

/// Why an upload was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// More bytes than one record may hold.
    #[error("the body exceeds {} bytes", limits::UPLOAD_BYTES)]
    TooLarge,
    /// No such vehicle, as far as the caller may know.
    #[error("no such vehicle")]
    VehicleNotFound,
    /// The vehicle is out of service.
    #[error("the vehicle is retired")]
    VehicleRetired,
    /// The caller does not send events.
    #[error("only ingest clients and admins send events")]
    NotASender,
    /// The body as a whole is not events.
    #[error(transparent)]
    Body(Refusal),
    /// Events that were refused for their envelope, by place in the upload.
    #[error("{} of the upload's events were refused", .0.len())]
    Events(Vec<(usize, EventError)>),
    /// No sample of the upload is usable.
    #[error("no sample of the upload is usable")]
    NothingUsable(Vec<(usize, Intake)>),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why one event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Its envelope is wrong.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its source is not one of the caller's.
    #[error("the source is not one that this client may use")]
    SourceNotYours,
    /// None of its samples is usable.
    #[error("no sample is usable")]
    NothingUsable(Box<Intake>),
    /// It could not be put onto the stream.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An event that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Its id with its sender.
    pub id: String,
    /// Its sender.
    pub source: String,
    /// Its id here.
    pub eid: Eid,
    /// Samples that will be stored.
    pub samples: usize,
    /// Samples that will be quarantined.
    pub parked: Vec<ParkedSample>,
    /// Signals that will be removed.
    pub rejected: Vec<RejectedSignal>,
}

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
    pub outcome: Result<Taken, EventError>,
}

impl<V: Vehicles, C: Clients, S: TelemetryStream, H: Schemas, K: Clock> Ingest<V, C, S, H, K> {
    /// Takes an upload about one vehicle, all or nothing: it becomes one record.
    pub async fn upload(&self, caller: &Caller, vid: &VehicleId, body: &str) -> Result<Vec<Taken>, IngestError> {
        let events = split(body)?;
        let sender = self.sender(caller).await?;
        let vehicle = self.vehicles.get(vid).await?.filter(|vehicle| sender.may_send_about(vehicle));
        let vehicle = vehicle.ok_or(IngestError::VehicleNotFound)?;
        if vehicle.retired_at.is_some() {
            return Err(IngestError::VehicleRetired);
        }
        let received = self.clock.now();

        let mut judged = Vec::with_capacity(events.len());
        let mut refused = Vec::new();
        for (place, event) in events.into_iter().enumerate() {
            match self.judge_about(event, &vehicle, &sender, received).await {
                Ok(event) => judged.push(event),
                // Ours, and not the event's.
                Err(EventError::Port(error)) => return Err(error.into()),
                Err(error) => refused.push((place, error)),
            }
        }
        if !refused.is_empty() {
            return Err(IngestError::Events(refused));
        }
        if judged.iter().all(|event| event.intake.accepted.is_none()) {
            return Err(IngestError::NothingUsable(judged.into_iter().map(|event| event.intake).enumerate().collect()));
        }
        let record = record_of(vid, judged.iter().map(|event| event.json.as_str()));
        for outcome in self.stream.put(&[record]).await {
            outcome?;
        }
        Ok(judged.into_iter().map(Judged::taken).collect())
    }

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
                Ok(envelope) => self.judge_addressed(&envelope, &sender, received, &mut known).await,
            };
            let outcome = outcome.map(|(vid, judged)| {
                by_vehicle.entry(vid).or_default().push((place, judged.json.clone()));
                judged.taken()
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
    async fn judge_addressed(
        &self,
        envelope: &Envelope<'_>,
        sender: &Sender,
        received: Timestamp,
        known: &mut BTreeMap<String, Option<Vehicle>>,
    ) -> Result<(VehicleId, Judged), EventError> {
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
        let judged = self.judge(envelope, &vehicle.vid, sender, received).await?;
        if judged.intake.accepted.is_none() {
            return Err(EventError::NothingUsable(Box::new(judged.intake)));
        }
        Ok((vehicle.vid.clone(), judged))
    }

    /// Judges an event of an upload about `vehicle`: a subject, where there is one, must name that vehicle.
    async fn judge_about(
        &self,
        raw: &RawValue,
        vehicle: &Vehicle,
        sender: &Sender,
        received: Timestamp,
    ) -> Result<Judged, EventError> {
        let envelope = Envelope::read(raw)?;
        if let Some(subject) = &envelope.subject {
            let details = &vehicle.details;
            let same = match Subject::parse(subject) {
                Some(Subject::Vid(vid)) => vid == vehicle.vid,
                Some(Subject::Vin(vin)) => details.vin.as_ref() == Some(&vin),
                Some(Subject::External(external)) => details.external_ids.contains(&external),
                None => false,
            };
            if !same {
                return Err(
                    Refusal::new(Reason::VehicleUnknown, "/subject", "the subject is not the vehicle of the path").into()
                );
            }
        }
        self.judge(&envelope, &vehicle.vid, sender, received).await
    }

    async fn judge(
        &self,
        envelope: &Envelope<'_>,
        vid: &VehicleId,
        sender: &Sender,
        received: Timestamp,
    ) -> Result<Judged, EventError> {
        if !sender.may_use(&envelope.source) {
            return Err(EventError::SourceNotYours);
        }
        let intake = self.schemas.judge(envelope, &incoming::data_of(envelope)?, vid, received).await??;
        let json = envelope
            .to_json_about(vid)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, "", "the event cannot be written as JSON"))?;
        Ok(Judged { id: envelope.id.clone(), source: envelope.source.clone(), json, intake })
    }

    async fn sender(&self, caller: &Caller) -> Result<Sender, IngestError> {
        match caller {
            Caller::Admin(_) => Ok(Sender::Admin),
            Caller::Fleet(_) => Err(IngestError::NotASender),
            Caller::Ingest(client_id) => match self.clients.get(client_id).await?.map(|client| client.role) {
                Some(ClientRole::Ingest { sources }) => Ok(Sender::Client { client_id: client_id.clone(), sources }),
                _ => Err(IngestError::NotASender),
            },
        }
    }
}

/// Who sends, and what it is bound to.
enum Sender {
    Admin,
    Client { client_id: ClientId, sources: Vec<String> },
}

impl Sender {
    fn may_send_about(&self, vehicle: &Vehicle) -> bool {
        match self {
            Self::Admin => true,
            Self::Client { client_id, .. } => vehicle.owner.as_ref() == Some(client_id),
        }
    }

    fn may_use(&self, source: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Client { sources, .. } => source_is_bound(sources, source),
        }
    }
}

struct Judged {
    id: String,
    source: String,
    json: String,
    intake: Intake,
}

impl Judged {
    fn taken(self) -> Taken {
        let samples = self.intake.accepted.as_ref().map_or(0, |stored| stored.event.sample_count());
        Taken {
            id: self.id,
            source: self.source,
            eid: self.intake.eid,
            samples,
            parked: self.intake.parked,
            rejected: self.intake.rejected,
        }
    }
}

fn split(body: &str) -> Result<Vec<&RawValue>, IngestError> {
    if body.len() > limits::UPLOAD_BYTES {
        return Err(IngestError::TooLarge);
    }
    let events = cloudevent::split(body).map_err(IngestError::Body)?;
    if events.is_empty() {
        return Err(IngestError::Body(Refusal::new(Reason::DataInvalid, "", "at least one event")));
    }
    if events.len() > limits::EVENTS_PER_UPLOAD {
        let detail = format!("at most {} events in an upload", limits::EVENTS_PER_UPLOAD);
        return Err(IngestError::Body(Refusal::new(Reason::DataInvalid, "", detail)));
    }
    Ok(events)
}

/// A batch of events in the order they came, packed.
fn record_of<'a>(vid: &VehicleId, events: impl Iterator<Item = &'a str>) -> StreamRecord {
    let mut data = String::from("[");
    for (place, event) in events.enumerate() {
        if place > 0 {
            data.push(',');
        }
        data.push_str(event);
    }
    data.push(']');
    StreamRecord { vid: vid.clone(), data: incoming::compress(&data) }
}
