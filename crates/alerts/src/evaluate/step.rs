//! Evaluates the conditions of a rule at one time.

use std::collections::VecDeque;

use roadcast_domain::diagnostic::TroubleCode;
use roadcast_signals::Timestamp;

use super::{Evaluation, Instant};
use crate::limits::SPEED_GAP_MS;
use crate::program::{BoundRule, NodeTest};
use crate::rule::{DtcTest, FenceEvent};
use crate::state::{Memory, NodeState, RATE_STEPS, RuleState};

const KMH_PER_MPS: f64 = 3.6;

impl Evaluation<'_> {
    /// Evaluates all conditions of a rule.
    pub(super) fn step(&self, bound: &BoundRule, state: &mut RuleState, at: Instant) {
        for (index, node) in bound.rule.nodes.iter().enumerate() {
            // The conditions of which this one consists precede it.
            let Some((inner, rest)) = state.nodes.split_at_mut_checked(index) else { return };
            let Some(state) = rest.first_mut() else { return };
            self.test(bound, &node.test, inner, state, at);
            state.holds = if node.for_ms == 0 { state.result } else { held_for(state, node.for_ms, at.time) };
        }
    }

    fn test(&self, bound: &BoundRule, test: &NodeTest, inner: &[NodeState], state: &mut NodeState, at: Instant) {
        let number = |input: usize| {
            let input = bound.inputs.get(input).copied().unwrap_or(usize::MAX);
            at.row.map(|row| self.batch.number(input, row)).filter(|number| !number.is_nan())
        };
        let NodeState { result, memory, .. } = state;
        match (test, memory) {
            (NodeTest::Threshold { input, bound }, _) => {
                if let Some(number) = number(*input) {
                    *result = Some(bound.holds(number, *result == Some(true)));
                }
            }
            (NodeTest::Equals { input, number: expected }, _) => {
                // Both are on the same grid, or both are as they were written.
                #[allow(clippy::float_cmp)]
                if let Some(number) = number(*input) {
                    *result = Some(number == *expected);
                }
            }
            (NodeTest::Rate { input, bound, unit_ms, window_ms }, Memory::Numbers(numbers)) => {
                if let Some(per_ms) = number(*input).and_then(|number| rate(numbers, *window_ms, at.time, number)) {
                    *result = Some(bound.holds(per_ms * unit_ms, *result == Some(true)));
                }
            }
            (NodeTest::Harsh { input, sign, limit_mps2 }, Memory::Speed(last)) => {
                if let Some(acceleration) = number(*input).and_then(|speed| acceleration(last, at.time, speed.abs())) {
                    *result = Some(acceleration * sign > *limit_mps2);
                }
            }
            (
                NodeTest::Geofence { latitude, longitude, fence, event },
                Memory::Position { inside, was_inside, was_outside },
            ) => {
                // A sample with one coordinate has no position.
                let (Some(latitude), Some(longitude)) = (number(*latitude), number(*longitude)) else { return };
                *inside = fence.contains(longitude, latitude, *inside);
                *was_inside |= *inside;
                *was_outside |= !*inside;
                *result = Some(match event {
                    FenceEvent::Enter => *inside && *was_outside,
                    FenceEvent::Leave => !*inside && *was_inside,
                    FenceEvent::Dwell => *inside,
                });
            }
            (NodeTest::NoData { inputs, after_ms }, Memory::Data(last)) => {
                let has_data =
                    at.row.is_some() && (inputs.is_empty() || inputs.iter().any(|input| number(*input).is_some()));
                if has_data {
                    *last = Some(at.time);
                }
                *result = last.map(|last| !has_data && at.time.ms_since(last) >= *after_ms);
            }
            (NodeTest::Dtc(test), _) => {
                if let Some(diagnostic) = at.row.and_then(|row| self.batch.diagnostic(row, self.events)) {
                    *result = Some(diagnostic.dtcs.iter().any(|code| test.matches(code)));
                }
            }
            (NodeTest::MilOn, _) => {
                let diagnostic = at.row.and_then(|row| self.batch.diagnostic(row, self.events));
                *result = diagnostic.and_then(|diagnostic| diagnostic.mil).or(*result);
            }
            (NodeTest::All(conditions), _) => *result = combine(conditions, inner, false),
            (NodeTest::Any(conditions), _) => *result = combine(conditions, inner, true),
            (NodeTest::Not(condition), _) => {
                *result = inner.get(*condition).and_then(|inner| inner.holds).map(|holds| !holds);
            }
            // A stored state of other conditions: unknown.
            (NodeTest::Rate { .. } | NodeTest::Harsh { .. } | NodeTest::Geofence { .. } | NodeTest::NoData { .. }, _) => {}
        }
    }
}

/// Returns `decisive` if one of the conditions is that, unknown if one is unknown, otherwise the other value.
fn combine(conditions: &[usize], inner: &[NodeState], decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for condition in conditions {
        match inner.get(*condition).and_then(|inner| inner.holds) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// Whether the test has held for a time.
fn held_for(state: &mut NodeState, for_ms: i64, time: Timestamp) -> Option<bool> {
    if state.result != Some(true) {
        state.since = None;
        return state.result;
    }
    let since = *state.since.get_or_insert(time);
    Some(time.ms_since(since) >= for_ms)
}

/// Returns the change of a number per millisecond, since the oldest kept number within the window. `None` if the kept numbers do not
/// span half of the window.
#[allow(clippy::cast_precision_loss)] // milliseconds of a day
fn rate(numbers: &mut VecDeque<(Timestamp, f64)>, window_ms: i64, time: Timestamp, number: f64) -> Option<f64> {
    while numbers.front().is_some_and(|(at, _)| time.ms_since(*at) > window_ms) {
        numbers.pop_front();
    }
    let rate = numbers.front().and_then(|(at, first)| {
        let elapsed_ms = time.ms_since(*at);
        (elapsed_ms > 0 && elapsed_ms * 2 >= window_ms).then(|| (number - first) / elapsed_ms as f64)
    });
    // Kept at distances, so that their number is bounded.
    if numbers.back().is_none_or(|(at, _)| time.ms_since(*at) * RATE_STEPS >= window_ms) {
        numbers.push_back((time, number));
    }
    rate
}

/// Returns the acceleration in m/s² since the last speed in km/h: 0 if that is unknown or too old, `None` if it is of the same time.
#[allow(clippy::cast_precision_loss)] // a few seconds
fn acceleration(last: &mut Option<(Timestamp, f64)>, time: Timestamp, speed: f64) -> Option<f64> {
    let elapsed_ms = last.map(|(at, _)| time.ms_since(at));
    if elapsed_ms == Some(0) {
        return None;
    }
    let before = last.replace((time, speed));
    match (before, elapsed_ms) {
        (Some((_, before)), Some(elapsed_ms)) if elapsed_ms <= SPEED_GAP_MS => {
            Some((speed - before) / KMH_PER_MPS / (elapsed_ms as f64 / 1000.0))
        }
        _ => Some(0.0),
    }
}

impl DtcTest {
    /// Whether a code has one of the patterns and one of the statuses.
    pub fn matches(&self, code: &TroubleCode) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&code.status))
            && self.patterns.iter().any(|pattern| pattern.matches(&code.code))
    }
}
