//! Validation of the events of a record.

use roadcast_codec::stream_record;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::validation::ValidationOutcome;
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;
use serde_json::value::RawValue;

use super::batch::{PendingEvent, Record, StepResult};
use super::quarantine::QuarantinedItemBuilder;
use crate::cache::CachedSubjects;
use crate::catalogue::event_schemas::{CachedSchemas, ValidationError};

/// Why an event does not remain.
enum ValidationFailure {
    /// The event is invalid, and is quarantined; with its vehicle if known.
    Refused { refusal: Refusal, vid: Option<VehicleId> },
    /// A port failed; the event is retried.
    Port(PortError),
}

impl From<PortError> for ValidationFailure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// An event of a record.
pub(super) struct ReceivedEvent<'a> {
    pub(super) record: &'a Record,
    /// The index of the record in the batch.
    pub(super) record_index: usize,
    /// The index of the event in the record.
    pub(super) index: usize,
    pub(super) json: &'a RawValue,
}

/// Validates the events of records.
pub struct EventValidator<Ports: PortSet> {
    /// Resolves subjects to vehicles.
    pub subjects: CachedSubjects<Ports>,
    /// The schemas of custom event types.
    pub schemas: CachedSchemas<Ports>,
}

impl<Ports: PortSet> EventValidator<Ports> {
    /// Validates an event. It remains if it is valid; quarantines it, or its invalid samples. `budget` bounds the decompressed
    /// bytes of the events of a record.
    pub(super) async fn validate(&self, event: &ReceivedEvent<'_>, budget: &mut ByteBudget) -> StepResult {
        let ReceivedEvent { record, record_index, index, json } = *event;
        let builder = QuarantinedItemBuilder { record };
        let mut step = StepResult::default();
        let counts = &mut step.outcome.counts;
        match self.validate_json(json, record, budget).await {
            Err(ValidationFailure::Port(error)) => {
                counts.samples_received = stream_record::count_samples(json);
                step.outcome.fail(record_index, error);
            }
            Err(ValidationFailure::Refused { refusal, vid }) => {
                let samples = stream_record::count_samples(json);
                counts.samples_received = samples;
                step.quarantined.push((record_index, builder.refused(&refusal, vid, json.get().as_bytes(), samples)));
            }
            Ok((vid, validation)) => {
                counts.samples_received = validation.sample_count;
                counts.signals_rejected = validation.rejected_by_reason().into_iter().collect();
                let invalid = validation.quarantined.iter();
                let items = invalid.map(|sample| (record_index, builder.sample(&vid, validation.eid, sample)));
                step.quarantined.extend(items);
                if let Some(log_entry) = validation.accepted {
                    step.remaining.push(PendingEvent { record: record_index, index, bytes: json.get().len(), log_entry });
                }
            }
        }
        step
    }

    /// Returns the vehicle of the event and the outcome of its validation.
    async fn validate_json(
        &self,
        event: &RawValue,
        record: &Record,
        budget: &mut ByteBudget,
    ) -> Result<(VehicleId, ValidationOutcome), ValidationFailure> {
        let refuse = |refusal| ValidationFailure::Refused { refusal, vid: None };
        let envelope = Envelope::parse(event).map_err(refuse)?;
        let name = envelope.subject.as_deref().unwrap_or(&record.partition_key);
        let vid = match Subject::parse(name) {
            Some(subject) => self.subjects.resolve(&subject).await?,
            None => None,
        };
        let vid = vid.ok_or_else(|| refuse(Refusal::vehicle_unknown()))?;
        if matches!(Subject::parse(&record.partition_key), Some(Subject::Vid(keyed)) if keyed != vid) {
            let refusal =
                Refusal::new(Reason::VehicleUnknown, ["subject"], "must name the vehicle of the record's partition key");
            return Err(refuse(refusal));
        }
        let validated = match stream_record::json_data(&envelope, budget) {
            Ok(data) => self.schemas.validate(&envelope, &data, &vid, record.raw.arrived_at).await,
            Err(refusal) => Err(refusal.into()),
        };
        match validated {
            Ok(validation) => Ok((vid, validation)),
            Err(ValidationError::Refused(refusal)) => Err(ValidationFailure::Refused { refusal, vid: Some(vid) }),
            Err(ValidationError::Port(error)) => Err(error.into()),
        }
    }
}
