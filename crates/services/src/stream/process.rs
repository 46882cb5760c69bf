//! The loop over the records of a batch: validates their events into chunks, and flushes each chunk.

use roadcast_codec::stream_record::{self, RecordTexts};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::alerts::AlertReader;
use super::batch::{Batch, BatchOutcome, PendingEvent};
use super::chunk::{Chunk, ChunkTarget};
use super::quarantine::QuarantinedItemBuilder;
use super::record_kind::RecordKind;
use super::validate::{EventValidator, ReceivedEvent, ResolvedNames};

/// Deadline for starting a record, in milliseconds: half of the function's timeout. Records not started by then are
/// retried. The second half suffices for the records in progress, because the size of a record and of a chunk is bounded.
const START_DEADLINE_MS: i64 = 60 * 1000;

/// What the loop keeps between records.
struct Progress {
    names: ResolvedNames,
    texts: RecordTexts,
    /// What is not flushed yet.
    chunk: Chunk,
}

impl<Ports: PortSet> EventValidator<Ports> {
    /// Validates the records of a batch, and flushes their events and alerts in chunks.
    pub(super) async fn process<Target: ChunkTarget>(
        &self,
        batch: Batch<'_>,
        alerts: &AlertReader<Ports>,
        clock: &impl Clock,
        target: &Target,
    ) -> BatchOutcome {
        let records = batch.records;
        let mut outcome = BatchOutcome::default();
        let started = clock.now();
        let mut names = match self.start_batch().await {
            Ok(names) => names,
            Err(error) => {
                outcome.fail(0, error);
                return outcome;
            }
        };
        // Most records are about the vehicle that their partition key names.
        self.resolve(records.iter().map(|record| record.raw.partition_key.as_str()), &mut names).await;
        let mut progress = Progress { names, texts: RecordTexts::default(), chunk: Chunk::default() };
        for index in 0..records.len() {
            // The first record is always started, so that every batch makes progress.
            if index > 0 && clock.now().ms_since(started) > START_DEADLINE_MS {
                outcome.unstarted_from = Some(index);
                outcome.fail(index, PortError::new(PortErrorKind::TimedOut, "start the remaining records of the batch"));
                break;
            }
            outcome.add(self.process_record(batch, index, alerts, &mut progress, target).await);
            if !Target::CONTINUES_AFTER_FAILURE && outcome.retry_from.is_some() {
                return outcome;
            }
        }
        outcome.add(target.flush(records, progress.chunk).await);
        outcome
    }

    /// Validates the events of a record into the chunk, and flushes the chunk when it is full.
    async fn process_record<Target: ChunkTarget>(
        &self,
        batch: Batch<'_>,
        record_index: usize,
        alerts: &AlertReader<Ports>,
        progress: &mut Progress,
        target: &Target,
    ) -> BatchOutcome {
        let Progress { names, texts, chunk } = progress;
        let mut outcome = BatchOutcome::default();
        let records = batch.records;
        let record = &records[record_index];
        // One record at a time: the decompressed text is freed before the next record is read.
        let text = texts.read(&record.raw.data);
        let text = text.as_ref().map_err(Clone::clone);
        match text.as_ref().ok().map(|text| (RecordKind::of(text), text)) {
            Some((RecordKind::Tick, _)) => return outcome,
            Some((RecordKind::Alert, text)) => {
                let mut read = alerts.read(batch, record_index, text).await;
                self.resolve(read.remaining.iter().map(|alert| alert.vid().as_str()), names).await;
                let was_erased = |alert: &mut PendingEvent| names.was_erased_at(alert.vid().as_str(), record.raw.arrived_at);
                outcome.counts.samples_erased += read.remaining.extract_if(.., was_erased).count();
                chunk.extend_alerts(read.remaining, read.quarantined);
                outcome.add(read.outcome);
                if chunk.is_full() && (Target::CONTINUES_AFTER_FAILURE || outcome.retry_from.is_none()) {
                    outcome.add(target.flush(records, std::mem::take(chunk)).await);
                }
                return outcome;
            }
            Some((RecordKind::Events, _)) | None => {}
        }
        match text.and_then(|text| ReceivedEvent::parse_all(batch, record_index, text)) {
            Ok(events) => {
                let mut budget = stream_record::record_budget();
                self.resolve(events.iter().filter_map(ReceivedEvent::vehicle_name), names).await;
                for event in events {
                    if batch.vehicles.is_some_and(|vehicles| !names.may_be_of(&event, vehicles)) {
                        continue;
                    }
                    let validated = self.validate(event, names, &mut budget).await;
                    chunk.extend(validated.remaining, validated.quarantined);
                    outcome.add(validated.outcome);
                    if chunk.is_full() && (Target::CONTINUES_AFTER_FAILURE || outcome.retry_from.is_none()) {
                        outcome.add(target.flush(records, std::mem::take(chunk)).await);
                    }
                }
            }
            // A record that cannot be read is of no vehicle.
            Err(_) if batch.vehicles.is_some() => {}
            Err(refusal) => {
                outcome.counts.samples_received = 1;
                let key = record.raw.partition_key.as_str();
                self.resolve(std::iter::once(key), names).await;
                if names.was_erased_at(key, record.raw.arrived_at) {
                    outcome.counts.samples_erased = 1;
                    return outcome;
                }
                let item = QuarantinedItemBuilder { record }.refused(&refusal, None, &record.raw.data, 1);
                chunk.extend(Vec::new(), vec![(record_index, item)]);
                if chunk.is_full() {
                    outcome.add(target.flush(records, std::mem::take(chunk)).await);
                }
            }
        }
        outcome
    }
}
