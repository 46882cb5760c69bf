//! Processing one batch of the stream.

use std::collections::BTreeMap;

use roadcast_codec::stream_record;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::subject::Subject;
use roadcast_domain::validation;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::bus::IngestBus;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::value::RawValue;

use super::chunk::Chunk;
use super::quarantine::RecordQuarantine;
use super::recent_events::RecentEvents;
use crate::cache::{CachedEntitlements, CachedSubjects};
use crate::catalogue::event_schemas::CachedSchemas;

/// How long records of a batch are begun with, in milliseconds: half of the function's time. What was begun by then ends well
/// within the other half, because what one record and one chunk may hold is bounded.
const BEGIN_WITHIN_MS: i64 = 60 * 1000;

/// Processes batches of the stream.
pub struct StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// Where every record is kept as it came.
    pub archive: A,
    /// Where goes what cannot be taken.
    pub quarantine: Q,
    /// Who subjects name.
    pub subjects: CachedSubjects<V, K>,
    /// Whose events anybody may see.
    pub entitlements: CachedEntitlements<E, K>,
    /// To enrichment.
    pub bus: B,
    /// Last-known values.
    pub state: S,
    /// The events.
    pub log: L,
    /// What events of custom types must be.
    pub schemas: CachedSchemas<H, K>,
    /// What was stored lately.
    pub recent: RecentEvents,
    /// The time.
    pub clock: K,
}

/// A record as the stream hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its shard.
    pub shard: String,
    /// Its partition key: the vehicle, where the record came over HTTP.
    pub partition_key: String,
    /// The record itself.
    pub raw: RawRecord,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// The first record that must come again, by its place in the batch: it and all after it do.
    pub retry_from: Option<usize>,
    /// What went wrong, for the log.
    pub failures: Vec<PortError>,
    /// What was counted.
    pub counts: BatchCounts,
}

/// What was counted in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Samples that arrived.
    pub samples_received: usize,
    /// Samples newly stored.
    pub samples_stored: usize,
    /// Samples set aside, by reason.
    pub samples_quarantined: BTreeMap<Reason, usize>,
    /// Signals removed, by reason.
    pub signals_rejected: BTreeMap<&'static str, usize>,
    /// Events that were stored before.
    pub events_deduplicated: usize,
    /// Entries put onto the ingest bus.
    pub entries_published: usize,
}

/// An event on its way: the record it came in, its place there, and how long it was.
pub(super) struct Pending {
    pub(super) record: usize,
    pub(super) place: usize,
    pub(super) bytes: usize,
    pub(super) stored: StoredEvent,
}

impl Pending {
    /// An event of fewer bytes fits into every store and bus: if it is refused, the fault is ours, and it comes again. A larger
    /// one may be refused for its size, whenever it comes.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > 256 * 1024
    }
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
    /// Processes a batch. One bad record never blocks the others: poison is set aside, and only what failed for a passing
    /// reason comes again.
    pub async fn batch(&self, records: &[Record]) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        if let Err(error) = self.archive(records).await {
            outcome.fail(0, error);
            return outcome;
        }
        let started = self.clock.now();
        let mut chunk = Chunk::default();
        for (place, record) in records.iter().enumerate() {
            // The first is always begun with, so that every batch gets on.
            if place > 0 && self.clock.now().ms_since(started) > BEGIN_WITHIN_MS {
                outcome.fail(place, PortError::new(PortErrorKind::TimedOut, "beginning with the rest of the batch"));
                break;
            }
            // One record at a time: what a compressed one unpacks to is gone before the next.
            let text = stream_record::decode_text(&record.raw.data);
            match text.as_ref().map_err(Clone::clone).and_then(|text| stream_record::split_events(text)) {
                Ok(events) => self.validate(records, place, &events, &mut chunk, &mut outcome).await,
                Err(refusal) => {
                    outcome.counts.samples_received += 1;
                    chunk.quarantine(place, RecordQuarantine { record }.whole(&refusal, None, &record.raw.data, 1));
                }
            }
            self.flush_if_full(records, &mut chunk, &mut outcome).await;
        }
        self.flush(records, chunk, &mut outcome).await;
        outcome
    }

    async fn archive(&self, records: &[Record]) -> Result<(), PortError> {
        let mut shards: BTreeMap<&str, Vec<RawRecord>> = BTreeMap::new();
        for record in records {
            shards.entry(&record.shard).or_default().push(record.raw.clone());
        }
        for (shard, records) in shards {
            self.archive.store(&RawBatch { shard: shard.to_owned(), records }).await?;
        }
        Ok(())
    }

    /// Judges the events of the record at that place.
    async fn validate(
        &self,
        records: &[Record],
        place: usize,
        events: &[&RawValue],
        chunk: &mut Chunk,
        outcome: &mut BatchOutcome,
    ) {
        let record = &records[place];
        let aside = RecordQuarantine { record };
        let mut budget = stream_record::record_budget();
        for (place_in_record, event) in events.iter().enumerate() {
            match self.validate_event(event, record, &mut budget).await {
                Err(error) => {
                    outcome.counts.samples_received += stream_record::count_samples(event);
                    outcome.fail(place, error);
                }
                Ok(Err((refusal, vid))) => {
                    let samples = stream_record::count_samples(event);
                    outcome.counts.samples_received += samples;
                    chunk.quarantine(place, aside.whole(&refusal, vid, event.get().as_bytes(), samples));
                }
                Ok(Ok((vid, intake))) => {
                    outcome.counts.samples_received += intake.sample_count;
                    for (reason, count) in intake.rejected_by_reason() {
                        *outcome.counts.signals_rejected.entry(reason).or_default() += count;
                    }
                    for sample in &intake.quarantined {
                        chunk.quarantine(place, aside.sample(&vid, intake.eid, sample));
                    }
                    if let Some(stored) = intake.accepted {
                        chunk.take(Pending { record: place, place: place_in_record, bytes: event.get().len(), stored });
                    }
                }
            }
            self.flush_if_full(records, chunk, outcome).await;
        }
    }

    async fn flush_if_full(&self, records: &[Record], chunk: &mut Chunk, outcome: &mut BatchOutcome) {
        if chunk.is_full() {
            self.flush(records, std::mem::take(chunk), outcome).await;
        }
    }

    /// Carries on what was judged: sets aside, drops what is known, publishes, stores.
    async fn flush(&self, records: &[Record], chunk: Chunk, outcome: &mut BatchOutcome) {
        let Chunk { mut pending, quarantined, .. } = chunk;
        self.quarantine(quarantined, outcome).await;
        let known = self.drop_duplicates(&mut pending, outcome).await;
        let unpublishable = self.publish(records, &mut pending, outcome).await;
        self.quarantine(unpublishable, outcome).await;
        let unstorable = self.store(records, pending, known, outcome).await;
        self.quarantine(unstorable, outcome).await;
    }

    #[allow(clippy::type_complexity)] // two kinds of failure: ours is tried again, the event's own is set aside
    async fn validate_event(
        &self,
        event: &RawValue,
        record: &Record,
        budget: &mut ByteBudget,
    ) -> Result<Result<(VehicleId, validation::ValidationOutcome), (Refusal, Option<VehicleId>)>, PortError> {
        let envelope = match Envelope::read(event) {
            Ok(envelope) => envelope,
            Err(refusal) => return Ok(Err((refusal, None))),
        };
        let name = envelope.subject.as_deref().unwrap_or(&record.partition_key);
        let vid = match Subject::parse(name) {
            Some(subject) => self.subjects.resolve(&subject).await?,
            None => None,
        };
        let Some(vid) = vid else {
            let refusal = Refusal::new(Reason::VehicleUnknown, "/subject", "no vehicle of that name is registered");
            return Ok(Err((refusal, None)));
        };
        if matches!(Subject::parse(&record.partition_key), Some(Subject::Vid(keyed)) if keyed != vid) {
            let refusal = Refusal::new(Reason::VehicleUnknown, "/subject", "not the vehicle that the record was sent for");
            return Ok(Err((refusal, None)));
        }
        let judged = match stream_record::json_data(&envelope, budget) {
            Ok(data) => self.schemas.validate(&envelope, &data, &vid, record.raw.arrived_at).await?,
            Err(refusal) => Err(refusal),
        };
        Ok(match judged {
            Ok(intake) => Ok((vid, intake)),
            Err(refusal) => Err((refusal, Some(vid))),
        })
    }

    /// Sets aside. Comes before storing, so that an event that is stored has its bad samples in quarantine.
    async fn quarantine(&self, quarantined: Vec<(usize, QuarantinedItem)>, outcome: &mut BatchOutcome) {
        let Some(first) = quarantined.iter().map(|(record, _)| *record).min() else { return };
        let items: Vec<QuarantinedItem> = quarantined.into_iter().map(|(_, item)| item).collect();
        match self.quarantine.store(&items).await {
            Ok(()) => {
                for item in items {
                    *outcome.counts.samples_quarantined.entry(item.reason).or_default() += item.samples;
                }
            }
            Err(error) => outcome.fail(first, error),
        }
    }
}

/// Each vehicle's events together, in `eid` order.
pub(super) fn by_vehicle(events: impl Iterator<Item = Pending>) -> impl Iterator<Item = Vec<Pending>> {
    let mut vehicles: BTreeMap<VehicleId, Vec<Pending>> = BTreeMap::new();
    for event in events {
        vehicles.entry(event.stored.event.vid.clone()).or_default().push(event);
    }
    vehicles.into_values().map(|mut events| {
        events.sort_by_key(|event| event.stored.event.eid);
        events
    })
}

pub(super) fn first_record<'e>(events: impl IntoIterator<Item = &'e Pending>) -> usize {
    events.into_iter().map(|event| event.record).min().unwrap_or(0)
}

/// Vehicles that are looked up or merged at the same time.
pub(super) const CONCURRENCY: usize = 16;

impl BatchOutcome {
    pub(super) fn fail(&mut self, record: usize, error: PortError) {
        self.retry_from = Some(self.retry_from.map_or(record, |first| first.min(record)));
        self.failures.push(error);
    }
}
