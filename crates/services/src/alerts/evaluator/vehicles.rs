//! Evaluates the events of vehicles.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;
use roadcast_ports::alert_state::EvaluationKey;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::cold::{self, Cold};
use super::evaluations::Evaluation;
use super::input::{Input, Inputs};
use super::outcome::{EvaluationCounts, EvaluationOutcome};
use super::owners::VehicleOwner;
use super::shards::Shard;
use super::{AlertEvaluator, State};

/// Vehicles that are evaluated before their alerts are published, and evaluations are evicted.
const GROUP: usize = 64;
/// Attempts to publish what differs from what another instance published.
const ROUNDS: usize = 3;

/// Which records are evaluated.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Records from before the batch. Nothing is published.
    Missing,
    /// Those of the batch.
    Live,
}

/// The evaluations that have something to publish or to store, each with the record to retry from.
type Touched = BTreeMap<EvaluationKey, usize>;

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Evaluates vehicles, and publishes and stores what changes, a group of vehicles after the other.
    pub(super) async fn evaluate(
        &self,
        state: &mut State,
        shard: &mut Shard,
        inputs: Inputs,
        pass: Pass,
        outcome: &mut EvaluationOutcome,
    ) {
        let mut inputs = inputs.by_vehicle.into_iter();
        loop {
            let group: BTreeMap<VehicleId, Input> = inputs.by_ref().take(GROUP).collect();
            if group.is_empty() {
                return;
            }
            let times: BTreeMap<VehicleId, Option<Timestamp>> =
                group.iter().map(|(vid, input)| (vid.clone(), input.time)).collect();
            let mut touched = self.evaluate_group(state, shard, group, pass, outcome).await;
            for round in 0..ROUNDS {
                if pass == Pass::Missing || touched.is_empty() {
                    break;
                }
                // Another instance has published something about these, so they are restored, and the difference is published.
                let conflicts = self.publish_and_store(state, shard, &touched, outcome).await;
                let mut again = Inputs::default();
                for (key, record) in conflicts {
                    if round + 1 == ROUNDS {
                        outcome.fail(record, PortError::new(PortErrorKind::Throttled, "store the checkpoint of a vehicle"));
                    }
                    again.of_vehicle(&key.vid, record).time = times.get(&key.vid).copied().flatten();
                }
                touched = self.evaluate_group(state, shard, again.by_vehicle, pass, outcome).await;
            }
            state.evaluations.evict();
        }
    }

    /// Evaluates the vehicles of a group. Returns the evaluations that have something to publish or to store.
    async fn evaluate_group(
        &self,
        state: &mut State,
        shard: &mut Shard,
        mut group: BTreeMap<VehicleId, Input>,
        pass: Pass,
        outcome: &mut EvaluationOutcome,
    ) -> Touched {
        let mut touched = Touched::new();
        let owners = match self.remove_erased(state, shard, &mut group).await {
            Ok(()) => self.owners.of_vehicles(group.keys().cloned().collect()).await,
            Err(error) => Err(error),
        };
        let mut owners = match owners {
            Ok(owners) => owners,
            Err(error) => {
                for (vid, input) in group {
                    keep(shard, vid, input, error.clone(), outcome);
                }
                return touched;
            }
        };
        let mut cold = Vec::new();
        let mut failed = Vec::new();
        for (vid, input) in &group {
            let owners = match owners.remove(vid).unwrap_or_else(|| Ok(Vec::new())) {
                Ok(owners) => owners,
                Err(error) => {
                    failed.push((vid.clone(), error));
                    continue;
                }
            };
            forget_former_owners(state, shard, vid, &owners);
            let mut is_pending = false;
            for mut owner in owners {
                let key = EvaluationKey { vid: vid.clone(), owner: owner.owner.clone() };
                let mut existing = state.evaluations.take(&key);
                if let Some(evaluation) =
                    existing.take_if(|evaluation| pass == Pass::Missing || is_right(evaluation, &owner))
                {
                    let evaluation = self.push(evaluation, &owner, input, pass, &mut outcome.counts);
                    if evaluation.is_doubtful {
                        is_pending = true;
                        shard.unfinished.insert(key.clone());
                    }
                    if state.evaluations.put(key.clone(), evaluation) {
                        touched.insert(key, input.record);
                    }
                    continue;
                }
                let rules = match self.owners.rules(&mut owner, vid).await {
                    Ok(rules) => rules,
                    Err(error) => {
                        if let Some(existing) = existing {
                            shard.unfinished.insert(key.clone());
                            state.evaluations.put(key, existing);
                        }
                        failed.push((vid.clone(), error));
                        continue;
                    }
                };
                if rules.is_empty() {
                    state.evaluations.forget(&key);
                    shard.unfinished.remove(&key);
                } else if pass == Pass::Missing {
                    is_pending = true;
                } else {
                    cold.extend(Cold::new(key, owner, rules, existing, input));
                }
            }
            if is_pending {
                shard.add_pending(vid.clone(), input.events.clone());
            }
        }
        if let Err(error) = self.check_restorable(shard, &cold).await {
            cold::put_back(state, shard, cold);
            for (vid, input) in group {
                keep(shard, vid, input, error.clone(), outcome);
            }
            return touched;
        }
        for attempt in self.restore_all(cold).await {
            let key = attempt.key.clone();
            let Some(input) = group.get(&key.vid) else { continue };
            match attempt.finish(state, shard, input.is_watched, &mut outcome.counts) {
                // Also if it has no work: it is no longer unfinished.
                Ok(()) => drop(touched.insert(key, input.record)),
                Err(error) => failed.push((key.vid, error)),
            }
        }
        for (vid, error) in failed {
            match group.remove(&vid) {
                Some(input) => keep(shard, vid, input, error, outcome),
                None => outcome.failures.push(error),
            }
        }
        touched
    }

    /// Evaluates the events of a vehicle with an evaluation in memory.
    fn push(
        &self,
        mut evaluation: Evaluation,
        owner: &VehicleOwner,
        input: &Input,
        pass: Pass,
        counts: &mut EvaluationCounts,
    ) -> Evaluation {
        let rules = evaluation.tracker.rules();
        let events: Vec<Event> = input.events.iter().filter_map(|event| owner.view.select(rules, event)).collect();
        match pass {
            Pass::Missing => self.push_missing(&mut evaluation, owner, events, counts),
            Pass::Live if events.is_empty() => {}
            Pass::Live => {
                let update = self.restorer.push(&mut evaluation.tracker, events);
                evaluation.take_update(update, counts);
            }
        }
        pass_time(&mut evaluation, input, counts);
        evaluation.view.clone_from(&owner.view);
        evaluation
    }

    /// Evaluates events that another instance may have evaluated, until something would be raised. Then the evaluation keeps what it
    /// has for its restoration: its window must not move on, because the log may be behind it. One event after the other raises
    /// whatever the other instance raised, however it got them.
    fn push_missing(
        &self,
        evaluation: &mut Evaluation,
        owner: &VehicleOwner,
        events: Vec<Event>,
        counts: &mut EvaluationCounts,
    ) {
        evaluation.is_doubtful |= !evaluation.unpublished.is_empty() || !owner.is_basis(&evaluation.basis);
        for event in events {
            if evaluation.is_doubtful {
                break;
            }
            let update = self.restorer.push(&mut evaluation.tracker, [event]);
            evaluation.take_update(update, counts);
            evaluation.is_doubtful = !evaluation.unpublished.is_empty();
        }
        evaluation.unpublished.clear();
    }
}

/// Forgets the evaluations of a vehicle whose owners have no rules any more, or may no longer see it.
fn forget_former_owners(state: &mut State, shard: &mut Shard, vid: &VehicleId, owners: &[VehicleOwner]) {
    let is_former = |key: &EvaluationKey| key.vid == *vid && !owners.iter().any(|owner| owner.owner == key.owner);
    let unfinished = shard.unfinished.extract_if(.., |key| is_former(key));
    for key in unfinished.chain(state.evaluations.with_deadline(vid)).filter(is_former).collect::<Vec<_>>() {
        state.evaluations.forget(&key);
    }
}

/// Whether an evaluation can continue.
fn is_right(evaluation: &Evaluation, owner: &VehicleOwner) -> bool {
    !evaluation.is_doubtful && owner.is_basis(&evaluation.basis)
}

/// Lets time pass for an evaluation.
fn pass_time(evaluation: &mut Evaluation, input: &Input, counts: &mut EvaluationCounts) {
    if let Some(time) = input.time.filter(|_| evaluation.tracker.rules().is_timed()) {
        let update = evaluation.tracker.advance(time);
        evaluation.take_update(update, counts);
    }
}

/// Keeps the events of a vehicle that are in no batch, because its evaluation failed.
fn keep(shard: &mut Shard, vid: VehicleId, input: Input, error: PortError, outcome: &mut EvaluationOutcome) {
    let Input { mut events, pending, record, .. } = input;
    events.truncate(pending);
    if !events.is_empty() {
        shard.add_pending(vid, events);
    }
    outcome.fail(record, error);
}
