//! Ingestion over HTTP: validates uploads and puts them onto the stream as records. A 202 means that the stream has stored
//! the upload.

mod batch;
mod identities;
mod receipt;
mod unknown_signals;
mod upload;

use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::stream::StreamRecord;
use serde_json::value::RawValue;

use crate::authz::Sender;
use crate::cache::CachedVehicles;
use crate::catalogue::event_schemas::{CachedSchemas, ValidationError};

pub use batch::{BatchEvent, BatchReceipt};
pub use receipt::{AcceptedEvent, QuarantineNote, RemovedParts};
pub use unknown_signals::{UnknownSignal, unknown_signals};

use receipt::NotesBudget;

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
    /// The upload contains no usable sample. What was removed from each event, with the event's index in the upload.
    #[error("the upload contains no usable sample")]
    NoUsableSample(Vec<(usize, RemovedParts)>),
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
    NoUsableSample(Box<RemovedParts>),
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

impl<Ports: PortSet> Ingest<Ports> {
    /// Validates an event about `vid`. Fails if the sender may not use the event's source. `budget` is that of the
    /// upload.
    async fn validate(
        &self,
        envelope: &Envelope<'_>,
        vid: &VehicleId,
        sender: &Sender,
        received: Timestamp,
        budget: &mut UploadBudget,
    ) -> Result<ValidatedEvent, EventError> {
        if !sender.may_use(&envelope.source) {
            return Err(EventError::SourceNotAllowed);
        }
        let data = stream_record::event_data(&envelope.event_type, envelope.data.clone(), &mut budget.blocks);
        let data = data.map_err(advise_to_split)?;
        let outcome = self.schemas.validate(envelope, data, vid, received).await?;
        let json = envelope
            .to_json_with_subject(vid)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, JsonPointer::ROOT, "the event cannot be written as JSON"))?;
        let is_usable = outcome.accepted.is_some();
        Ok(ValidatedEvent { json, is_usable, receipt: AcceptedEvent::new(envelope, outcome, &mut budget.notes) })
    }
}

/// Adds to the refusal of an event that is too large that other uploads may contain it: the limit is that of an upload.
fn advise_to_split(mut refusal: Refusal) -> Refusal {
    if refusal.reason == Reason::TooLarge {
        refusal.detail.push_str("; split the upload into several uploads, and large events into several events");
    }
    refusal
}

/// The bytes that remain for the events of one upload.
struct UploadBudget {
    /// Decoded blocks: as many as the stream accepts in one record, because the upload becomes one.
    blocks: ByteBudget,
    /// Notes in the response.
    notes: NotesBudget,
}

impl UploadBudget {
    const fn new() -> Self {
        Self { blocks: stream_record::record_budget(), notes: NotesBudget::new() }
    }
}

/// A valid event: its JSON for the stream record, and its receipt. The event itself is not kept: the events of an upload may
/// take a thousand times the bytes of the upload.
struct ValidatedEvent {
    json: String,
    /// Whether the event has a usable sample.
    is_usable: bool,
    receipt: AcceptedEvent,
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
