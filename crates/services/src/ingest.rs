//! Ingestion over HTTP: validates uploads and puts them onto the stream as records. A 202 means that the stream has stored
//! the upload.

mod batch;
mod identities;
mod unknown_signals;
mod upload;

use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal, ValidationOutcome};
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::stream::StreamRecord;
use serde_json::value::RawValue;

use crate::authz::Sender;
use crate::cache::CachedVehicles;
use crate::catalogue::event_schemas::{CachedSchemas, ValidationError};

pub use batch::{BatchEvent, BatchReceipt};
pub use unknown_signals::{UnknownSignal, unknown_signals};

/// Accepts uploads.
pub struct Ingest<Ports: PortSet> {
    /// The registered vehicles.
    pub vehicles: CachedVehicles<Ports>,
    /// The stream that uploads are put onto.
    pub stream: Ports::TelemetryStream,
    /// The schemas of custom event types.
    pub schemas: CachedSchemas<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The body is larger than a stream record may be.
    #[error("the body exceeds {} bytes; split it into several uploads", limits::UPLOAD_BYTES)]
    TooLarge,
    /// The vehicle does not exist, or the caller must not learn that it exists.
    #[error("vehicle not found")]
    VehicleNotFound,
    /// The vehicle is out of service.
    #[error("the vehicle is retired")]
    VehicleRetired,
    /// The body is not a list of events.
    #[error(transparent)]
    Body(Refusal),
    /// Refused events, each with its index in the upload.
    #[error("{} events of the upload were refused", .0.len())]
    Events(Vec<(usize, EventError)>),
    /// The upload contains no usable sample. Each validation outcome with the event's index in the upload.
    #[error("the upload contains no usable sample")]
    NoUsableSample(Vec<(usize, ValidationOutcome)>),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an event was refused.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The event is invalid.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The client is not registered for the event's source.
    #[error("the client is not registered for this source")]
    SourceNotAllowed,
    /// The upload contains another event with the same source and id.
    #[error("the upload contains another event with this source and id")]
    Conflict,
    /// The event contains no usable sample.
    #[error("the event contains no usable sample")]
    NoUsableSample(Box<ValidationOutcome>),
    /// The event could not be put onto the stream.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<ValidationError> for EventError {
    fn from(error: ValidationError) -> Self {
        match error {
            ValidationError::Refused(refusal) => Self::Refused(refusal),
            ValidationError::Port(error) => Self::Port(error),
        }
    }
}

/// An accepted event.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedEvent {
    /// The sender's `id`.
    pub id: String,
    /// The `source`.
    pub source: String,
    /// The id in storage.
    pub eid: Eid,
    /// The number of samples that will be stored.
    pub samples: usize,
    /// Samples that will be quarantined.
    pub quarantined: Vec<QuarantinedSample>,
    /// Signals that will be removed, each with a reason.
    pub rejected: Vec<RejectedSignal>,
    /// Paths below `Vehicle` that are stored but not in the catalogue; see [`unknown_signals`].
    pub unknown_paths: Vec<String>,
}

impl<Ports: PortSet> Ingest<Ports> {
    /// Validates an event about `vid`. Fails if the sender may not use the event's source.
    async fn validate(
        &self,
        envelope: &Envelope<'_>,
        vid: &VehicleId,
        sender: &Sender,
        received: Timestamp,
    ) -> Result<ValidatedEvent, EventError> {
        if !sender.may_use(&envelope.source) {
            return Err(EventError::SourceNotAllowed);
        }
        let outcome = self
            .schemas
            .validate(envelope, &stream_record::json_data(envelope, &mut stream_record::record_budget())?, vid, received)
            .await?;
        let json = envelope
            .to_json_with_subject(vid)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, JsonPointer::ROOT, "the event cannot be written as JSON"))?;
        Ok(ValidatedEvent { id: envelope.id.clone(), source: envelope.source.clone(), json, outcome })
    }
}

/// A valid event and its JSON for the stream record.
struct ValidatedEvent {
    id: String,
    source: String,
    json: String,
    outcome: ValidationOutcome,
}

impl ValidatedEvent {
    fn into_accepted(self) -> AcceptedEvent {
        let samples = self.outcome.accepted.as_ref().map_or(0, |stored| stored.event.sample_count());
        let unknown_paths =
            self.outcome.accepted.as_ref().map_or_else(Vec::new, |stored| unknown_signals::unknown_paths(&stored.event));
        AcceptedEvent {
            id: self.id,
            source: self.source,
            eid: self.outcome.eid,
            samples,
            quarantined: self.outcome.quarantined,
            rejected: self.outcome.rejected,
            unknown_paths,
        }
    }
}

/// Splits an upload into at most [`limits::EVENTS_PER_UPLOAD`] events. A batch may be empty (CloudEvents JSON format, 4.3).
fn split(body: &str) -> Result<Vec<&RawValue>, IngestError> {
    if body.len() > limits::UPLOAD_BYTES {
        return Err(IngestError::TooLarge);
    }
    let events = cloudevent::split_events(body).map_err(IngestError::Body)?;
    if events.len() > limits::EVENTS_PER_UPLOAD {
        let detail = format!("must contain at most {} events; split it into several uploads", limits::EVENTS_PER_UPLOAD);
        return Err(IngestError::Body(Refusal::new(Reason::DataInvalid, JsonPointer::ROOT, detail)));
    }
    Ok(events)
}

/// Compresses the events of a vehicle, in the given order, into one stream record.
fn stream_record_for<'a>(vid: &VehicleId, events: impl Iterator<Item = &'a str>) -> StreamRecord {
    let mut data = String::from("[");
    for (index, event) in events.enumerate() {
        if index > 0 {
            data.push(',');
        }
        data.push_str(event);
    }
    data.push(']');
    StreamRecord { vid: vid.clone(), data: stream_record::compress(&data) }
}
