//! A model of the event source mapping between a Kinesis stream and a Lambda function.
//!
//! It drives a handler with the records of a [`MemoryStream`], by the rules of the AWS Lambda developer guide, chapter
//! "Using Lambda to process records from Amazon Kinesis Data Streams". Every rule names the section that it follows. What the
//! guide leaves open is said where it is decided. Time is the [`ManualClock`]'s: nothing waits.
//!
//! Not modelled: the poll rate of once a second, tumbling windows, enhanced fan-out, starting positions other than
//! `TRIM_HORIZON`, filters, and limits on concurrency.

mod config;
mod lane;
mod payload;

use std::collections::BTreeMap;

use futures::future::join_all;
use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;

pub use config::MappingConfig;
pub use payload::{kinesis_event, record_bytes};

use lane::{Lane, Piece, Verdict};
use roadcast_testbed::{ManualClock, MemoryStream, StreamRecordIn, slot};

/// What a function answers that reports failures by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResponse {
    /// Sequence numbers of the records that failed; none where all is well.
    pub batch_item_failures: Vec<String>,
}

impl BatchResponse {
    /// All is well.
    pub fn success() -> Self {
        Self::default()
    }

    /// This record failed, and nothing after it was tried.
    pub fn from_record_on(sequence_number: impl Into<String>) -> Self {
        Self { batch_item_failures: vec![sequence_number.into()] }
    }
}

/// Records that the mapping gave up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Why.
    pub condition: DiscardCondition,
    /// When.
    pub at: Timestamp,
    /// The records: of one shard, in order. A queue as destination would get only their sequence numbers and number.
    pub records: Vec<StreamRecordIn>,
}

/// Why the mapping gave up.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum DiscardCondition {
    /// The retries were used up.
    RetryAttemptsExhausted,
    /// Older than the mapping takes.
    RecordAgeExceeded,
    /// Older than the stream keeps: lost, and no destination hears of it.
    Expired,
}

/// One call of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// When.
    pub at: Timestamp,
    /// The shard.
    pub shard: String,
    /// Which of the shard's concurrent batches it was, from 0.
    pub lane: usize,
    /// The first record's sequence number.
    pub first: String,
    /// The last record's sequence number.
    pub last: String,
    /// How many records.
    pub records: usize,
    /// Bytes of the event, base64 and envelopes included.
    pub payload_bytes: usize,
    /// How many retries were counted for these records before.
    pub retries: u32,
    /// Whether every record in it was done.
    pub succeeded: bool,
}

/// The mapping.
///
/// *Polling and batching streams*: a batch holds records of one shard, in order, and while it is being processed, or
/// retried, no other batch of its lane is. `ParallelizationFactor`: a shard has that many lanes; records of one partition key
/// are always in the same.
#[derive(Debug)]
pub struct EventSourceMapping {
    config: MappingConfig,
    stream: MemoryStream,
    clock: ManualClock,
    /// How far each shard is read.
    read: Vec<usize>,
    /// By shard and place.
    lanes: BTreeMap<(usize, usize), Lane>,
    done: usize,
    discarded: Vec<Discarded>,
    invocations: Vec<Invocation>,
}

impl EventSourceMapping {
    /// A mapping that begins at the stream's first record (`TRIM_HORIZON`).
    pub fn new(config: MappingConfig, stream: MemoryStream, clock: ManualClock) -> Self {
        let (shards, now) = (stream.shard_count(), clock.now());
        let factor = config.parallelization_factor.clamp(1, 10);
        let places = (0..shards).flat_map(|shard| (0..factor).map(move |lane| (shard, lane)));
        let lanes = places.map(|place| (place, Lane::new(now))).collect();
        Self { config, read: vec![0; shards], lanes, stream, clock, done: 0, discarded: Vec::new(), invocations: Vec::new() }
    }

    /// Calls the function once for every lane that has a batch due now, all of them concurrently, and takes in their
    /// answers. Says how many calls there were.
    pub async fn poll<H, E>(&mut self, handler: &H) -> usize
    where
        H: AsyncFn(Vec<StreamRecordIn>) -> Result<BatchResponse, E>,
    {
        self.read_stream();
        let now = self.clock.now();
        self.discard_aged(now);
        let mut due = Vec::new();
        for (&place, lane) in &mut self.lanes {
            due.extend(lane.take(&self.config, now).map(|piece| (place, piece)));
        }
        let calls = due.iter().map(|(_, piece)| handler(piece.records.clone()));
        let answers = join_all(calls).await;
        let count = answers.len();
        for ((place, piece), answer) in due.into_iter().zip(answers) {
            self.settle(place, piece, answer.ok().as_ref(), now);
        }
        count
    }

    /// Goes on, moving the clock to whatever is due next, until every record is done or discarded. A handler that never
    /// succeeds goes on until its records expire.
    pub async fn drain<H, E>(&mut self, handler: &H)
    where
        H: AsyncFn(Vec<StreamRecordIn>) -> Result<BatchResponse, E>,
    {
        loop {
            if self.poll(handler).await > 0 {
                continue;
            }
            let Some(due) = self.next_due() else { return };
            self.clock.set(due.max(self.clock.now()));
        }
    }

    /// When the next batch is due, if any record waits; in the past where it is overdue.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        self.read_stream();
        self.lanes.values().filter_map(|lane| lane.due(&self.config)).min()
    }

    /// Forgets the batches under way and reads on from the checkpoint, as a mapping does that was stopped and started:
    /// retried records come again, in batches of other boundaries, and their retries count from zero.
    pub fn restart(&mut self) {
        let now = self.clock.now();
        for lane in self.lanes.values_mut() {
            lane.restart(now);
        }
    }

    /// How many records are neither done nor discarded.
    pub fn backlog(&self) -> usize {
        self.stream.records().len() - self.done
    }

    /// How old the oldest record is that is neither done nor discarded; 0 where there is none.
    pub fn iterator_age_ms(&mut self) -> i64 {
        self.read_stream();
        let oldest = self.lanes.values().filter_map(Lane::oldest).min();
        oldest.map_or(0, |oldest| self.clock.now().ms_since(oldest))
    }

    /// What the mapping gave up on, in order: what its on-failure destination hears of, and what expired.
    pub fn discarded(&self) -> &[Discarded] {
        &self.discarded
    }

    /// Every call of the function, in order.
    pub fn invocations(&self) -> &[Invocation] {
        &self.invocations
    }

    fn read_stream(&mut self) {
        for (shard, read) in self.read.iter_mut().enumerate() {
            for record in self.stream.read(shard, *read) {
                *read += 1;
                // A salt of its own: the keys of one shard spread over all its lanes.
                let place = slot(&record.partition_key, 1, self.config.parallelization_factor.clamp(1, 10));
                if let Some(lane) = self.lanes.get_mut(&(shard, place)) {
                    lane.push(record);
                }
            }
        }
    }

    /// *Retain discarded batch records*: what is over age is not sent to the function, neither first nor again.
    fn discard_aged(&mut self, now: Timestamp) {
        let limits = [
            (Some(self.config.retention_ms), DiscardCondition::Expired),
            (self.config.max_record_age_ms, DiscardCondition::RecordAgeExceeded),
        ];
        for (limit, condition) in limits {
            let Some(limit) = limit else { continue };
            for lane in self.lanes.values_mut() {
                let records = lane.take_older_than(limit, now);
                if !records.is_empty() {
                    self.done += records.len();
                    self.discarded.push(Discarded { condition, at: now, records });
                }
            }
        }
    }

    fn settle(&mut self, place: (usize, usize), piece: Piece, answer: Option<&BatchResponse>, at: Timestamp) {
        let verdict = Verdict::on(&self.config, &piece, answer);
        self.record_call(place.1, &piece, &verdict, at);
        let Some(lane) = self.lanes.get_mut(&place) else { return };
        let before = piece.records.len();
        // Handlers may move the clock: what follows happens after they answered.
        let now = self.clock.now();
        let (left, given_up) = lane.settle(&self.config, piece, verdict, now);
        self.done += before - left;
        if let Some(records) = given_up {
            self.discarded.push(Discarded { condition: DiscardCondition::RetryAttemptsExhausted, at: now, records });
        }
    }

    fn record_call(&mut self, lane: usize, piece: &Piece, verdict: &Verdict, at: Timestamp) {
        let (Some(first), Some(last)) = (piece.records.first(), piece.records.last()) else { return };
        self.invocations.push(Invocation {
            at,
            shard: first.shard.clone(),
            lane,
            first: first.sequence_number.clone(),
            last: last.sequence_number.clone(),
            records: piece.records.len(),
            payload_bytes: payload::event_bytes(&piece.records),
            retries: piece.retries,
            succeeded: *verdict == Verdict::Done,
        });
    }
}

#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod tests;
