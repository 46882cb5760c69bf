//! Evaluates rules between samples.

use roadcast_signals::Timestamp;

use super::{Before, Evaluation, Instant, Silence};
use crate::batch::Batch;
use crate::program::{BoundRule, NodeTest, VehicleRules};
use crate::state::{Memory, RuleState, State};
use crate::transition::Transition;

impl Evaluation<'_> {
    /// Evaluates a rule at each time at which it can change without a sample.
    pub(super) fn run_silence(
        &self,
        bound: &BoundRule,
        state: &mut RuleState,
        silence: Silence,
        before: &Before<'_>,
        transitions: &mut Vec<Transition>,
    ) {
        let Silence { after, until, last_row } = silence;
        let Some(mut time) = after else { return };
        // Each time is after the one before, and there are at most three for each condition, and one for the rule.
        while let Some(next) = next_time(bound, state, time).filter(|next| *next <= until) {
            let instant = Instant { time: next, row: None, last_row };
            self.step(bound, state, instant);
            transitions.extend(self.transition(bound, state, instant, before));
            time = next;
        }
    }
}

/// Evaluates what time alone changes after the last sample, up to a time. Does not change the state of these rules.
pub(crate) fn silent_transitions(rules: &VehicleRules, state: &State, until: Timestamp) -> Vec<Transition> {
    let mut transitions = Vec::new();
    if state.time.is_some_and(|time| time < until) {
        for (bound, rule) in timed_rules(rules, state) {
            run_silence_until(rules, state, bound, &mut rule.clone(), until, &mut transitions);
        }
    }
    transitions
}

/// Advances a state by the silence after the last sample, up to a time. Returns the transitions, rule by rule.
pub(crate) fn pass_silence(rules: &VehicleRules, state: &mut State, until: Timestamp) -> Vec<Transition> {
    let mut transitions = Vec::new();
    if state.time.is_some_and(|time| time < until) {
        let mut states = std::mem::take(&mut state.rules);
        for (bound, rule) in rules.rules().iter().zip(&mut states).filter(|(bound, _)| bound.rule.is_timed) {
            run_silence_until(rules, state, bound, rule, until, &mut transitions);
        }
        state.rules = states;
        state.time = Some(until);
    }
    transitions
}

/// Returns the next time after the last sample, and after `until`, at which time alone may change something.
pub(crate) fn next_deadline(rules: &VehicleRules, state: &State, until: Option<Timestamp>) -> Option<Timestamp> {
    let time = state.time?;
    let until = until.map_or(time, |until| until.max(time));
    let next = timed_rules(rules, state).filter_map(|(bound, rule)| {
        let mut rule = rule.clone();
        run_silence_until(rules, state, bound, &mut rule, until, &mut Vec::new());
        next_time(bound, &rule, until)
    });
    next.min()
}

fn timed_rules<'r>(rules: &'r VehicleRules, state: &'r State) -> impl Iterator<Item = (&'r BoundRule, &'r RuleState)> {
    rules.rules().iter().zip(&state.rules).filter(|(bound, _)| bound.rule.is_timed)
}

fn run_silence_until(
    rules: &VehicleRules,
    state: &State,
    bound: &BoundRule,
    rule: &mut RuleState,
    until: Timestamp,
    transitions: &mut Vec<Transition>,
) {
    let evaluation = Evaluation { rules, batch: &Batch::default(), events: &[] };
    let before = Before { values: &state.values, diagnostic: state.diagnostic.as_ref(), first_row: 0 };
    let silence = Silence { after: state.time, until, last_row: None };
    evaluation.run_silence(bound, rule, silence, &before, transitions);
}

/// Returns the next time after `time` at which a rule can change without a sample: when data is missing, when a condition has held
/// long enough, or when the alert may be raised.
fn next_time(bound: &BoundRule, state: &RuleState, time: Timestamp) -> Option<Timestamp> {
    let deadlines = bound.rule.nodes.iter().zip(&state.nodes).flat_map(|(node, state)| {
        let silent = match (&node.test, &state.memory) {
            (NodeTest::NoData { after_ms, .. }, Memory::Data(Some(last))) => Some(last.plus_ms(*after_ms)),
            _ => None,
        };
        let held = state.since.map(|since| since.plus_ms(node.for_ms));
        [silent, held]
    });
    let raise = (state.raised_at.is_none() && state.holds() == Some(true))
        .then(|| bound.rule.may_raise_from(time.plus_ms(1), state.last_raised_at));
    deadlines.flatten().chain(raise.flatten()).filter(|next| *next > time).min()
}
