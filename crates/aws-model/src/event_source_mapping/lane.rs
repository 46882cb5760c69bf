//! Records that are processed one batch after another: a shard's, or those of a share of its partition keys.

use std::collections::VecDeque;

use roadcast_signals::Timestamp;

use super::payload::{PAYLOAD_BYTES, envelope_bytes, record_bytes};
use super::{BatchResponse, MappingConfig};
use roadcast_testbed::StreamRecordIn;

#[derive(Debug)]
pub(super) struct Lane {
    /// Batches that failed, and what they were split into; in order, and before all that waits.
    retried: VecDeque<Piece>,
    waiting: VecDeque<StreamRecordIn>,
    /// Since when no batch is under way.
    free_since: Timestamp,
}

/// A batch, or what is left of it.
#[derive(Debug)]
pub(super) struct Piece {
    /// Never empty.
    pub(super) records: Vec<StreamRecordIn>,
    pub(super) retries: u32,
    due: Timestamp,
}

/// What is to become of a batch.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it is done.
    Done,
    /// Done up to that place, and to be retried from there on.
    DoneUpTo(usize),
    /// None of it is done.
    Failed,
}

impl Verdict {
    /// *Configuring partial batch response*: without `ReportBatchItemFailures` only an error fails a batch, and it fails all of
    /// it. With it, no failures are full success; otherwise the lowest sequence number reported is the checkpoint, from which
    /// all records are retried, also those that were not reported. An empty identifier fails the whole batch; so does, here,
    /// one that the batch does not hold, of which the guide says nothing.
    pub(super) fn on(config: &MappingConfig, piece: &Piece, answer: Option<&BatchResponse>) -> Self {
        let Some(answer) = answer else { return Self::Failed };
        if !config.report_batch_item_failures {
            return Self::Done;
        }
        let place = |failed: &String| piece.records.iter().position(|record| record.sequence_number == *failed);
        // One unknown identifier makes the whole sum `None`.
        let places: Option<Vec<usize>> = answer.batch_item_failures.iter().map(place).collect();
        match places.map(|places| places.into_iter().min()) {
            Some(None) => Self::Done,
            Some(Some(checkpoint)) => Self::DoneUpTo(checkpoint),
            None => Self::Failed,
        }
    }
}

impl Lane {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { retried: VecDeque::new(), waiting: VecDeque::new(), free_since: now }
    }

    pub(super) fn push(&mut self, record: StreamRecordIn) {
        self.waiting.push_back(record);
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let retried = self.retried.front().and_then(|piece| piece.records.first());
        retried.or(self.waiting.front()).map(|record| record.arrived_at)
    }

    /// When the next batch is due, however much is still to come.
    pub(super) fn due(&self, config: &MappingConfig) -> Option<Timestamp> {
        if let Some(piece) = self.retried.front() {
            return Some(piece.due);
        }
        let opens = self.opens()?;
        let closes = opens.plus_ms(config.window_ms);
        let full = self.fits(config, closes).1;
        Some(full.map_or(closes, |full| full.max(opens)).min(closes))
    }

    /// The next batch, if it is due.
    pub(super) fn take(&mut self, config: &MappingConfig, now: Timestamp) -> Option<Piece> {
        if self.due(config)? > now {
            return None;
        }
        if let Some(piece) = self.retried.pop_front() {
            return Some(piece);
        }
        // A window that closed a while ago holds what had arrived by then. Without one, all that is there is taken.
        let until = if config.window_ms == 0 { now } else { self.opens()?.plus_ms(config.window_ms) };
        let count = self.fits(config, until).0;
        let records: Vec<StreamRecordIn> = self.waiting.drain(..count).collect();
        (!records.is_empty()).then_some(Piece { records, retries: 0, due: now })
    }

    /// Takes in how a batch ended: says how many of its records are left to retry, and which were given up.
    ///
    /// *Retain discarded batch records* and `BisectBatchOnFunctionError`: a failed batch is retried until it succeeds, its
    /// retries are used up, or its records are over age. Where it is bisected, its halves are retried one after the other,
    /// and the split counts as no retry. *Configuring partial batch response*: with bisecting, a batch that got on is split at
    /// its checkpoint and only what remains is retried. A batch that failed at its first record cannot be split there: the
    /// guide is silent, and here that is a retry.
    pub(super) fn settle(
        &mut self,
        config: &MappingConfig,
        mut piece: Piece,
        verdict: Verdict,
        now: Timestamp,
    ) -> (usize, Option<Vec<StreamRecordIn>>) {
        let bisect = config.bisect_batch_on_function_error;
        let checkpoint = match verdict {
            Verdict::Done => piece.records.len(),
            Verdict::DoneUpTo(checkpoint) => checkpoint,
            Verdict::Failed => 0,
        };
        piece.records.drain(..checkpoint);
        piece.due = now.plus_ms(config.retry_pause_ms.max(1));
        let left = piece.records.len();
        let mut given_up = None;
        if left == 0 {
            // Nothing to retry.
        } else if verdict == Verdict::Failed && bisect && left > 1 {
            let second = piece.records.split_off(left / 2);
            self.retried.push_front(Piece { records: second, retries: piece.retries, due: piece.due });
            self.retried.push_front(piece);
        } else if checkpoint > 0 && bisect {
            self.retried.push_front(piece);
        } else if config.max_retry_attempts.is_some_and(|most| piece.retries >= most) {
            given_up = Some(piece.records);
        } else {
            piece.retries += 1;
            self.retried.push_front(piece);
        }
        if self.retried.is_empty() {
            self.free_since = now;
        }
        (if given_up.is_some() { 0 } else { left }, given_up)
    }

    /// Takes out the records older than that. They are the first ones: a lane is in order of arrival.
    pub(super) fn take_older_than(&mut self, limit_ms: i64, now: Timestamp) -> Vec<StreamRecordIn> {
        let is_old = |record: &StreamRecordIn| now.ms_since(record.arrived_at) > limit_ms;
        let mut old = Vec::new();
        for piece in &mut self.retried {
            let count = piece.records.iter().take_while(|record| is_old(record)).count();
            old.extend(piece.records.drain(..count));
        }
        self.retried.retain(|piece| !piece.records.is_empty());
        let count = self.waiting.iter().take_while(|record| is_old(record)).count();
        old.extend(self.waiting.drain(..count));
        old
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        for piece in self.retried.drain(..).rev() {
            for record in piece.records.into_iter().rev() {
                self.waiting.push_front(record);
            }
        }
        self.free_since = now;
    }

    /// When the next window opens: see [`MappingConfig::window_ms`].
    fn opens(&self) -> Option<Timestamp> {
        self.waiting.front().map(|first| first.arrived_at.max(self.free_since))
    }

    /// How many of the waiting records that have arrived by then make a batch, and when it became full, if it is.
    fn fits(&self, config: &MappingConfig, until: Timestamp) -> (usize, Option<Timestamp>) {
        let mut bytes = envelope_bytes();
        for (count, record) in self.waiting.iter().enumerate() {
            bytes += record_bytes(record);
            if record.arrived_at > until {
                return (count, None);
            }
            // One record makes a batch, whatever its size.
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
