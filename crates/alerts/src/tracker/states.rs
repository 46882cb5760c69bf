//! The states of a vehicle at several times.

use std::collections::VecDeque;

use roadcast_signals::Timestamp;

use crate::evaluate::Evaluation;
use crate::limits;
use crate::state::State;
use crate::transition::Transition;

/// After how many samples there is a snapshot at the latest.
const SAMPLES_PER_SNAPSHOT: usize = limits::KEPT_SAMPLES / 4;

/// The state after the newest sample, and earlier ones.
#[derive(Clone, Debug)]
pub(super) struct States {
    head: State,
    /// The oldest first. There is at least one.
    snapshots: VecDeque<State>,
    /// The samples since the last snapshot.
    since_snapshot: usize,
}

impl States {
    pub(super) fn new(oldest: State) -> Self {
        Self { snapshots: VecDeque::from([oldest.clone()]), head: oldest, since_snapshot: 0 }
    }

    /// The state after the newest sample.
    pub(super) const fn head(&self) -> &State {
        &self.head
    }

    /// Returns about how many bytes the states take in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.snapshots.len() + 1) * self.head.memory_bytes()
    }

    /// The oldest state.
    pub(super) fn oldest(&self) -> &State {
        self.snapshots.front().unwrap_or(&self.head)
    }

    /// Makes the last state before a time the newest one. There must be one.
    pub(super) fn return_to_before(&mut self, time: Timestamp) {
        while self.snapshots.len() > 1 && self.snapshots.back().is_some_and(|state| state.time >= Some(time)) {
            self.snapshots.pop_back();
        }
        if let Some(state) = self.snapshots.back() {
            self.head = state.clone();
            self.since_snapshot = 0;
        }
    }

    /// Advances the newest state by all rows, and stores a snapshot whenever the last one is older than `interval_ms`.
    pub(super) fn run(&mut self, evaluation: &Evaluation<'_>, interval_ms: i64) -> Vec<Transition> {
        let rows = evaluation.batch.rows();
        let mut transitions = Vec::new();
        let mut start = 0;
        while let Some(first) = rows.get(start) {
            let last = self.snapshots.back().and_then(|state| state.time);
            let is_due = last.is_none_or(|last| first.time.ms_since(last) > interval_ms);
            if self.head.time > last && (is_due || self.since_snapshot >= SAMPLES_PER_SNAPSHOT) {
                self.snapshots.push_back(self.head.clone());
                self.since_snapshot = 0;
            }
            let last = self.snapshots.back().and_then(|state| state.time).unwrap_or(first.time);
            let rest = rows.get(start..).unwrap_or_default();
            let in_time = rest.partition_point(|row| row.time.ms_since(last) <= interval_ms);
            let in_number = SAMPLES_PER_SNAPSHOT.saturating_sub(self.since_snapshot);
            // At least one sample, and all of its time.
            let length = in_time.min(in_number).clamp(1, rest.len());
            let end_time = rest.get(length - 1).map_or(first.time, |row| row.time);
            let length = rest.partition_point(|row| row.time <= end_time);
            transitions.extend(evaluation.run(&mut self.head, start..start + length));
            self.since_snapshot += length;
            start += length;
        }
        transitions
    }

    /// Removes the oldest states, except the last one before a time. Returns whether there were any.
    pub(super) fn forget_before(&mut self, floor: Option<Timestamp>) -> bool {
        let before = self.snapshots.len();
        while self.snapshots.get(1).is_some_and(|next| next.time < floor) {
            self.snapshots.pop_front();
        }
        self.snapshots.len() < before
    }

    /// Removes the oldest state. Returns whether the oldest one is now another one.
    pub(super) fn forget_oldest(&mut self) -> bool {
        if self.snapshots.len() == 1 {
            if self.oldest().time == self.head.time {
                return false;
            }
            self.snapshots.push_back(self.head.clone());
            self.since_snapshot = 0;
        }
        self.snapshots.pop_front().is_some()
    }
}
