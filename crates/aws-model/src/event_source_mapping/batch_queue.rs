//! The records of a shard, or of a part of its partition keys, which are processed one batch at a time.

use std::collections::VecDeque;

use roadcast_signals::Timestamp;

use super::payload::{PAYLOAD_BYTES, envelope_bytes, record_bytes};
use super::{BatchResponse, MappingConfig};
use roadcast_testbed::ShardRecord;

#[derive(Debug)]
pub(super) struct BatchQueue {
    /// Failed batches and the batches that they were split into, in order; all before the waiting records.
    retried: VecDeque<PendingBatch>,
    waiting: VecDeque<ShardRecord>,
    /// Since when no batch is in progress.
    free_since: Timestamp,
}

/// A batch, or its remaining records.
#[derive(Debug)]
pub(super) struct PendingBatch {
    /// Never empty.
    pub(super) records: Vec<ShardRecord>,
    pub(super) retries: u32,
    due: Timestamp,
}

/// The result of a batch.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchDisposition {
    /// Every record succeeded.
    Succeeded,
    /// The records before this index succeeded; the others are retried.
    SucceededUpTo(usize),
    /// No record succeeded.
    Failed,
}

impl BatchDisposition {
    /// *Configuring partial batch response*: without `ReportBatchItemFailures` only an error fails a batch, and it fails the
    /// entire batch. With it, an empty list is full success; otherwise the lowest reported sequence number is the
    /// checkpoint, from which all records are retried, including those that were not reported. An empty identifier fails
    /// the entire batch. An identifier that is not in the batch does so here as well; the guide does not specify this case.
    pub(super) fn of(config: &MappingConfig, batch: &PendingBatch, response: Option<&BatchResponse>) -> Self {
        let Some(response) = response else { return Self::Failed };
        if !config.report_batch_item_failures {
            return Self::Succeeded;
        }
        let index = |failed: &String| batch.records.iter().position(|record| record.sequence_number == *failed);
        // One unknown identifier makes the entire result `None`.
        let indices: Option<Vec<usize>> = response.batch_item_failures.iter().map(index).collect();
        match indices.map(|indices| indices.into_iter().min()) {
            Some(None) => Self::Succeeded,
            Some(Some(checkpoint)) => Self::SucceededUpTo(checkpoint),
            None => Self::Failed,
        }
    }
}

impl BatchQueue {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { retried: VecDeque::new(), waiting: VecDeque::new(), free_since: now }
    }

    pub(super) fn push(&mut self, record: ShardRecord) {
        self.waiting.push_back(record);
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let retried = self.retried.front().and_then(|batch| batch.records.first());
        retried.or(self.waiting.front()).map(|record| record.arrived_at)
    }

    /// Returns the time at which the next batch is due, whether or not more records arrive.
    pub(super) fn due(&self, config: &MappingConfig) -> Option<Timestamp> {
        if let Some(batch) = self.retried.front() {
            return Some(batch.due);
        }
        let opens = self.opens()?;
        if config.window_ms == 0 {
            return Some(opens);
        }
        let closes = opens.plus_ms(config.window_ms);
        let full = self.fits(config, closes).1;
        Some(full.map_or(closes, |full| full.max(opens)).min(closes))
    }

    /// Removes and returns the next batch, if it is due.
    pub(super) fn take(&mut self, config: &MappingConfig, now: Timestamp) -> Option<PendingBatch> {
        if self.due(config)? > now {
            return None;
        }
        if let Some(batch) = self.retried.pop_front() {
            return Some(batch);
        }
        // A closed window holds the records that had arrived by its end. Without a window, all waiting records are taken.
        let until = if config.window_ms == 0 { now } else { self.opens()?.plus_ms(config.window_ms) };
        let count = self.fits(config, until).0;
        let records: Vec<ShardRecord> = self.waiting.drain(..count).collect();
        (!records.is_empty()).then_some(PendingBatch { records, retries: 0, due: now })
    }

    /// Applies the result of a batch. Returns the number of records to retry, and the discarded records if any.
    ///
    /// *Retain discarded batch records* and `BisectBatchOnFunctionError`: a failed batch is retried until it succeeds, its
    /// retries are exhausted, or its records exceed the maximum age. When it is bisected, its halves are retried one after
    /// the other, and the split does not count as a retry. *Configuring partial batch response*: with bisecting, a batch
    /// that succeeded in part is split at its checkpoint and only the remaining records are retried. A batch that failed at
    /// its first record cannot be split there: the guide does not specify this case, and here it counts as a retry.
    pub(super) fn complete(
        &mut self,
        config: &MappingConfig,
        mut batch: PendingBatch,
        disposition: BatchDisposition,
        now: Timestamp,
    ) -> (usize, Option<Vec<ShardRecord>>) {
        let bisect = config.bisect_batch_on_function_error;
        let checkpoint = match disposition {
            BatchDisposition::Succeeded => batch.records.len(),
            BatchDisposition::SucceededUpTo(checkpoint) => checkpoint,
            BatchDisposition::Failed => 0,
        };
        batch.records.drain(..checkpoint);
        batch.due = now.plus_ms(config.retry_pause_ms.max(1));
        let remaining = batch.records.len();
        let mut discarded = None;
        if remaining == 0 {
            // Nothing to retry.
        } else if disposition == BatchDisposition::Failed && bisect && remaining > 1 {
            let second = batch.records.split_off(remaining / 2);
            self.retried.push_front(PendingBatch { records: second, retries: batch.retries, due: batch.due });
            self.retried.push_front(batch);
        } else if checkpoint > 0 && bisect {
            self.retried.push_front(batch);
        } else if config.max_retry_attempts.is_some_and(|max| batch.retries >= max) {
            discarded = Some(batch.records);
        } else {
            batch.retries += 1;
            self.retried.push_front(batch);
        }
        if self.retried.is_empty() {
            self.free_since = now;
        }
        (if discarded.is_some() { 0 } else { remaining }, discarded)
    }

    /// Removes and returns the records older than `limit_ms`. They are the first ones: a queue is in order of arrival.
    pub(super) fn take_older_than(&mut self, limit_ms: i64, now: Timestamp) -> Vec<ShardRecord> {
        let is_old = |record: &ShardRecord| now.ms_since(record.arrived_at) > limit_ms;
        let mut old = Vec::new();
        for batch in &mut self.retried {
            let count = batch.records.iter().take_while(|record| is_old(record)).count();
            old.extend(batch.records.drain(..count));
        }
        self.retried.retain(|batch| !batch.records.is_empty());
        let count = self.waiting.iter().take_while(|record| is_old(record)).count();
        old.extend(self.waiting.drain(..count));
        old
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        for batch in self.retried.drain(..).rev() {
            for record in batch.records.into_iter().rev() {
                self.waiting.push_front(record);
            }
        }
        self.free_since = now;
    }

    /// Returns the time at which the next window opens; see [`MappingConfig::window_ms`].
    fn opens(&self) -> Option<Timestamp> {
        self.waiting.front().map(|first| first.arrived_at.max(self.free_since))
    }

    /// Returns how many of the waiting records that arrived by `until` fit into a batch, and when the batch became full.
    fn fits(&self, config: &MappingConfig, until: Timestamp) -> (usize, Option<Timestamp>) {
        let mut bytes = envelope_bytes();
        for (count, record) in self.waiting.iter().enumerate() {
            bytes += record_bytes(record);
            if record.arrived_at > until {
                return (count, None);
            }
            // A batch holds at least one record, whatever its size.
            if count > 0 && bytes > PAYLOAD_BYTES {
                return (count, Some(record.arrived_at));
            }
            if count + 1 >= config.batch_size.max(1) {
                return (count + 1, Some(record.arrived_at));
            }
        }
        (self.waiting.len(), None)
    }
}
