//! A model of the event source mapping between a Kinesis stream and a Lambda function.
//!
//! It invokes a handler with the records of a [`MemoryStream`], by the rules of the AWS Lambda developer guide, chapter
//! "Using Lambda to process records from Amazon Kinesis Data Streams". Every rule names the section that it follows. Choices
//! that the guide leaves open are documented where they are made. Time comes from the [`ManualClock`]; nothing sleeps.
//!
//! By default, a mapping has each record at once. [`EventSourceMapping::with_reads`] makes it poll, within the limits of a shard, or
//! read by enhanced fan-out.
//!
//! Not modelled: tumbling windows, starting positions other than `TRIM_HORIZON`, filters, limits on concurrency, and how much a
//! mapping reads ahead of its function (here, everything).

mod batch_queue;
mod config;
mod payload;
mod reads;

use std::collections::BTreeMap;

use futures::future::join_all;
use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;

pub use config::MappingConfig;
pub use payload::{kinesis_event, record_bytes};
pub use reads::{
    CATCH_UP_POLL_MS, FAN_OUT_DELAY_MS, POLL_MS, READ_BYTES, READ_BYTES_PER_S, READ_RECORDS, READS_PER_S, Reads, SharedReads,
};

use batch_queue::{BatchDisposition, BatchQueue, PendingBatch};
use reads::Position;
use roadcast_testbed::{ManualClock, MemoryStream, ShardRecord, hash_bucket};

/// The response of a function that reports failures by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResponse {
    /// Sequence numbers of the failed records; empty if all records succeeded.
    pub batch_item_failures: Vec<String>,
    /// How long the invocation took, in milliseconds of virtual time. Until then, the queue of the batch has no other one.
    pub duration_ms: i64,
}

impl BatchResponse {
    /// Returns the response for a batch without failures.
    pub fn success() -> Self {
        Self::default()
    }

    /// Returns the response for a batch that failed at this record; later records were not processed.
    pub fn failed_from(sequence_number: impl Into<String>) -> Self {
        Self { batch_item_failures: vec![sequence_number.into()], duration_ms: 0 }
    }

    /// Returns the response with the duration of the invocation.
    #[must_use]
    pub fn after_ms(self, duration_ms: i64) -> Self {
        Self { duration_ms, ..self }
    }
}

/// Records that the mapping discarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardedBatch {
    /// Reason.
    pub condition: DiscardCondition,
    /// Time of discarding.
    pub at: Timestamp,
    /// The records, of one shard, in order. An SQS queue as destination would receive only their sequence numbers and count.
    pub records: Vec<ShardRecord>,
}

/// Why the mapping discarded records.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum DiscardCondition {
    /// The retry attempts were exhausted.
    RetryAttemptsExhausted,
    /// Older than the maximum record age of the mapping.
    RecordAgeExceeded,
    /// Older than the stream's retention: lost without a message to the destination.
    Expired,
}

/// One invocation of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Time of the invocation.
    pub at: Timestamp,
    /// Shard id.
    pub shard: String,
    /// Index of the batch among the concurrent batches of its shard, from 0.
    pub queue: usize,
    /// Sequence number of the first record.
    pub first: String,
    /// Sequence number of the last record.
    pub last: String,
    /// Number of records.
    pub records: usize,
    /// Size of the event in bytes, including base64 and envelopes.
    pub payload_bytes: usize,
    /// Number of earlier retries of these records.
    pub retries: u32,
    /// Whether every record succeeded.
    pub succeeded: bool,
}

/// An event source mapping.
///
/// *Polling and batching streams*: a batch holds records of one shard, in order. While a batch is processed or retried, no
/// other batch of its queue is. `ParallelizationFactor`: the number of queues of a shard; records of one partition key are
/// always in the same queue.
#[derive(Debug)]
pub struct EventSourceMapping {
    config: MappingConfig,
    stream: MemoryStream,
    clock: ManualClock,
    reads: Reads,
    /// By shard.
    positions: Vec<Position>,
    /// By shard and index of the queue.
    queues: BTreeMap<(usize, usize), BatchQueue>,
    /// Number of records that succeeded or were discarded.
    completed: usize,
    discarded: Vec<DiscardedBatch>,
    invocations: Vec<Invocation>,
}

impl EventSourceMapping {
    /// Returns a mapping that starts at the stream's first record (`TRIM_HORIZON`).
    pub fn new(config: MappingConfig, stream: MemoryStream, clock: ManualClock) -> Self {
        let (shards, now) = (stream.shard_count(), clock.now());
        let factor = config.parallelization_factor.clamp(1, 10);
        let keys = (0..shards).flat_map(|shard| (0..factor).map(move |queue| (shard, queue)));
        let queues = keys.map(|key| (key, BatchQueue::new(now))).collect();
        Self {
            config,
            reads: Reads::Immediate,
            positions: vec![Position::default(); shards],
            queues,
            stream,
            clock,
            completed: 0,
            discarded: Vec::new(),
            invocations: Vec::new(),
        }
    }

    /// Returns the mapping with another way to get records.
    #[must_use]
    pub fn with_reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// Invokes the function once for every queue with a batch that is due, all concurrently, and applies the responses.
    /// Returns the number of invocations.
    pub async fn poll<H, E>(&mut self, handler: &H) -> usize
    where
        H: AsyncFn(Vec<ShardRecord>) -> Result<BatchResponse, E>,
    {
        self.read_stream();
        let now = self.clock.now();
        self.discard_aged(now);
        let mut due = Vec::new();
        for (&key, queue) in &mut self.queues {
            due.extend(queue.take(&self.config, now).map(|batch| (key, batch)));
        }
        let invocations = due.iter().map(|(_, batch)| handler(batch.records.clone()));
        let responses = join_all(invocations).await;
        let count = responses.len();
        for ((key, batch), response) in due.into_iter().zip(responses) {
            self.complete(key, batch, response.ok().as_ref(), now);
        }
        count
    }

    /// Polls until every record has succeeded or was discarded, advancing the clock to the next batch that is due. With a
    /// handler that never succeeds, it polls until the records expire.
    pub async fn drain<H, E>(&mut self, handler: &H)
    where
        H: AsyncFn(Vec<ShardRecord>) -> Result<BatchResponse, E>,
    {
        loop {
            if self.poll(handler).await > 0 {
                continue;
            }
            let Some(due) = self.next_due() else { return };
            self.clock.set(due.max(self.clock.now()));
        }
    }

    /// Returns the time at which the next batch is due or the next records are read, in the past if it is overdue; `None` if no record
    /// waits.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        self.read_stream();
        let batches = self.queues.values().filter_map(|queue| queue.due(&self.config));
        let positions = self.positions.iter().enumerate();
        let next_reads = positions.filter_map(|(shard, position)| position.next_read(&self.reads, &self.stream, shard));
        batches.chain(next_reads).min()
    }

    /// Drops the batches in progress and continues from the checkpoint, like a mapping that was disabled and enabled:
    /// retried records are sent again in batches with other boundaries, and their retries count from zero.
    pub fn restart(&mut self) {
        let now = self.clock.now();
        for queue in self.queues.values_mut() {
            queue.restart(now);
        }
    }

    /// Returns the number of records that have neither succeeded nor been discarded.
    pub fn backlog(&self) -> usize {
        self.stream.records().len() - self.completed
    }

    /// Returns the age of the oldest record that has neither succeeded nor been discarded; 0 if there is none.
    pub fn iterator_age_ms(&mut self) -> i64 {
        self.read_stream();
        let oldest = self.queues.values().filter_map(BatchQueue::oldest).min();
        oldest.map_or(0, |oldest| self.clock.now().ms_since(oldest))
    }

    /// Returns the discarded batches, in order: those sent to the on-failure destination, and expired ones.
    pub fn discarded(&self) -> &[DiscardedBatch] {
        &self.discarded
    }

    /// Returns every invocation of the function, in order.
    pub fn invocations(&self) -> &[Invocation] {
        &self.invocations
    }

    fn read_stream(&mut self) {
        let now = self.clock.now();
        for (shard, position) in self.positions.iter_mut().enumerate() {
            for record in position.read(&self.reads, &self.stream, shard, now) {
                // Another salt than for the shard, so that the keys of one shard are distributed over all its queues.
                let index = hash_bucket(&record.partition_key, 1, self.config.parallelization_factor.clamp(1, 10));
                if let Some(queue) = self.queues.get_mut(&(shard, index)) {
                    queue.push(record);
                }
            }
        }
    }

    /// *Retain discarded batch records*: records over the maximum age are not sent to the function, neither first nor again.
    fn discard_aged(&mut self, now: Timestamp) {
        let limits = [
            (Some(self.config.retention_ms), DiscardCondition::Expired),
            (self.config.max_record_age_ms, DiscardCondition::RecordAgeExceeded),
        ];
        for (limit, condition) in limits {
            let Some(limit) = limit else { continue };
            for queue in self.queues.values_mut() {
                let records = queue.take_older_than(limit, now);
                if !records.is_empty() {
                    self.completed += records.len();
                    self.discarded.push(DiscardedBatch { condition, at: now, records });
                }
            }
        }
    }

    fn complete(&mut self, key: (usize, usize), batch: PendingBatch, response: Option<&BatchResponse>, at: Timestamp) {
        let disposition = BatchDisposition::of(&self.config, &batch, response);
        self.record_invocation(key.1, &batch, &disposition, at);
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let before = batch.records.len();
        // Handlers may advance the clock; retries are scheduled from the time after the response.
        let now = self.clock.now().plus_ms(response.map_or(0, |response| response.duration_ms));
        let (remaining, discarded) = queue.complete(&self.config, batch, disposition, now);
        self.completed += before - remaining;
        if let Some(records) = discarded {
            self.discarded.push(DiscardedBatch { condition: DiscardCondition::RetryAttemptsExhausted, at: now, records });
        }
    }

    fn record_invocation(&mut self, queue: usize, batch: &PendingBatch, disposition: &BatchDisposition, at: Timestamp) {
        let (Some(first), Some(last)) = (batch.records.first(), batch.records.last()) else { return };
        self.invocations.push(Invocation {
            at,
            shard: first.shard.clone(),
            queue,
            first: first.sequence_number.clone(),
            last: last.sequence_number.clone(),
            records: batch.records.len(),
            payload_bytes: payload::event_bytes(&batch.records),
            retries: batch.retries,
            succeeded: *disposition == BatchDisposition::Succeeded,
        });
    }
}

#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod tests;
