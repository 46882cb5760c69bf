//! What a transition was computed from.

use roadcast_domain::alert::{AlertDiagnostic, AlertSignal, Cause, TransitionKind};
use roadcast_signals::{SignalPath, Timestamp, Value};

use super::{Before, Evaluation, Instant};
use crate::limits::CODES_PER_ALERT;
use crate::program::{BoundRule, NodeTest};
use crate::state::LastDiagnostic;
use crate::transition::Transition;

impl Evaluation<'_> {
    /// Returns a transition of a rule, with the last values of all signals that the rule reads.
    pub(super) fn evidence(
        &self,
        bound: &BoundRule,
        kind: TransitionKind,
        raised_at: Timestamp,
        at: Instant,
        before: &Before<'_>,
    ) -> Transition {
        let cause = at.row.and_then(|row| self.batch.event(row, self.events));
        Transition {
            rule_id: bound.rule.version.rule_id.clone(),
            version: bound.rule.version.version,
            kind,
            at: at.time,
            raised_at,
            cause: cause.map(|event| Cause { eid: event.eid, received: event.received }),
            signals: bound.signals.iter().filter_map(|signal| self.last_value(*signal, at, before)).collect(),
            diagnostic: self.last_codes(bound, at, before),
        }
    }

    fn last_value(&self, signal: usize, at: Instant, before: &Before<'_>) -> Option<AlertSignal> {
        let def = *self.rules.signals().get(signal)?;
        let of_row = at.last_row.filter(|last| *last >= before.first_row).and_then(|last| {
            let input = self.rules.input_of_signal(signal)?;
            let row = self.batch.last_row_with(input, before.first_row..=last)?;
            self.batch.value(def, row, self.events)
        });
        let of_state = || before.values.get(signal)?.as_ref().map(|last| (last.at, last.value.clone()));
        let (at, value) = of_row.or_else(of_state).unzip();
        // A list may be too long for an alert, and no condition tests its entries.
        let value = value.filter(|value| !matches!(value, Value::List(_)));
        Some(AlertSignal { path: SignalPath::Known(def), value, at })
    }

    fn last_codes(&self, bound: &BoundRule, at: Instant, before: &Before<'_>) -> Option<AlertDiagnostic> {
        let nodes = &bound.rule.nodes;
        if !nodes.iter().any(|node| matches!(node.test, NodeTest::Dtc(_) | NodeTest::MilOn)) {
            return None;
        }
        let rows = at.last_row.map(|last| before.first_row..=last);
        let of_row = rows.into_iter().flat_map(Iterator::rev).find_map(|row| self.last_diagnostic(row));
        let Some(LastDiagnostic { at, mil, dtcs }) = of_row.or_else(|| before.diagnostic.cloned()) else {
            return Some(AlertDiagnostic { at: None, mil: None, dtcs: Vec::new() });
        };
        let is_tested = |code: &_| nodes.iter().any(|node| matches!(&node.test, NodeTest::Dtc(test) if test.matches(code)));
        let dtcs = dtcs.into_iter().filter(is_tested).take(CODES_PER_ALERT).collect();
        Some(AlertDiagnostic { at: Some(at), mil, dtcs })
    }
}
