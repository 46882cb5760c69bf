//! What the alert evaluator stores between its batches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use roadcast_domain::ids::VehicleId;
use roadcast_ports::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

/// What the ports of the alert evaluator store.
#[derive(Debug, Default)]
pub(super) struct EvaluationStore {
    checkpoints: BTreeMap<EvaluationKey, AlertCheckpoint>,
    instances: BTreeMap<String, String>,
    watched: BTreeMap<String, BTreeSet<EvaluationKey>>,
}

impl EvaluationStore {
    /// Removes what is stored about vehicles. Returns the number of items.
    pub(super) fn remove_of(&mut self, is_of: impl Fn(&VehicleId) -> bool) -> usize {
        let count = |store: &Self| store.checkpoints.len() + store.watched.values().map(BTreeSet::len).sum::<usize>();
        let before = count(self);
        self.checkpoints.retain(|key, _| !is_of(&key.vid));
        for watched in self.watched.values_mut() {
            watched.retain(|key| !is_of(&key.vid));
        }
        before - count(self)
    }
}

impl Memory {
    /// Returns the evaluations that are watched, with their shards.
    pub fn watched_evaluations(&self) -> BTreeSet<(String, EvaluationKey)> {
        let state = self.state();
        let watched = state.alert_state.watched.iter();
        watched.flat_map(|(shard, keys)| keys.iter().map(|key| (shard.clone(), key.clone()))).collect()
    }

    /// Returns how often the checkpoint of each evaluation was stored.
    pub fn checkpoint_revisions(&self) -> BTreeMap<EvaluationKey, u64> {
        let state = self.state();
        state.alert_state.checkpoints.iter().map(|(key, checkpoint)| (key.clone(), checkpoint.revision)).collect()
    }
}

impl AlertCheckpoints for Memory {
    async fn get(&self, key: &EvaluationKey) -> Result<Option<AlertCheckpoint>, PortError> {
        let now = self.clock.now();
        let stored = self.state().alert_state.checkpoints.get(key).cloned();
        Ok(stored.filter(|checkpoint| checkpoint.expires_at > now))
    }

    async fn replace(&self, key: &EvaluationKey, checkpoint: &AlertCheckpoint) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut state = self.state();
        let stored = state.alert_state.checkpoints.get(key).filter(|stored| stored.expires_at > now);
        if checkpoint.revision != stored.map_or(0, |stored| stored.revision) + 1 {
            return Err(PortError::new(PortErrorKind::Conflict, "replacing a checkpoint of alerts"));
        }
        state.alert_state.checkpoints.insert(key.clone(), checkpoint.clone());
        Ok(())
    }
}

impl ShardEvaluations for Memory {
    async fn instance(&self, shard: &str) -> Result<Option<String>, PortError> {
        Ok(self.state().alert_state.instances.get(shard).cloned())
    }

    async fn take(&self, shard: &str, instance: &str) -> Result<(), PortError> {
        self.state().alert_state.instances.insert(shard.to_owned(), instance.to_owned());
        Ok(())
    }

    async fn watch(&self, shard: &str, keys: &[EvaluationKey]) -> Vec<Result<(), PortError>> {
        let mut state = self.state();
        state.alert_state.watched.entry(shard.to_owned()).or_default().extend(keys.iter().cloned());
        keys.iter().map(|_| Ok(())).collect()
    }

    async fn unwatch(&self, shard: &str, keys: &[EvaluationKey]) -> Vec<Result<(), PortError>> {
        let mut state = self.state();
        if let Some(watched) = state.alert_state.watched.get_mut(shard) {
            watched.retain(|key| !keys.contains(key));
        }
        keys.iter().map(|_| Ok(())).collect()
    }

    async fn watched(
        &self,
        shard: &str,
        after: Option<&EvaluationKey>,
        limit: usize,
    ) -> Result<Vec<EvaluationKey>, PortError> {
        let state = self.state();
        let Some(watched) = state.alert_state.watched.get(shard) else { return Ok(Vec::new()) };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(watched.range((start, Bound::Unbounded)).take(limit).cloned().collect())
    }
}
