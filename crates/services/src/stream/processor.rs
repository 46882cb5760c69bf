//! The processing of one batch, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive as _, Quarantine as _, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::port_set::PortSet;

use super::alerts::AlertReader;
use super::batch::{Batch, BatchOutcome, Record};
use super::chunk::{Chunk, ChunkTarget};
use super::event_store::EventStore;
use super::publish::Publisher;
use super::validate::EventValidator;

/// Processes batches of the stream.
pub struct StreamProcessor<Ports: PortSet> {
    /// Stores every record unchanged.
    pub archive: Ports::Archive,
    /// Stores invalid records, events and samples.
    pub quarantine: Ports::Quarantine,
    /// Validates events.
    pub validator: EventValidator<Ports>,
    /// Reads the alerts of the alert evaluator.
    pub alerts: AlertReader<Ports>,
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
        self.process(Batch::of_stream(records)).await
    }

    /// Processes records that arrived earlier, at the same time as batches of the stream with events of the same vehicles. An
    /// event that is stored already is dropped. The state and the received time of the others are as if the records had been
    /// processed when they arrived.
    pub async fn redrive_batch(&self, records: &[Record]) -> BatchOutcome {
        self.process(Batch::of_earlier(records)).await
    }

    async fn process(&self, batch: Batch<'_>) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        if let Err(error) = self.archive(batch.records).await {
            outcome.fail(0, error);
            return outcome;
        }
        outcome.add(self.validator.process(batch, &self.alerts, &self.clock, self).await);
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

impl<Ports: PortSet> ChunkTarget for StreamProcessor<Ports> {
    /// The other records and chunks of the batch do not depend on the one that failed.
    const CONTINUES_AFTER_FAILURE: bool = true;

    /// Quarantines the invalid items of the chunk, drops its duplicates, publishes and stores the rest, and stores its alerts.
    /// Items are quarantined before events are stored, so that the invalid samples of a stored event are in quarantine.
    async fn flush(&self, records: &[Record], chunk: Chunk) -> BatchOutcome {
        let Chunk { pending, alerts, quarantined, .. } = chunk;
        let mut outcome = self.store_quarantined(quarantined).await;
        let (deduplicated, states) = self.store.drop_duplicates(pending).await;
        outcome.add(deduplicated.outcome);
        let published = self.publisher.publish(records, deduplicated.remaining).await;
        outcome.add(published.outcome);
        outcome.add(self.store_quarantined(published.quarantined).await);
        let stored = self.store.store(records, published.remaining, states).await;
        outcome.add(stored.outcome);
        outcome.add(self.store_quarantined(stored.quarantined).await);
        let stored = self.store.store_alerts(records, alerts).await;
        outcome.add(stored.outcome);
        outcome.add(self.store_quarantined(stored.quarantined).await);
        outcome
    }
}
