//! Restores the evaluations of a group that are not in memory, or no longer right.

use futures::stream::{self, StreamExt as _};
use roadcast_alerts::VehicleRules;
use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_ports::alert_state::EvaluationKey;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::evaluations::Evaluation;
use super::input::Input;
use super::outcome::EvaluationCounts;
use super::owners::VehicleOwner;
use super::restore::Restored;
use super::shards::Shard;
use super::{AlertEvaluator, State};

/// Evaluations that are restored concurrently.
const RESTORES: usize = 8;

/// An evaluation that is not in memory, or no longer right.
pub(super) struct Cold {
    key: EvaluationKey,
    owner: VehicleOwner,
    existing: Option<Evaluation>,
    rules: VehicleRules,
    /// The events that the log may not have.
    known: Vec<Event>,
    time: Option<Timestamp>,
}

/// An evaluation that is restored, or could not be.
pub(super) struct Attempt {
    pub(super) key: EvaluationKey,
    owner: VehicleOwner,
    existing: Option<Evaluation>,
    restored: Result<Restored, PortError>,
}

impl Cold {
    /// Returns what is needed to restore an evaluation; `None` if nothing happened that its rules read.
    pub(super) fn new(
        key: EvaluationKey,
        owner: VehicleOwner,
        rules: VehicleRules,
        existing: Option<Evaluation>,
        input: &Input,
    ) -> Option<Self> {
        let kept = existing.iter().flat_map(|existing| existing.tracker.kept_events());
        let known: Vec<Event> = kept.chain(&input.events).filter_map(|event| owner.view.select(&rules, event)).collect();
        let is_concerned = existing.is_some() || !known.is_empty() || (input.time.is_some() && rules.is_timed());
        is_concerned.then_some(Self { key, owner, existing, rules, known, time: input.time })
    }

    /// Whether another instance may have stored a checkpoint since the evaluation was in memory.
    fn is_taken_over(&self) -> bool {
        self.existing.as_ref().is_some_and(|existing| existing.is_doubtful)
    }
}

impl Attempt {
    /// Keeps the restored evaluation, or the existing one until it can be restored.
    pub(super) fn finish(
        self,
        state: &mut State,
        shard: &mut Shard,
        is_watched: bool,
        counts: &mut EvaluationCounts,
    ) -> Result<(), PortError> {
        let Self { key, owner, existing, restored } = self;
        match restored {
            Ok(restored) => {
                counts.restored += 1;
                shard.unfinished.remove(&key);
                let is_watched = is_watched || existing.is_some_and(|existing| existing.is_watched);
                let (mut evaluation, update) = restored.into_evaluation(&owner, &shard.id, is_watched);
                evaluation.take_update(update, counts);
                state.evaluations.put(key, evaluation);
                Ok(())
            }
            Err(error) => {
                if let Some(existing) = existing {
                    shard.unfinished.insert(key.clone());
                    state.evaluations.put(key, Evaluation { is_doubtful: true, ..existing });
                }
                Err(error)
            }
        }
    }
}

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Fails if evaluations that another instance may have continued cannot be restored. While the log is behind, the samples in memory
    /// may begin after the checkpoint that the other instance has stored; then the instance starts again.
    pub(super) async fn check_restorable(&self, shard: &mut Shard, cold: &[Cold]) -> Result<(), PortError> {
        let is_taken_over = cold.iter().any(Cold::is_taken_over);
        if !is_taken_over || self.shards.is_log_recent(shard, &self.validator).await? {
            return Ok(());
        }
        shard.start_again();
        Err(PortError::new(PortErrorKind::Throttled, "restore vehicles while the log is behind"))
    }

    /// Restores evaluations, some of them concurrently.
    pub(super) async fn restore_all(&self, cold: Vec<Cold>) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for cold in cold {
            attempts.push(self.attempt(cold));
        }
        stream::iter(attempts).buffer_unordered(RESTORES).collect().await
    }

    async fn attempt(&self, cold: Cold) -> Attempt {
        let Cold { key, owner, existing, rules, known, time } = cold;
        let restored = self.restorer.restore(&key, rules, &owner.view, known, time).await;
        Attempt { key, owner, existing, restored }
    }
}

/// Keeps the evaluations that were to be restored as they were before.
pub(super) fn put_back(state: &mut State, shard: &mut Shard, cold: Vec<Cold>) {
    for (key, existing) in cold.into_iter().filter_map(|cold| Some((cold.key, cold.existing?))) {
        shard.unfinished.insert(key.clone());
        state.evaluations.put(key, existing);
    }
}
