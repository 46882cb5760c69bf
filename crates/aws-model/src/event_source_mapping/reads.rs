//! How a mapping gets the records of a shard: at once, by polls that share the limits of the shard, or by enhanced fan-out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use roadcast_signals::Timestamp;
use roadcast_testbed::{MemoryStream, ShardRecord};

/// *Quotas and limits*, Kinesis developer guide: each shard supports five read transactions per second.
pub const READS_PER_S: usize = 5;
/// The same page: and up to 2 MB of read data per second.
pub const READ_BYTES_PER_S: usize = 2_000_000;
/// `GetRecords`, API reference: a call returns at most 10 MB. If it returns that, calls within the next five seconds fail.
pub const READ_BYTES: usize = 10_000_000;
/// `GetRecords`, API reference: a call returns at most 10,000 records.
pub const READ_RECORDS: usize = 10_000;
/// *Polling and batching streams*, Lambda developer guide: Lambda polls each shard at a base rate of once per second.
pub const POLL_MS: i64 = 1000;
/// A mapping that is behind polls as often as a shard allows. The guide says that it keeps processing until it catches up, not how
/// often it polls; this is the most that a shard supports.
pub const CATCH_UP_POLL_MS: i64 = 200;
/// *Develop enhanced fan-out consumers*, Kinesis developer guide: the propagation delay is 70 ms on average.
pub const FAN_OUT_DELAY_MS: i64 = 70;

/// How a mapping gets the records of its stream.
#[derive(Clone, Debug, Default)]
pub enum Reads {
    /// At once, without limits: for tests that are not about reads.
    #[default]
    Immediate,
    /// By polls, which share the limits of each shard with the polls of other mappings.
    Polls {
        /// What the mappings of the stream share.
        shared: SharedReads,
        /// When the first poll is.
        first: Timestamp,
    },
    /// By enhanced fan-out: the records are pushed, in a pipe of 2 MB/s of the mapping alone.
    FanOut,
}

/// The reads of a stream by all mappings without fan-out. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct SharedReads(Arc<Mutex<BTreeMap<usize, ShardReads>>>);

/// The recent reads of a shard.
#[derive(Debug, Default)]
struct ShardReads {
    /// The reads of the last second, with their bytes.
    recent: VecDeque<(Timestamp, usize)>,
    /// Until when a read of more than 2 MB makes calls fail.
    blocked_until: Option<Timestamp>,
    throttled: usize,
}

impl SharedReads {
    /// Whether the shard accepts a read now. A read that it refuses is counted.
    fn allow(&self, shard: usize, now: Timestamp) -> bool {
        let mut shards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = shards.entry(shard).or_default();
        while reads.recent.front().is_some_and(|(at, _)| now.ms_since(*at) >= 1000) {
            reads.recent.pop_front();
        }
        let bytes: usize = reads.recent.iter().map(|(_, bytes)| bytes).sum();
        let is_blocked = reads.blocked_until.is_some_and(|until| now < until);
        let is_allowed = !is_blocked && reads.recent.len() < READS_PER_S && bytes < READ_BYTES_PER_S;
        reads.throttled += usize::from(!is_allowed);
        is_allowed
    }

    /// Records what a read returned. More than 2 MB block the shard until the average is 2 MB/s.
    fn record(&self, shard: usize, now: Timestamp, bytes: usize) {
        let mut shards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = shards.entry(shard).or_default();
        reads.recent.push_back((now, bytes));
        if bytes > READ_BYTES_PER_S {
            let ms = (bytes * 1000).div_ceil(READ_BYTES_PER_S);
            reads.blocked_until = Some(now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
        }
    }

    /// Returns the number of calls that failed with `ProvisionedThroughputExceededException`.
    pub fn throttled(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|reads| reads.throttled).sum()
    }
}

/// The position of a mapping in a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    /// Number of records read.
    read: usize,
    /// When the next poll is; `None` before the first one.
    next_poll: Option<Timestamp>,
    /// Whether the last successful poll left records.
    is_behind: bool,
    /// When the pipe of fan-out has passed everything before, in microseconds.
    pipe_free_us: i64,
}

impl Position {
    /// Returns the records that the mapping gets now.
    pub(super) fn read(&mut self, reads: &Reads, stream: &MemoryStream, shard: usize, now: Timestamp) -> Vec<ShardRecord> {
        let records = match reads {
            Reads::Immediate => stream.read(shard, self.read),
            Reads::Polls { shared, first } => self.poll(shared, *first, stream, shard, now),
            Reads::FanOut => self.receive(stream, shard, now),
        };
        self.read += records.len();
        records
    }

    /// Returns when the mapping gets the next records; `None` if it has all of them.
    pub(super) fn next_read(&self, reads: &Reads, stream: &MemoryStream, shard: usize) -> Option<Timestamp> {
        let record = stream.read_page(shard, self.read, 1, usize::MAX).pop()?;
        Some(match reads {
            Reads::Immediate => record.arrived_at,
            Reads::Polls { first, .. } => self.poll_after(*first, record.arrived_at),
            Reads::FanOut => Timestamp::from_ms(self.passed_us(&record).div_euclid(1000) + 1),
        })
    }

    /// Returns the first poll from a time on. Polls that find no records are not simulated, but keep their rhythm.
    fn poll_after(&self, first: Timestamp, time: Timestamp) -> Timestamp {
        let due = self.next_poll.unwrap_or(first);
        let late_ms = time.ms_since(due).max(0);
        due.plus_ms((late_ms + POLL_MS - 1).div_euclid(POLL_MS) * POLL_MS)
    }

    fn poll(
        &mut self,
        limits: &SharedReads,
        first: Timestamp,
        stream: &MemoryStream,
        shard: usize,
        now: Timestamp,
    ) -> Vec<ShardRecord> {
        let Some(record) = stream.read_page(shard, self.read, 1, usize::MAX).pop() else { return Vec::new() };
        if now < self.poll_after(first, record.arrived_at) {
            return Vec::new();
        }
        let mut records = Vec::new();
        // The guide does not say when Lambda tries again after a failure: here, with its next poll.
        if limits.allow(shard, now) {
            records = stream.read_page(shard, self.read, READ_RECORDS, READ_BYTES);
            limits.record(shard, now, records.iter().map(|record| record.data.len()).sum());
            self.is_behind = self.read + records.len() < stream.shard_len(shard);
        }
        self.next_poll = Some(now.plus_ms(if self.is_behind { CATCH_UP_POLL_MS } else { POLL_MS }));
        records
    }

    /// Returns what the pipe has passed.
    fn receive(&mut self, stream: &MemoryStream, shard: usize, now: Timestamp) -> Vec<ShardRecord> {
        let mut records = stream.read_page(shard, self.read, usize::MAX, usize::MAX);
        let passed = records.iter().take_while(|record| {
            let passed_us = self.passed_us(record);
            let is_passed = passed_us <= now.ms() * 1000;
            if is_passed {
                self.pipe_free_us = passed_us;
            }
            is_passed
        });
        let passed = passed.count();
        records.truncate(passed);
        records
    }

    /// When the pipe has passed a record, in microseconds.
    fn passed_us(&self, record: &ShardRecord) -> i64 {
        let bytes = i64::try_from(record.data.len()).unwrap_or(i64::MAX);
        let sent_us = record.arrived_at.plus_ms(FAN_OUT_DELAY_MS).ms() * 1000;
        // Two bytes in a microsecond.
        self.pipe_free_us.max(sent_us) + bytes / 2
    }
}

#[cfg(test)]
mod tests;
