//! The loop over the records of a batch: validates their events into chunks, and flushes each chunk.

use roadcast_codec::stream_record::{self, RecordTexts};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{Batch, BatchOutcome};
use super::chunk::{Chunk, ChunkTarget};
use super::quarantine::QuarantinedItemBuilder;
use super::validate::{EventValidator, ReceivedEvent, ResolvedNames};

/// Deadline for starting a record, in milliseconds: half of the function's timeout. Records not started by then are
/// retried. The second half suffices for the records in progress, because the size of a record and of a chunk is bounded.
const START_DEADLINE_MS: i64 = 60 * 1000;

impl<Ports: PortSet> EventValidator<Ports> {
    /// Validates the records of a batch, and flushes their events in chunks.
    pub(super) async fn process<Target: ChunkTarget>(
        &self,
        batch: Batch<'_>,
        clock: &impl Clock,
        target: &Target,
    ) -> BatchOutcome {
        let records = batch.records;
        let mut outcome = BatchOutcome::default();
        let started = clock.now();
        let (mut chunk, mut texts) = (Chunk::default(), RecordTexts::default());
        let mut names = match self.start_batch().await {
            Ok(names) => names,
            Err(error) => {
                outcome.fail(0, error);
                return outcome;
            }
        };
        // Most records are about the vehicle that their partition key names.
        self.resolve(records.iter().map(|record| record.raw.partition_key.as_str()), &mut names).await;
        for index in 0..records.len() {
            // The first record is always started, so that every batch makes progress.
            if index > 0 && clock.now().ms_since(started) > START_DEADLINE_MS {
                outcome.unstarted_from = Some(index);
                outcome.fail(index, PortError::new(PortErrorKind::TimedOut, "start the remaining records of the batch"));
                break;
            }
            outcome.add(self.process_record(batch, index, &mut names, &mut texts, &mut chunk, target).await);
            if !Target::CONTINUES_AFTER_FAILURE && outcome.retry_from.is_some() {
                return outcome;
            }
        }
        outcome.add(target.flush(records, chunk).await);
        outcome
    }

    /// Validates the events of a record into the chunk, and flushes the chunk when it is full.
    async fn process_record<Target: ChunkTarget>(
        &self,
        batch: Batch<'_>,
        record_index: usize,
        names: &mut ResolvedNames,
        texts: &mut RecordTexts,
        chunk: &mut Chunk,
        target: &Target,
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
