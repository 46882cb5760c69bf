//! The processing of one batch, step by step.

use std::collections::BTreeMap;

use roadcast_codec::stream_record;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::bus::IngestBus;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{BatchOutcome, Record};
use super::chunk::Chunk;
use super::quarantine::QuarantinedItemBuilder;
use super::recent_events::RecentEvents;
use crate::cache::{CachedEntitlements, CachedSubjects};
use crate::catalogue::event_schemas::CachedSchemas;

/// Deadline for starting a record, in milliseconds: half of the function's timeout. Records not started by then are
/// retried. The second half suffices for the records in progress, because the size of a record and of a chunk is bounded.
const START_DEADLINE_MS: i64 = 60 * 1000;
/// Vehicles that are read or merged concurrently.
pub(super) const CONCURRENCY: usize = 16;

/// Processes batches of the stream.
pub struct StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// Stores every record unchanged.
    pub archive: A,
    /// Stores invalid records, events and samples.
    pub quarantine: Q,
    /// Resolves subjects to vehicles.
    pub subjects: CachedSubjects<V, K>,
    /// Determines whether any fleet is entitled to a vehicle's events.
    pub entitlements: CachedEntitlements<E, K>,
    /// The ingest bus, which leads to enrichment.
    pub bus: B,
    /// The last-known values of vehicles.
    pub state: S,
    /// The event log.
    pub log: L,
    /// The schemas of custom event types.
    pub schemas: CachedSchemas<H, K>,
    /// For each vehicle, the newest event that this instance has stored.
    pub recent: RecentEvents,
    /// The clock.
    pub clock: K,
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
    /// Processes a batch. An invalid record never blocks the others: it is quarantined, and only transient failures are
    /// retried.
    pub async fn process_batch(&self, records: &[Record]) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        if let Err(error) = self.archive(records).await {
            outcome.fail(0, error);
            return outcome;
        }
        let started = self.clock.now();
        let mut chunk = Chunk::default();
        for (index, record) in records.iter().enumerate() {
            // The first record is always started, so that every batch makes progress.
            if index > 0 && self.clock.now().ms_since(started) > START_DEADLINE_MS {
                outcome.fail(index, PortError::new(PortErrorKind::TimedOut, "start the remaining records of the batch"));
                break;
            }
            // One record at a time: the decompressed text is freed before the next record is read.
            let text = stream_record::decode_text(&record.raw.data);
            match text.as_ref().map_err(Clone::clone).and_then(|text| stream_record::split_events(text)) {
                Ok(events) => self.validate_record(records, index, &events, &mut chunk, &mut outcome).await,
                Err(refusal) => {
                    outcome.counts.samples_received += 1;
                    let item = QuarantinedItemBuilder { record }.refused(&refusal, None, &record.raw.data, 1);
                    chunk.push_quarantined(index, item);
                }
            }
            self.flush_if_full(records, &mut chunk, &mut outcome).await;
        }
        self.flush(records, chunk, &mut outcome).await;
        outcome
    }

    /// Stores the records in the archive, one object per shard.
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

    pub(super) async fn flush_if_full(&self, records: &[Record], chunk: &mut Chunk, outcome: &mut BatchOutcome) {
        if chunk.is_full() {
            self.flush(records, std::mem::take(chunk), outcome).await;
        }
    }

    /// Flushes a chunk: quarantines its invalid items, drops its duplicates, publishes and stores the rest.
    async fn flush(&self, records: &[Record], chunk: Chunk, outcome: &mut BatchOutcome) {
        let Chunk { mut pending, quarantined, .. } = chunk;
        self.store_quarantined(quarantined, outcome).await;
        let states = self.drop_duplicates(&mut pending, outcome).await;
        let unpublishable = self.publish(records, &mut pending, outcome).await;
        self.store_quarantined(unpublishable, outcome).await;
        let unstorable = self.store(records, pending, states, outcome).await;
        self.store_quarantined(unstorable, outcome).await;
    }

    /// Stores items in quarantine. Runs before events are stored, so that the invalid samples of a stored event are in
    /// quarantine.
    async fn store_quarantined(&self, quarantined: Vec<(usize, QuarantinedItem)>, outcome: &mut BatchOutcome) {
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
