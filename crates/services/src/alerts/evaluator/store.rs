//! Publishes what evaluations raised, and stores their checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::event::StoredEvent;
use roadcast_ports::alert_state::{EvaluationKey, ShardEvaluations as _};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::evaluations::Evaluation;
use super::outcome::EvaluationOutcome;
use super::shards::Shard;
use super::{AlertEvaluator, State};

/// Checkpoints that are stored concurrently.
const CONCURRENCY: usize = 16;

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Publishes and stores what evaluations have to, each with the record to retry from. Checkpoints are stored last: what was not
    /// published is computed again. Returns the evaluations of which another instance has stored a checkpoint.
    pub(super) async fn publish_and_store(
        &self,
        state: &mut State,
        shard: &mut Shard,
        touched: &BTreeMap<EvaluationKey, usize>,
        outcome: &mut EvaluationOutcome,
    ) -> BTreeMap<EvaluationKey, usize> {
        shard.unfinished.extend(touched.keys().cloned());
        self.publish_alerts(state, touched, outcome).await;
        let conflicts = self.store_checkpoints(state, shard, touched, outcome).await;
        self.watch(state, shard, touched, outcome).await;
        conflicts
    }

    async fn publish_alerts(
        &self,
        state: &mut State,
        touched: &BTreeMap<EvaluationKey, usize>,
        outcome: &mut EvaluationOutcome,
    ) {
        let (mut alerts, mut keys): (Vec<StoredEvent>, Vec<&EvaluationKey>) = (Vec::new(), Vec::new());
        for key in touched.keys() {
            let Some(evaluation) = state.evaluations.get_mut(key) else { continue };
            for alert in &evaluation.unpublished {
                let alert = alert.clone().into_event(key.vid.clone());
                if evaluation.view.shows(&alert.event) {
                    alerts.push(alert);
                    keys.push(key);
                } else {
                    outcome.counts.hidden += 1;
                }
            }
        }
        let mut failed: BTreeMap<&EvaluationKey, PortError> = BTreeMap::new();
        let results = self.publisher.publish(&alerts).await;
        for ((key, alert), result) in keys.into_iter().zip(&alerts).zip(results) {
            match result {
                Ok(()) => outcome.counts.count_published(&alert.event),
                // A retry would never succeed.
                Err(error) if error.kind() == PortErrorKind::Rejected => outcome.refused.push(error),
                Err(error) => {
                    failed.insert(key, error);
                }
            }
        }
        for (key, record) in touched {
            let Some(evaluation) = state.evaluations.get_mut(key) else { continue };
            match failed.remove(key) {
                Some(error) => outcome.fail(*record, error),
                None if evaluation.unpublished.is_empty() => {}
                None => {
                    evaluation.unpublished.clear();
                    evaluation.is_unsaved = true;
                }
            }
        }
    }

    /// Stores the checkpoints of evaluations all of whose alerts are published. Returns those that another instance has stored.
    async fn store_checkpoints(
        &self,
        state: &mut State,
        shard: &mut Shard,
        touched: &BTreeMap<EvaluationKey, usize>,
        outcome: &mut EvaluationOutcome,
    ) -> BTreeMap<EvaluationKey, usize> {
        let mut attempts = Vec::new();
        for (key, record) in touched {
            match state.evaluations.take(key) {
                Some(evaluation) if !evaluation.has_work() => {
                    shard.unfinished.remove(key);
                    state.evaluations.put(key.clone(), evaluation);
                }
                Some(evaluation) if !evaluation.unpublished.is_empty() => {
                    state.evaluations.put(key.clone(), evaluation);
                }
                Some(evaluation) => attempts.push(self.store(key, *record, evaluation)),
                None => {
                    shard.unfinished.remove(key);
                }
            }
        }
        let mut conflicts = BTreeMap::new();
        let stored: Vec<_> = stream::iter(attempts).buffer_unordered(CONCURRENCY).collect().await;
        for (key, record, mut evaluation, result) in stored {
            match result {
                Ok(()) => {
                    evaluation.revision += 1;
                    evaluation.is_unsaved = false;
                    shard.unfinished.remove(key);
                }
                Err(error) if error.kind() == PortErrorKind::Conflict => {
                    evaluation.is_doubtful = true;
                    conflicts.insert(key.clone(), record);
                }
                // Too large. The evaluation continues, but is restored without what it published since.
                Err(error) if error.kind() == PortErrorKind::Rejected => {
                    evaluation.is_unsaved = false;
                    shard.unfinished.remove(key);
                    outcome.refused.push(error);
                }
                Err(error) => outcome.fail(record, error),
            }
            state.evaluations.put(key.clone(), evaluation);
        }
        conflicts
    }

    async fn store<'k>(
        &self,
        key: &'k EvaluationKey,
        record: usize,
        evaluation: Evaluation,
    ) -> (&'k EvaluationKey, usize, Evaluation, Result<(), PortError>) {
        let result = self.restorer.store(key, &evaluation).await;
        (key, record, evaluation, result)
    }

    /// States in the store which evaluations may raise an alert without further data, so that another instance finds them.
    pub(super) async fn watch(
        &self,
        state: &mut State,
        shard: &mut Shard,
        touched: &BTreeMap<EvaluationKey, usize>,
        outcome: &mut EvaluationOutcome,
    ) {
        let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for key in touched.keys() {
            let has_deadline = state.evaluations.has_deadline(key);
            match state.evaluations.get_mut(key) {
                Some(evaluation) if has_deadline && !evaluation.is_watched => begun.insert(key.clone()),
                // What is not published and stored must be found by another instance.
                Some(evaluation) if !has_deadline && evaluation.is_watched && !evaluation.has_work() => {
                    ended.insert(key.clone())
                }
                _ => false,
            };
        }
        let (begun, ended): (Vec<EvaluationKey>, Vec<EvaluationKey>) =
            (begun.into_iter().collect(), ended.into_iter().collect());
        let watched = self.shards.evaluations.watch(&shard.id, &begun).await;
        let unwatched = self.shards.evaluations.unwatch(&shard.id, &ended).await;
        let results = begun.iter().zip(watched).map(|(key, result)| (key, true, result));
        let results = results.chain(ended.iter().zip(unwatched).map(|(key, result)| (key, false, result)));
        for (key, is_watched, result) in results {
            match (result, state.evaluations.get_mut(key)) {
                (Ok(()), Some(evaluation)) => evaluation.is_watched = is_watched,
                (Ok(()), None) => {}
                (Err(error), _) => outcome.fail(touched.get(key).copied().unwrap_or_default(), error),
            }
        }
    }
}
