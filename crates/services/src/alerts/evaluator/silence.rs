//! Raises the alerts about vehicles that fall silent.
//!
//! Time passes by the arrival of the records of a shard. A record without data is in each shard every minute, so that it also passes
//! where nothing is sent, and a backlog of records is no silence.

use roadcast_domain::Timestamp;
use roadcast_ports::PortError;
use roadcast_ports::alert_state::{EvaluationKey, ShardEvaluations as _};
use roadcast_ports::port_set::PortSet;

use super::input::Inputs;
use super::outcome::EvaluationOutcome;
use super::shards::{Shard, Watched};
use super::vehicles::Pass;
use super::{AlertEvaluator, State};

/// Evaluations whose time has come that are evaluated together, and after one batch.
const DUE: usize = 256;
const DUE_PER_BATCH: usize = 4096;
/// Watched evaluations that are loaded after one batch: a new instance finds all of them within minutes.
const LOADED: usize = 64;

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Evaluates what time alone changes in a shard up to `time`. `record` is retried if that fails.
    pub(super) async fn evaluate_silence(
        &self,
        state: &mut State,
        shard: &mut Shard,
        time: Timestamp,
        record: usize,
        outcome: &mut EvaluationOutcome,
    ) {
        for _ in 0..DUE_PER_BATCH / DUE {
            let due = state.evaluations.due(&shard.id, time, DUE);
            if due.is_empty() || outcome.retry_from.is_some() {
                break;
            }
            self.pass_time(state, shard, &due, time, record, outcome).await;
        }
        if let (Watched::After(after), None) = (&shard.watched, outcome.retry_from) {
            let after = after.clone();
            match self.load_watched(state, shard, after, time, record, outcome).await {
                Ok(next) if outcome.retry_from.is_none() => {
                    shard.watched = next.map_or(Watched::Loaded, |last| Watched::After(Some(last)));
                }
                Ok(_) => {}
                Err(error) => outcome.fail(record, error),
            }
        }
    }

    /// Lets time pass for evaluations. Those whose owner has no rules for the vehicle any more are forgotten.
    async fn pass_time(
        &self,
        state: &mut State,
        shard: &mut Shard,
        keys: &[EvaluationKey],
        time: Timestamp,
        record: usize,
        outcome: &mut EvaluationOutcome,
    ) {
        let mut inputs = Inputs::default();
        for key in keys {
            inputs.of_vehicle(&key.vid, record).time = Some(time);
        }
        self.evaluate(state, shard, inputs, Pass::Live, outcome).await;
        if outcome.retry_from.is_some() {
            return;
        }
        self.unwatch_former(state, shard, keys, record, outcome).await;
    }

    /// Restores the next watched evaluations of a shard that an earlier instance left. Returns the last one; `None` if there are no
    /// more.
    async fn load_watched(
        &self,
        state: &mut State,
        shard: &mut Shard,
        after: Option<EvaluationKey>,
        time: Timestamp,
        record: usize,
        outcome: &mut EvaluationOutcome,
    ) -> Result<Option<EvaluationKey>, PortError> {
        let keys = self.shards.evaluations.watched(&shard.id, after.as_ref(), LOADED).await?;
        let mut inputs = Inputs::default();
        for key in &keys {
            let input = inputs.of_vehicle(&key.vid, record);
            (input.time, input.is_watched) = (Some(time), true);
        }
        self.evaluate(state, shard, inputs, Pass::Live, outcome).await;
        if outcome.retry_from.is_none() {
            self.unwatch_former(state, shard, &keys, record, outcome).await;
        }
        Ok(keys.last().cloned())
    }

    /// Removes the watched evaluations whose owner has no rules for the vehicle any more, or may no longer see it.
    async fn unwatch_former(
        &self,
        state: &State,
        shard: &Shard,
        keys: &[EvaluationKey],
        record: usize,
        outcome: &mut EvaluationOutcome,
    ) {
        let is_former = |key: &&EvaluationKey| !state.evaluations.has_deadline(key) && !state.evaluations.contains(key);
        let former: Vec<EvaluationKey> = keys.iter().filter(is_former).cloned().collect();
        for error in self.shards.evaluations.unwatch(&shard.id, &former).await.into_iter().filter_map(Result::err) {
            outcome.fail(record, error);
        }
    }
}
