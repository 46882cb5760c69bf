//! The evaluations that an instance holds in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lru::LruCache;
use roadcast_alerts::{Tracker, Update};
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{Alert, RuleOwner};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_ports::alert_state::EvaluationKey;

use super::outcome::EvaluationCounts;
use super::owners::{Basis, View};

/// Bytes of all evaluations in memory. The function has 512 MiB, which also hold a batch and what is read for it.
const MAX_BYTES: usize = 192 * 1024 * 1024;
/// Estimated bytes of an evaluation besides its tracker.
const ENTRY_BYTES: usize = 1024;
/// The maximum number of evaluations whose deadline is known, whether or not they are in memory.
const MAX_DEADLINES: usize = 100_000;

/// An evaluation in memory.
pub(super) struct Evaluation {
    pub(super) tracker: Tracker,
    pub(super) basis: Basis,
    /// What the owner may see, as of the last event.
    pub(super) view: View,
    /// The revision of the stored checkpoint; 0 if none is stored.
    pub(super) revision: u64,
    /// The alerts that are not published yet.
    pub(super) unpublished: Vec<Alert>,
    /// Whether the checkpoint must be stored.
    pub(super) is_unsaved: bool,
    /// Whether another instance may have published what this one computed. Then it is restored before anything is published.
    pub(super) is_doubtful: bool,
    /// The shard that the last event was in.
    pub(super) shard: Arc<str>,
    /// Whether the store knows that its silence is watched.
    pub(super) is_watched: bool,
}

/// The evaluations in memory, bounded by their bytes. The one without events for the longest time is evicted; it can be restored.
pub(super) struct Evaluations {
    by_key: LruCache<EvaluationKey, Held>,
    bytes: usize,
    /// When time alone may raise an alert, and in which shard time must pass for that. Also of evaluations that were evicted.
    deadlines: BTreeSet<(Timestamp, EvaluationKey)>,
    deadline_by_key: BTreeMap<EvaluationKey, (Timestamp, Arc<str>)>,
}

impl Evaluation {
    /// Whether there are alerts to publish, or a checkpoint to store.
    pub(super) fn has_work(&self) -> bool {
        !self.unpublished.is_empty() || self.is_unsaved
    }

    /// Takes what changed, to be published.
    pub(super) fn take_update(&mut self, update: Update, counts: &mut EvaluationCounts) {
        counts.too_late += update.too_late;
        counts.evaluated_again += update.evaluated_again;
        self.unpublished.extend(update.alerts);
    }
}

/// An evaluation, and its bytes as they were counted.
struct Held {
    evaluation: Evaluation,
    bytes: usize,
}

impl Default for Evaluations {
    fn default() -> Self {
        Self { by_key: LruCache::unbounded(), bytes: 0, deadlines: BTreeSet::new(), deadline_by_key: BTreeMap::new() }
    }
}

impl Evaluations {
    pub(super) fn contains(&self, key: &EvaluationKey) -> bool {
        self.by_key.contains(key)
    }

    pub(super) fn get_mut(&mut self, key: &EvaluationKey) -> Option<&mut Evaluation> {
        self.by_key.get_mut(key).map(|held| &mut held.evaluation)
    }

    /// Removes an evaluation, to put it back once it has changed.
    pub(super) fn take(&mut self, key: &EvaluationKey) -> Option<Evaluation> {
        let held = self.by_key.pop(key)?;
        self.bytes -= held.bytes;
        Some(held.evaluation)
    }

    /// Adds an evaluation. Returns whether there is something to publish or to store.
    pub(super) fn put(&mut self, key: EvaluationKey, mut evaluation: Evaluation) -> bool {
        // Another instance may have raised the silence in between, and no longer watches it.
        let before = self.deadline_by_key.get(&key).map(|(deadline, _)| *deadline);
        if before.is_some_and(|before| Some(before) <= evaluation.tracker.time()) {
            evaluation.is_watched = false;
        }
        let deadline = evaluation.tracker.rules().is_timed().then(|| evaluation.tracker.next_deadline()).flatten();
        self.set_deadline(&key, deadline.map(|deadline| (deadline, Arc::clone(&evaluation.shard))));
        let has_work = evaluation.has_work() || self.has_deadline(&key) != evaluation.is_watched;
        let bytes = ENTRY_BYTES + evaluation.tracker.memory_bytes();
        self.bytes += bytes;
        if let Some((_, replaced)) = self.by_key.push(key, Held { evaluation, bytes }) {
            self.bytes -= replaced.bytes;
        }
        has_work
    }

    /// Evicts evaluations if they are too many.
    pub(super) fn evict(&mut self) {
        while self.bytes > MAX_BYTES {
            let Some((_, evicted)) = self.by_key.pop_lru() else { return };
            self.bytes -= evicted.bytes;
        }
    }

    /// Whether time alone may raise an alert.
    pub(super) fn has_deadline(&self, key: &EvaluationKey) -> bool {
        self.deadline_by_key.contains_key(key)
    }

    /// Forgets an evaluation, and that time may raise an alert.
    pub(super) fn forget(&mut self, key: &EvaluationKey) {
        self.take(key);
        self.set_deadline(key, None);
    }

    /// Forgets all evaluations of a vehicle.
    pub(super) fn forget_vehicle(&mut self, vid: &VehicleId) {
        let in_memory = self.by_key.iter().map(|(key, _)| key).filter(|key| key.vid == *vid).cloned();
        let keys: BTreeSet<EvaluationKey> = in_memory.chain(self.with_deadline(vid)).collect();
        for key in keys {
            self.forget(&key);
        }
    }

    /// Returns the vehicles with an evaluation in memory, or with one that was evicted and that time alone may change.
    pub(super) fn vehicles(&self) -> BTreeSet<VehicleId> {
        let in_memory = self.by_key.iter().map(|(key, _)| key);
        in_memory.chain(self.deadline_by_key.keys()).map(|key| key.vid.clone()).collect()
    }

    /// Forgets all evaluations of a shard.
    pub(super) fn forget_shard(&mut self, shard: &str) {
        let in_memory = self.by_key.iter().filter(|(_, held)| &*held.evaluation.shard == shard).map(|(key, _)| key.clone());
        let evicted = self.deadline_by_key.iter().filter(|(_, (_, of))| &**of == shard).map(|(key, _)| key.clone());
        let keys: BTreeSet<EvaluationKey> = in_memory.chain(evicted).collect();
        for key in keys {
            self.forget(&key);
        }
    }

    /// Returns the evaluations of a shard that time alone may change up to a time, at most `limit`, the earliest first.
    pub(super) fn due(&self, shard: &str, until: Timestamp, limit: usize) -> Vec<EvaluationKey> {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= until);
        let of_shard = |key: &&EvaluationKey| self.deadline_by_key.get(*key).is_some_and(|(_, of)| &**of == shard);
        due.map(|(_, key)| key).filter(of_shard).take(limit).cloned().collect()
    }

    /// Returns the evaluations of a vehicle that time alone may change.
    pub(super) fn with_deadline(&self, vid: &VehicleId) -> Vec<EvaluationKey> {
        let first = EvaluationKey { vid: vid.clone(), owner: RuleOwner::Fleet(FleetId::from_random_bits(0)) };
        self.deadline_by_key.range(first..).map(|(key, _)| key).take_while(|key| key.vid == *vid).cloned().collect()
    }

    fn set_deadline(&mut self, key: &EvaluationKey, deadline: Option<(Timestamp, Arc<str>)>) {
        if let Some((before, _)) = self.deadline_by_key.remove(key) {
            self.deadlines.remove(&(before, key.clone()));
        }
        if let Some((deadline, shard)) = deadline
            && self.deadlines.len() < MAX_DEADLINES
        {
            self.deadlines.insert((deadline, key.clone()));
            self.deadline_by_key.insert(key.clone(), (deadline, shard));
        }
    }
}
