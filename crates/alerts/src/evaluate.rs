//! Evaluates rules on samples.

mod evidence;
mod silence;
mod step;

use roadcast_domain::alert::TransitionKind;
use std::ops::Range;

use roadcast_domain::event::Event;
use roadcast_signals::Timestamp;

use crate::batch::Batch;
use crate::program::{BoundRule, VehicleRules};
use crate::state::{LastDiagnostic, LastValue, RuleState, State};
use crate::transition::Transition;

pub(crate) use silence::{next_deadline, pass_silence, silent_transitions};

/// The evaluation of a batch: what does not change while it runs.
pub(crate) struct Evaluation<'b> {
    pub(crate) rules: &'b VehicleRules,
    pub(crate) batch: &'b Batch,
    pub(crate) events: &'b [&'b Event],
}

/// A time at which a rule is evaluated.
#[derive(Copy, Clone)]
struct Instant {
    time: Timestamp,
    /// The row that is read; `None` between rows.
    row: Option<usize>,
    /// The last row that was read.
    last_row: Option<usize>,
}

impl Evaluation<'_> {
    /// Advances a state by a range of rows, and returns the transitions, rule by rule. The state must be that before the first row,
    /// and samples of one time must not be separated.
    pub(crate) fn run(&self, state: &mut State, rows: Range<usize>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let time = state.time;
        let mut rules = std::mem::take(&mut state.rules);
        let before = Before { values: &state.values, diagnostic: state.diagnostic.as_ref(), first_row: rows.start };
        for (bound, state) in self.rules.rules().iter().zip(&mut rules) {
            self.run_rule(bound, state, time, &before, rows.end, &mut transitions);
        }
        state.rules = rules;
        self.keep_last_values(state, rows);
        transitions
    }

    fn run_rule(
        &self,
        bound: &BoundRule,
        state: &mut RuleState,
        mut time: Option<Timestamp>,
        before: &Before<'_>,
        end: usize,
        transitions: &mut Vec<Transition>,
    ) {
        let Some(rows) = self.batch.rows().get(..end) else { return };
        // The last row of the present time that the rule reads.
        let mut last: Option<Instant> = None;
        for (row, at) in rows.iter().enumerate().skip(before.first_row) {
            // Samples of the same time are one: a rule has one transition at a time.
            if let Some(instant) = last.take_if(|last| last.time < at.time) {
                transitions.extend(self.transition(bound, state, instant, before));
            }
            // Otherwise a rule would depend on the signals that others read.
            if !self.concerns(bound, row) {
                continue;
            }
            if bound.rule.is_timed {
                // A sample at the very time prevents that data is missing.
                let silence = Silence { after: time, until: at.time.plus_ms(-1), last_row: row.checked_sub(1) };
                self.run_silence(bound, state, silence, before, transitions);
            }
            time = Some(at.time);
            let instant = Instant { time: at.time, row: Some(row), last_row: Some(row) };
            self.step(bound, state, instant);
            last = Some(instant);
        }
        if let Some(instant) = last {
            transitions.extend(self.transition(bound, state, instant, before));
        }
        if let Some(end) = rows.last().filter(|_| bound.rule.is_timed) {
            let silence = Silence { after: time, until: end.time, last_row: rows.len().checked_sub(1) };
            self.run_silence(bound, state, silence, before, transitions);
        }
    }

    /// Whether a rule reads something from a row.
    fn concerns(&self, bound: &BoundRule, row: usize) -> bool {
        bound.rule.reads_any_sample
            || bound.inputs.iter().any(|input| !self.batch.number(*input, row).is_nan())
            || (bound.rule.reads_diagnostics && self.batch.diagnostic(row, self.events).is_some())
    }

    /// Raises or clears the alert of a rule.
    fn transition(&self, bound: &BoundRule, state: &mut RuleState, at: Instant, before: &Before<'_>) -> Option<Transition> {
        let (kind, raised_at) = match (state.raised_at, state.holds()?) {
            (None, true) if bound.rule.may_raise(at.time, state.last_raised_at) => {
                state.raised_at = Some(at.time);
                state.last_raised_at = Some(at.time);
                (TransitionKind::Raised, at.time)
            }
            (Some(raised_at), false) => {
                state.raised_at = None;
                (TransitionKind::Cleared, raised_at)
            }
            _ => return None,
        };
        Some(self.evidence(bound, kind, raised_at, at, before))
    }

    fn keep_last_values(&self, state: &mut State, rows: Range<usize>) {
        let Some(last) = rows.end.checked_sub(1).filter(|last| rows.contains(last)) else { return };
        for (index, (signal, value)) in self.rules.signals().iter().zip(&mut state.values).enumerate() {
            let row = self.rules.input_of_signal(index).and_then(|input| self.batch.last_row_with(input, rows.start..=last));
            let newest = row.and_then(|row| self.batch.value(signal, row, self.events));
            if let Some((at, newest)) = newest {
                *value = Some(LastValue { at, value: newest });
            }
        }
        if self.batch.has_diagnostics() {
            let diagnostic = rows.rev().find_map(|row| self.last_diagnostic(row));
            state.diagnostic = diagnostic.or(state.diagnostic.take());
        }
        state.time = self.batch.rows().get(last).map(|row| row.time).or(state.time);
    }

    fn last_diagnostic(&self, row: usize) -> Option<LastDiagnostic> {
        let diagnostic = self.batch.diagnostic(row, self.events)?;
        let at = self.batch.rows().get(row)?.time;
        Some(LastDiagnostic { at, mil: diagnostic.mil, dtcs: diagnostic.dtcs.clone() })
    }
}

/// What was known before the first row.
struct Before<'s> {
    values: &'s [Option<LastValue>],
    diagnostic: Option<&'s LastDiagnostic>,
    first_row: usize,
}

/// A time without rows, of which both ends are included in the evaluation except the first.
#[derive(Copy, Clone)]
struct Silence {
    after: Option<Timestamp>,
    until: Timestamp,
    last_row: Option<usize>,
}
