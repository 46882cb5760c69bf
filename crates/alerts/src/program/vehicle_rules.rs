//! The rules that concern one vehicle.

use std::collections::BTreeSet;
use std::sync::Arc;

use roadcast_domain::alert::Alert;
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{RuleId, VehicleId};
use roadcast_signals::{Column, Presence, Samples, SignalDef};

use super::{CompiledRule, Input, RuleVersion};
use crate::transition::Transition;

/// The rules of one owner that concern one vehicle.
#[derive(Clone, Debug)]
pub struct VehicleRules {
    rules: Vec<BoundRule>,
    /// What the rules read, without duplicates, ordered by signal.
    inputs: Vec<Input>,
    /// The signals that the rules read, ordered by number.
    signals: Vec<&'static SignalDef>,
    /// The first input that reads each signal.
    first_inputs: Vec<usize>,
    reads_diagnostics: bool,
    reads_any_sample: bool,
    is_timed: bool,
}

/// A rule and where its inputs are among those of all rules of the vehicle.
#[derive(Clone, Debug)]
pub(crate) struct BoundRule {
    pub(crate) rule: Arc<CompiledRule>,
    /// By the index of the input in the rule.
    pub(crate) inputs: Vec<usize>,
    /// The signals of the rule, by their index among those of all rules of the vehicle.
    pub(crate) signals: Vec<usize>,
}

impl VehicleRules {
    /// Returns these rules. Their order does not matter.
    pub(super) fn new(rules: impl IntoIterator<Item = Arc<CompiledRule>>) -> Self {
        let mut rules: Vec<Arc<CompiledRule>> = rules.into_iter().collect();
        rules.sort_by(|a, b| (&a.version.rule_id, a.version.version).cmp(&(&b.version.rule_id, b.version.version)));
        rules.dedup_by(|a, b| (&a.version.rule_id, a.version.version) == (&b.version.rule_id, b.version.version));
        let mut inputs: Vec<Input> = Vec::new();
        for input in rules.iter().flat_map(|rule| &rule.inputs) {
            if !inputs.contains(input) {
                inputs.push(input.clone());
            }
        }
        inputs.sort_by_key(|input| input.signal.number);
        let mut signals: Vec<&'static SignalDef> = inputs.iter().map(|input| input.signal).collect();
        signals.dedup_by_key(|signal| signal.number);
        let bind = |rule: Arc<CompiledRule>| {
            let position = |input: &Input| inputs.iter().position(|other| other == input).unwrap_or(usize::MAX);
            let of_signal = |input: &Input| signals.iter().position(|signal| signal.number == input.signal.number);
            let used: BTreeSet<usize> = rule.inputs.iter().filter_map(of_signal).collect();
            BoundRule { inputs: rule.inputs.iter().map(position).collect(), signals: used.into_iter().collect(), rule }
        };
        let first_input = |signal: &&SignalDef| inputs.iter().position(|input| input.signal.number == signal.number);
        Self {
            first_inputs: signals.iter().filter_map(first_input).collect(),
            reads_diagnostics: rules.iter().any(|rule| rule.reads_diagnostics),
            reads_any_sample: rules.iter().any(|rule| rule.reads_any_sample),
            is_timed: rules.iter().any(|rule| rule.is_timed),
            rules: rules.into_iter().map(bind).collect(),
            inputs,
            signals,
        }
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Returns those of the rules that read a signal for which `reads_signal` returns true, or diagnostic events if
    /// `reads_diagnostics`, or whatever was received.
    #[must_use]
    pub fn that_read(&self, reads_signal: impl Fn(&'static SignalDef) -> bool, reads_diagnostics: bool) -> Self {
        let is_one = |rule: &CompiledRule| {
            rule.reads_any_sample
                || (reads_diagnostics && rule.reads_diagnostics)
                || rule.inputs.iter().any(|input| reads_signal(input.signal))
        };
        Self::new(self.rules.iter().filter(|bound| is_one(&bound.rule)).map(|bound| Arc::clone(&bound.rule)))
    }

    /// Returns the versions of the rules.
    pub fn versions(&self) -> impl Iterator<Item = &RuleVersion> {
        self.rules.iter().map(|bound| &bound.rule.version)
    }

    /// Returns the version of a rule.
    pub fn version(&self, rule_id: &RuleId, version: u64) -> Option<&RuleVersion> {
        self.versions().find(|other| (&other.rule_id, other.version) == (rule_id, version))
    }

    /// Returns the first message about a transition of a vehicle, as it is published if no data is late; `None` if it is of no rule.
    pub fn alert(&self, vid: &VehicleId, transition: Transition) -> Option<Alert> {
        let version = self.version(&transition.rule_id, transition.version)?;
        Some(transition.into_alert(vid, version, 1, false))
    }

    /// Returns the signals that the rules read.
    pub fn signals(&self) -> &[&'static SignalDef] {
        &self.signals
    }

    /// Whether a rule depends on time alone: [`advance`](crate::Tracker::advance) must be called when the vehicle is silent.
    pub const fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// Returns the part of an event that the rules read out of what their owner may see: signals for which `is_visible` returns
    /// true, and diagnostic events if `sees_diagnostics`. `None` if nothing remains.
    ///
    /// The caller decides on visibility by the received time of the event, as [`Coverage`](roadcast_domain::entitlement::Coverage)
    /// does. The evaluation gets nothing else, so that it cannot depend on what the owner may not see.
    pub fn select(
        &self,
        event: &Event,
        is_visible: impl Fn(&'static SignalDef) -> bool,
        sees_diagnostics: bool,
    ) -> Option<Event> {
        let body = match &event.body {
            Body::Telemetry(telemetry) => {
                let samples = self.select_samples(&telemetry.samples, is_visible);
                (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }))?
            }
            Body::Diagnostic(diagnostic) if sees_diagnostics && self.reads_diagnostics => {
                Body::Diagnostic(diagnostic.clone())
            }
            Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) => return None,
        };
        Some(Event { eid: event.eid, vid: event.vid.clone(), received: event.received, body })
    }

    fn select_samples(&self, samples: &Samples, is_visible: impl Fn(&'static SignalDef) -> bool) -> Samples {
        let columns = self.signals.iter().filter(|signal| is_visible(signal)).filter_map(|signal| samples.column_of(signal));
        let mut selected = Samples::new(samples.times().to_vec(), columns.cloned().collect());
        if self.reads_any_sample {
            let visible = samples.columns().iter().filter(|column| column.path.def().is_some_and(&is_visible));
            selected.retain_rows(&rows_of(visible, samples.len()));
        } else {
            selected.remove_empty_rows();
        }
        selected
    }

    pub(crate) fn rules(&self) -> &[BoundRule] {
        &self.rules
    }

    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Returns the index of the first input that reads a signal.
    pub(crate) fn input_of_signal(&self, signal: usize) -> Option<usize> {
        self.first_inputs.get(signal).copied()
    }
}

/// Returns, by row, whether one of these columns has a value.
fn rows_of<'c>(columns: impl Iterator<Item = &'c Column>, rows: usize) -> Vec<bool> {
    let mut flags = vec![false; rows];
    for column in columns {
        if column.presence == Presence::All {
            return vec![true; rows];
        }
        for row in column.presence.rows(rows) {
            if let Some(flag) = flags.get_mut(row) {
                *flag = true;
            }
        }
    }
    flags
}
