//! Validation of the events of a record.

use std::collections::{BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _};
use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::validation::ValidationOutcome;
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;

use super::batch::{Batch, PendingEvent, Record, StepResult};
use super::quarantine::QuarantinedItemBuilder;
use crate::CONCURRENT_READS;
use crate::cache::{BatchSubjects, CachedSubjects};
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
    /// Whether the record is redriven or restored.
    pub(super) is_beside_stream: bool,
    /// The event, in the bytes of the sender.
    pub(super) json: &'a str,
    /// Its envelope, or why it is invalid.
    pub(super) envelope: Result<Envelope<'a>, Refusal>,
}

impl<'a> ReceivedEvent<'a> {
    /// Parses the events in the text of a record.
    pub(super) fn parse_all(batch: Batch<'a>, record_index: usize, text: &'a str) -> Result<Vec<Self>, Refusal> {
        let Batch { records, is_beside_stream, .. } = batch;
        let record = &records[record_index];
        let received = |(index, (json, envelope))| Self { record, record_index, index, is_beside_stream, json, envelope };
        if let Some(events) = Envelope::read_usual(text) {
            return Ok(events
                .into_iter()
                .map(|envelope| (envelope.json(), Ok(envelope)))
                .enumerate()
                .map(received)
                .collect());
        }
        let events = stream_record::split_events(text)?.into_iter().map(|json| (json.get(), Envelope::parse(json)));
        Ok(events.enumerate().map(received).collect())
    }

    /// Returns the name of its vehicle: the subject, or else the partition key. `None` if the envelope is invalid.
    pub(super) fn vehicle_name(&self) -> Option<&str> {
        let envelope = self.envelope.as_ref().ok()?;
        Some(envelope.subject.as_deref().unwrap_or(&self.record.raw.partition_key))
    }
}

/// The vehicles that have and had the names of a batch.
pub(super) struct ResolvedNames {
    subjects: BatchSubjects,
    by_name: HashMap<String, Result<Option<NameHistory>, PortError>>,
}

impl ResolvedNames {
    /// Returns the vehicle that had the name when an event was received.
    fn holder_at(&self, name: &str, received: Timestamp) -> Result<Option<VehicleId>, PortError> {
        let Some(history) = self.by_name.get(name) else { return Ok(None) };
        let history = history.as_ref().map_err(Clone::clone)?;
        Ok(history.as_ref().and_then(|history| history.holder_at(received)).cloned())
    }

    /// The version of all vehicles for which the names are resolved.
    pub(super) const fn version(&self) -> u64 {
        self.subjects.version
    }

    /// As [`Self::was_erased_at`]; fails if the name could not be resolved.
    pub(super) fn is_erased(&self, name: &str, received: Timestamp) -> Result<bool, PortError> {
        match self.by_name.get(name) {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(self.was_erased_at(name, received)),
        }
    }

    /// Whether the event is of one of these vehicles, or may be: its name could not be resolved.
    pub(super) fn may_be_of(&self, event: &ReceivedEvent<'_>, vehicles: &BTreeSet<VehicleId>) -> bool {
        let Some(name) = event.vehicle_name() else { return false };
        match self.holder_at(name, event.record.raw.arrived_at) {
            Ok(holder) => holder.is_some_and(|vid| vehicles.contains(&vid)),
            Err(_) => true,
        }
    }

    /// Whether the vehicle that had the name when an event was received was erased since. The event is neither stored nor
    /// quarantined.
    pub(super) fn was_erased_at(&self, name: &str, received: Timestamp) -> bool {
        let history = self.by_name.get(name).and_then(|history| history.as_ref().ok()).and_then(Option::as_ref);
        history.is_some_and(|history| history.was_erased_at(received))
    }
}

/// The number of names after which [`ResolvedNames`] starts again: a batch may contain more names than fit into memory.
const MAX_RESOLVED_NAMES: usize = 20_000;

/// Validates the events of records.
pub struct EventValidator<Ports: PortSet> {
    /// Resolves subjects to vehicles.
    pub subjects: CachedSubjects<Ports>,
    /// The schemas of custom event types.
    pub schemas: CachedSchemas<Ports>,
}

impl<Ports: PortSet> EventValidator<Ports> {
    /// Starts a batch whose last event was received before. No name is resolved yet.
    pub(super) async fn start_batch(&self) -> Result<ResolvedNames, PortError> {
        Ok(ResolvedNames { subjects: self.subjects.start_batch().await?, by_name: HashMap::new() })
    }

    /// Resolves the names that are not resolved yet, concurrently.
    pub(super) async fn resolve<'n>(&self, names: impl Iterator<Item = &'n str>, resolved: &mut ResolvedNames) {
        let ResolvedNames { subjects, by_name } = resolved;
        let subjects = &*subjects;
        if by_name.len() > MAX_RESOLVED_NAMES {
            by_name.clear();
        }
        let distinct: BTreeSet<&str> = names.filter(|name| !by_name.contains_key(*name)).collect();
        let new: Vec<String> = distinct.into_iter().map(str::to_owned).collect();
        if new.is_empty() {
            return;
        }
        let look_ups = new.into_iter().map(|name| async move {
            let history = match Subject::parse(&name) {
                Some(subject) => self.subjects.history(&subject, subjects).await,
                None => Ok(None),
            };
            (name, history)
        });
        let found: Vec<_> = stream::iter(look_ups).buffer_unordered(CONCURRENT_READS).collect().await;
        by_name.extend(found);
    }

    /// Validates an event, whose vehicle is in `names`. It remains if it is valid; quarantines it, or its invalid samples.
    /// `budget` bounds the decompressed bytes of the events of a record.
    pub(super) async fn validate(
        &self,
        event: ReceivedEvent<'_>,
        names: &ResolvedNames,
        budget: &mut ByteBudget,
    ) -> StepResult {
        let ReceivedEvent { record, record_index, index, is_beside_stream, json, .. } = event;
        let builder = QuarantinedItemBuilder { record };
        let mut step = StepResult::default();
        let counts = &mut step.outcome.counts;
        let name = event.vehicle_name().unwrap_or(&record.raw.partition_key);
        if names.was_erased_at(name, record.raw.arrived_at) {
            counts.samples_received = stream_record::count_samples(json);
            counts.samples_erased = counts.samples_received;
            return step;
        }
        match self.validate_envelope(event, names, budget).await {
            Err(ValidationFailure::Port(error)) => {
                counts.samples_received = stream_record::count_samples(json);
                step.outcome.fail(record_index, error);
            }
            Err(ValidationFailure::Refused { refusal, vid }) => {
                let samples = stream_record::count_samples(json);
                counts.samples_received = samples;
                step.quarantined.push((record_index, builder.refused(&refusal, vid, json.as_bytes(), samples)));
            }
            Ok((vid, validation)) => {
                counts.samples_received = validation.sample_count;
                counts.signals_rejected = validation.rejected_by_reason().into_iter().collect();
                let invalid = validation.quarantined.iter();
                let items = invalid.map(|sample| (record_index, builder.sample(&vid, validation.eid, sample)));
                step.quarantined.extend(items);
                if let Some(log_entry) = validation.accepted {
                    let is_exclusive = !is_beside_stream && record.raw.partition_key == vid.as_str();
                    step.remaining.push(PendingEvent { record: record_index, index, is_exclusive, log_entry });
                }
            }
        }
        step
    }

    /// Returns the vehicle of the event and the outcome of its validation.
    async fn validate_envelope(
        &self,
        event: ReceivedEvent<'_>,
        names: &ResolvedNames,
        budget: &mut ByteBudget,
    ) -> Result<(VehicleId, ValidationOutcome), ValidationFailure> {
        let refuse = |refusal| ValidationFailure::Refused { refusal, vid: None };
        let record = event.record;
        let vid = match event.vehicle_name() {
            Some(name) => names.holder_at(name, record.raw.arrived_at)?,
            None => None,
        };
        let mut envelope = event.envelope.map_err(refuse)?;
        let vid = vid.ok_or_else(|| refuse(Refusal::vehicle_unknown()))?;
        let key = record.raw.partition_key.as_str();
        if key != vid.as_str() && matches!(Subject::parse(key), Some(Subject::Vid(_))) {
            let refusal =
                Refusal::new(Reason::VehicleUnknown, ["subject"], "must name the vehicle of the record's partition key");
            return Err(refuse(refusal));
        }
        let data = envelope.take_data();
        let validated = match stream_record::event_data(&envelope.event_type, data, budget) {
            Ok(data) => self.schemas.validate(&envelope, data, &vid, record.raw.arrived_at).await,
            Err(refusal) => Err(refusal.into()),
        };
        match validated {
            Ok(validation) => Ok((vid, validation)),
            Err(ValidationError::Refused(refusal)) => Err(ValidationFailure::Refused { refusal, vid: Some(vid) }),
            Err(ValidationError::Port(error)) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_testbed::{InFlight, ManualClock, Memory, port_set};

    use super::*;

    port_set! {
        enum CountedPorts {
            Vehicles = InFlight<Memory>;
        }
    }

    #[tokio::test]
    async fn names_of_a_batch_are_resolved_once_and_concurrently() {
        let vehicles = InFlight::new(Memory::default());
        let validator = EventValidator::<CountedPorts> {
            subjects: CachedSubjects::new(vehicles.clone(), ManualClock::default()),
            schemas: CachedSchemas::new(Memory::default(), ManualClock::default()),
        };
        let names: Vec<String> = (0..100).map(|n| VehicleId::from_random_bits(n).to_string()).collect();
        let mut resolved = validator.start_batch().await.unwrap();
        for _ in 0..2 {
            let twice = names.iter().chain(&names).map(String::as_str);
            validator.resolve(twice.chain(["not a name"]), &mut resolved).await;
        }
        assert_eq!(resolved.by_name.len(), 101);
        // The version, and each name.
        assert_eq!((vehicles.calls(), vehicles.max_in_flight()), (1 + 100, 16));
    }
}
