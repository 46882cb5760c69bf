//! The processing of one batch, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_codec::stream_record::{self, RecordTexts};
use roadcast_ports::archive::{Archive as _, Quarantine as _, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{Batch, BatchOutcome, Record};
use super::chunk::Chunk;
use super::event_store::EventStore;
use super::publish::Publisher;
use super::quarantine::QuarantinedItemBuilder;
use super::validate::{EventValidator, ReceivedEvent, ResolvedNames};

/// Deadline for starting a record, in milliseconds: half of the function's timeout. Records not started by then are
/// retried. The second half suffices for the records in progress, because the size of a record and of a chunk is bounded.
const START_DEADLINE_MS: i64 = 60 * 1000;

/// Processes batches of the stream.
pub struct StreamProcessor<Ports: PortSet> {
    /// Stores every record unchanged.
    pub archive: Ports::Archive,
    /// Stores invalid records, events and samples.
    pub quarantine: Ports::Quarantine,
    /// Validates events.
    pub validator: EventValidator<Ports>,
    /// Publishes events.
    pub publisher: Publisher<Ports>,
    /// Drops stored events and stores new ones.
    pub store: EventStore<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> StreamProcessor<Ports> {
    /// Processes a batch. An invalid record never blocks the others: it is quarantined, and only transient failures are
    /// retried.
    pub async fn process_batch(&self, records: &[Record]) -> BatchOutcome {
        self.process(Batch { records, is_redrive: false }).await
    }

    /// Processes records that arrived earlier, at the same time as batches of the stream with events of the same vehicles. An
    /// event that is stored already is dropped. The state and the received time of the others are as if the records had been
    /// processed when they arrived.
    pub async fn redrive_batch(&self, records: &[Record]) -> BatchOutcome {
        self.process(Batch { records, is_redrive: true }).await
    }

    async fn process(&self, batch: Batch<'_>) -> BatchOutcome {
        let records = batch.records;
        let mut outcome = BatchOutcome::default();
        if let Err(error) = self.archive(records).await {
            outcome.fail(0, error);
            return outcome;
        }
        let started = self.clock.now();
        let (mut chunk, mut texts) = (Chunk::default(), RecordTexts::default());
        let mut names = match self.validator.start_batch().await {
            Ok(names) => names,
            Err(error) => {
                outcome.fail(0, error);
                return outcome;
            }
        };
        // Most records are about the vehicle that their partition key names.
        self.validator.resolve(records.iter().map(|record| record.raw.partition_key.as_str()), &mut names).await;
        for index in 0..records.len() {
            // The first record is always started, so that every batch makes progress.
            if index > 0 && self.clock.now().ms_since(started) > START_DEADLINE_MS {
                outcome.fail(index, PortError::new(PortErrorKind::TimedOut, "start the remaining records of the batch"));
                break;
            }
            outcome.add(self.process_record(batch, index, &mut names, &mut texts, &mut chunk).await);
        }
        outcome.add(self.flush(records, chunk).await);
        outcome
    }

    /// Validates the events of a record into the chunk, and flushes the chunk when it is full.
    async fn process_record(
        &self,
        batch: Batch<'_>,
        record_index: usize,
        names: &mut ResolvedNames,
        texts: &mut RecordTexts,
        chunk: &mut Chunk,
    ) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        let records = batch.records;
        let record = &records[record_index];
        // One record at a time: the decompressed text is freed before the next record is read.
        let text = texts.read(&record.raw.data);
        let text = text.as_ref().map_err(Clone::clone);
        match text.and_then(|text| ReceivedEvent::parse_all(batch, record_index, text)) {
            Ok(events) => {
                let mut budget = stream_record::record_budget();
                self.validator.resolve(events.iter().filter_map(ReceivedEvent::vehicle_name), names).await;
                for event in events {
                    let validated = self.validator.validate(event, names, &mut budget).await;
                    chunk.extend(validated.remaining, validated.quarantined);
                    outcome.add(validated.outcome);
                    outcome.add(self.flush_if_full(records, chunk).await);
                }
            }
            Err(refusal) => {
                outcome.counts.samples_received = 1;
                let key = record.raw.partition_key.as_str();
                self.validator.resolve(std::iter::once(key), names).await;
                if names.was_erased_at(key, record.raw.arrived_at) {
                    outcome.counts.samples_erased = 1;
                    return outcome;
                }
                let item = QuarantinedItemBuilder { record }.refused(&refusal, None, &record.raw.data, 1);
                chunk.extend(Vec::new(), vec![(record_index, item)]);
                outcome.add(self.flush_if_full(records, chunk).await);
            }
        }
        outcome
    }

    /// Stores the records in the archive, one object per shard.
    async fn archive(&self, records: &[Record]) -> Result<(), PortError> {
        let mut shards: BTreeMap<&str, Vec<Arc<RawRecord>>> = BTreeMap::new();
        for record in records {
            shards.entry(&record.shard).or_default().push(Arc::clone(&record.raw));
        }
        for (shard, records) in shards {
            self.archive.store(&RawBatch { shard: shard.to_owned(), records }).await?;
        }
        Ok(())
    }

    async fn flush_if_full(&self, records: &[Record], chunk: &mut Chunk) -> BatchOutcome {
        if chunk.is_full() { self.flush(records, std::mem::take(chunk)).await } else { BatchOutcome::default() }
    }

    /// Flushes a chunk: quarantines its invalid items, drops its duplicates, publishes and stores the rest. Items are
    /// quarantined before events are stored, so that the invalid samples of a stored event are in quarantine.
    async fn flush(&self, records: &[Record], chunk: Chunk) -> BatchOutcome {
        let Chunk { pending, quarantined, .. } = chunk;
        let mut outcome = self.store_quarantined(quarantined).await;
        let (deduplicated, states) = self.store.drop_duplicates(pending).await;
        outcome.add(deduplicated.outcome);
        let published = self.publisher.publish(records, deduplicated.remaining).await;
        outcome.add(published.outcome);
        outcome.add(self.store_quarantined(published.quarantined).await);
        let stored = self.store.store(records, published.remaining, states).await;
        outcome.add(stored.outcome);
        outcome.add(self.store_quarantined(stored.quarantined).await);
        outcome
    }

    /// Stores items in quarantine.
    async fn store_quarantined(&self, quarantined: Vec<(usize, QuarantinedItem)>) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        let Some(first) = quarantined.iter().map(|(record, _)| *record).min() else { return outcome };
        let items: Vec<QuarantinedItem> = quarantined.into_iter().map(|(_, item)| item).collect();
        match self.quarantine.store(&items).await {
            Ok(()) => {
                for item in items {
                    *outcome.counts.samples_quarantined.entry(item.reason).or_default() += item.samples;
                }
            }
            Err(error) => outcome.fail(first, error),
        }
        outcome
    }
}
