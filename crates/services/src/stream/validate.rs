//! Validation of the events of a record.

use roadcast_codec::stream_record;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::validation::ValidationOutcome;
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine};
use roadcast_ports::bus::IngestBus;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use serde_json::value::RawValue;

use super::batch::{BatchOutcome, PendingEvent, Record};
use super::chunk::Chunk;
use super::processor::StreamProcessor;
use super::quarantine::QuarantinedItemBuilder;

/// An invalid event, and its vehicle if known.
struct RefusedEvent {
    refusal: Refusal,
    vid: Option<VehicleId>,
}

impl<A, Q, V, E, B, S, L, H, K> StreamProcessor<A, Q, V, E, B, S, L, H, K>
where
    A: Archive,
    Q: Quarantine,
    V: Vehicles,
    E: Entitlements,
    B: IngestBus,
    S: StateStore,
    L: EventLog,
    H: Schemas,
    K: Clock,
{
    /// Validates the events of the record at `record_index` into the chunk, and flushes the chunk when it is full.
    pub(super) async fn validate_record(
        &self,
        records: &[Record],
        record_index: usize,
        events: &[&RawValue],
        chunk: &mut Chunk,
        outcome: &mut BatchOutcome,
    ) {
        let record = &records[record_index];
        let builder = QuarantinedItemBuilder { record };
        let mut budget = stream_record::record_budget();
        for (index, event) in events.iter().enumerate() {
            match self.validate_event(event, record, &mut budget).await {
                Err(error) => {
                    outcome.counts.samples_received += stream_record::count_samples(event);
                    outcome.fail(record_index, error);
                }
                Ok(Err(RefusedEvent { refusal, vid })) => {
                    let samples = stream_record::count_samples(event);
                    outcome.counts.samples_received += samples;
                    let item = builder.refused(&refusal, vid, event.get().as_bytes(), samples);
                    chunk.push_quarantined(record_index, item);
                }
                Ok(Ok((vid, validation))) => {
                    outcome.counts.samples_received += validation.sample_count;
                    for (reason, count) in validation.rejected_by_reason() {
                        *outcome.counts.signals_rejected.entry(reason).or_default() += count;
                    }
                    for sample in &validation.quarantined {
                        chunk.push_quarantined(record_index, builder.sample(&vid, validation.eid, sample));
                    }
                    if let Some(log_entry) = validation.accepted {
                        chunk.push(PendingEvent { record: record_index, index, bytes: event.get().len(), log_entry });
                    }
                }
            }
            self.flush_if_full(records, chunk, outcome).await;
        }
    }

    /// Validates one event. A port's error is retried; a refused event is quarantined.
    async fn validate_event(
        &self,
        event: &RawValue,
        record: &Record,
        budget: &mut ByteBudget,
    ) -> Result<Result<(VehicleId, ValidationOutcome), RefusedEvent>, PortError> {
        let envelope = match Envelope::parse(event) {
            Ok(envelope) => envelope,
            Err(refusal) => return Ok(Err(RefusedEvent { refusal, vid: None })),
        };
        let name = envelope.subject.as_deref().unwrap_or(&record.partition_key);
        let vid = match Subject::parse(name) {
            Some(subject) => self.subjects.resolve(&subject).await?,
            None => None,
        };
        let Some(vid) = vid else {
            return Ok(Err(RefusedEvent { refusal: Refusal::vehicle_unknown(), vid: None }));
        };
        if matches!(Subject::parse(&record.partition_key), Some(Subject::Vid(keyed)) if keyed != vid) {
            let refusal =
                Refusal::new(Reason::VehicleUnknown, ["subject"], "must name the vehicle of the record's partition key");
            return Ok(Err(RefusedEvent { refusal, vid: None }));
        }
        let validated = match stream_record::json_data(&envelope, budget) {
            Ok(data) => self.schemas.validate(&envelope, &data, &vid, record.raw.arrived_at).await?,
            Err(refusal) => Err(refusal),
        };
        Ok(match validated {
            Ok(validation) => Ok((vid, validation)),
            Err(refusal) => Err(RefusedEvent { refusal, vid: Some(vid) }),
        })
    }
}
