//! Ingestion over HTTP: an upload is validated and put onto the stream as records. A 202 means that the stream has stored it.

mod batch;
mod sender;
mod upload;

use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal, ValidationOutcome};
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::vehicles::Vehicles;
use serde_json::value::RawValue;

use crate::cache::{CachedClients, CachedVehicles};
use crate::catalogue::event_schemas::CachedSchemas;
use sender::Sender;

pub use batch::{BatchEvent, BatchReceipt};

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

/// Why an upload was not into_accepted.
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
    NothingUsable(Vec<(usize, ValidationOutcome)>),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why one event was not into_accepted.
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
    NothingUsable(Box<ValidationOutcome>),
    /// It could not be put onto the stream.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An event that was into_accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedEvent {
    /// Its id with its sender.
    pub id: String,
    /// Its sender.
    pub source: String,
    /// Its id here.
    pub eid: Eid,
    /// Samples that will be stored.
    pub samples: usize,
    /// Samples that will be quarantined.
    pub quarantined: Vec<QuarantinedSample>,
    /// Signals that will be removed.
    pub rejected: Vec<RejectedSignal>,
}

impl<V: Vehicles, C: Clients, S: TelemetryStream, H: Schemas, K: Clock> Ingest<V, C, S, H, K> {
    async fn validate(
        &self,
        envelope: &Envelope<'_>,
        vid: &VehicleId,
        sender: &Sender,
        received: Timestamp,
    ) -> Result<ValidatedEvent, EventError> {
        if !sender.may_use(&envelope.source) {
            return Err(EventError::SourceNotYours);
        }
        let intake = self
            .schemas
            .validate(envelope, &stream_record::json_data(envelope, &mut stream_record::record_budget())?, vid, received)
            .await??;
        let json = envelope
            .to_json_about(vid)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, "", "the event cannot be written as JSON"))?;
        Ok(ValidatedEvent { id: envelope.id.clone(), source: envelope.source.clone(), json, intake })
    }
}

struct ValidatedEvent {
    id: String,
    source: String,
    json: String,
    intake: ValidationOutcome,
}

impl ValidatedEvent {
    fn into_accepted(self) -> AcceptedEvent {
        let samples = self.intake.accepted.as_ref().map_or(0, |stored| stored.event.sample_count());
        AcceptedEvent {
            id: self.id,
            source: self.source,
            eid: self.intake.eid,
            samples,
            quarantined: self.intake.quarantined,
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
    StreamRecord { vid: vid.clone(), data: stream_record::compress(&data) }
}
