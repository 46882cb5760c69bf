//! A plain evaluation: every rule at every sample of the whole history in order, and at every second in between. Each test looks at
//! all samples so far.

mod tests_of_samples;

use std::collections::BTreeMap;

use roadcast_alerts::RuleVersion;
use roadcast_alerts::VehicleRules;
use roadcast_alerts::rule::{Condition, NoData, Rule, Test};
use roadcast_alerts::transition::Transition;
use roadcast_domain::alert::{AlertDiagnostic, AlertSignal, Cause, TransitionKind};
use roadcast_domain::diagnostic::Diagnostic;
use roadcast_domain::event::Body;
use roadcast_domain::ids::Eid;
use roadcast_signals::{Catalogue, POSITION, SignalDef, SignalPath, Signals, Timestamp};

use crate::history::{History, SPEED};

/// A sample or a diagnostic event.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) time: Timestamp,
    stated: Timestamp,
    eid: Eid,
    index: usize,
    received: Timestamp,
    pub(crate) signals: Signals,
    pub(crate) diagnostic: Option<Diagnostic>,
}

fn observations(history: &History) -> Vec<Observation> {
    let mut observations = Vec::new();
    for event in &history.events {
        let rows: Vec<(Timestamp, Signals, Option<Diagnostic>)> = match &event.body {
            Body::Telemetry(telemetry) => {
                telemetry.samples.to_rows().into_iter().map(|sample| (sample.at, sample.signals, None)).collect()
            }
            Body::Diagnostic(diagnostic) => vec![(diagnostic.at, Signals::new(), Some(diagnostic.clone()))],
            Body::Alert(_) | Body::Custom(_) => Vec::new(),
        };
        for (index, (stated, signals, diagnostic)) in rows.into_iter().enumerate() {
            let time = stated.min(event.received);
            let (eid, received) = (event.eid, event.received);
            observations.push(Observation { time, stated, eid, index, received, signals, diagnostic });
        }
    }
    observations.sort_by_key(|observation| (observation.time, observation.stated, observation.eid, observation.index));
    observations
}

/// Returns the transitions of all rules, in order.
pub(crate) fn evaluate(rules: &VehicleRules, history: &History) -> Vec<Transition> {
    let observations = observations(history);
    let mut transitions: Vec<Transition> =
        rules.versions().flat_map(|version| evaluate_rule(version, &observations, history.until)).collect();
    transitions.sort_by_key(Transition::key);
    transitions
}

/// The state of one rule. The names of conditions are their positions in the rule.
struct Evaluation<'h> {
    version: &'h RuleVersion,
    observations: Vec<&'h Observation>,
    since: BTreeMap<String, Timestamp>,
    raised_at: Option<Timestamp>,
    last_raised_at: Option<Timestamp>,
    transitions: Vec<Transition>,
}

/// Whether the owner of the rule gets an observation: it has something that the rule reads.
fn is_selected(rule: &Rule, observation: &Observation) -> bool {
    let (signals, reads_diagnostics, reads_any) = reads(&rule.condition);
    if observation.diagnostic.is_some() {
        return reads_diagnostics || reads_any;
    }
    let reads_one = observation.signals.keys().any(|path| signals.contains(&path.as_str()));
    reads_one || reads_any && !observation.signals.is_empty()
}

fn evaluate_rule(version: &RuleVersion, all: &[Observation], until: Timestamp) -> Vec<Transition> {
    let observations: Vec<&Observation> = all.iter().filter(|observation| is_selected(&version.rule, observation)).collect();
    let mut evaluation = Evaluation {
        version,
        observations: Vec::new(),
        since: BTreeMap::new(),
        raised_at: None,
        last_raised_at: None,
        transitions: Vec::new(),
    };
    let is_timed = has_no_data(&version.rule.condition);
    for (index, observation) in observations.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).and_then(|index| observations.get(index)).filter(|_| is_timed) {
            evaluation.evaluate_silence(before.time, observation.time.plus_ms(-1));
        }
        evaluation.observations.push(observation);
        let holds = evaluation.holds(&version.rule.condition, "", observation.time, true);
        if observations.get(index + 1).is_none_or(|next| next.time != observation.time) {
            evaluation.change(holds, observation.time, Some(observation));
        }
    }
    if let Some(last) = observations.last().filter(|_| is_timed) {
        evaluation.evaluate_silence(last.time, until);
    }
    evaluation.transitions
}

impl Evaluation<'_> {
    /// Evaluates every whole second after a time.
    fn evaluate_silence(&mut self, after: Timestamp, until: Timestamp) {
        let mut time = after.plus_ms(1000);
        while time <= until {
            let holds = self.holds(&self.version.rule.condition, "", time, false);
            self.change(holds, time, None);
            time = time.plus_ms(1000);
        }
    }

    fn holds(&mut self, condition: &Condition, name: &str, now: Timestamp, is_sample: bool) -> Option<bool> {
        let mut inner = |conditions: &[Condition]| -> Vec<Option<bool>> {
            let holds = |(index, inner): (usize, &Condition)| self.holds(inner, &format!("{name}/{index}"), now, is_sample);
            conditions.iter().enumerate().map(holds).collect()
        };
        let result = match &condition.test {
            Test::All(conditions) => {
                let inner = inner(conditions);
                if inner.contains(&Some(false)) { Some(false) } else { inner.iter().all(Option::is_some).then_some(true) }
            }
            Test::Any(conditions) => {
                let inner = inner(conditions);
                if inner.contains(&Some(true)) { Some(true) } else { inner.iter().all(Option::is_some).then_some(false) }
            }
            Test::Not(condition) => inner(std::slice::from_ref(condition))[0].map(|holds| !holds),
            Test::NoData(test) => self.is_silent(test, now, is_sample),
            test => tests_of_samples::result(test, &self.observations),
        };
        if result != Some(true) {
            self.since.remove(name);
            return result;
        }
        let since = *self.since.entry(name.to_owned()).or_insert(now);
        Some(now.ms_since(since) >= i64::from(condition.for_s) * 1000)
    }

    fn is_silent(&self, test: &NoData, now: Timestamp, is_sample: bool) -> Option<bool> {
        let is_data = |observation: &&&Observation| {
            test.signals.is_empty() || test.signals.iter().any(|signal| observation.signals.contains_key(signal.path))
        };
        let last = self.observations.iter().rfind(is_data)?;
        let is_this_one = is_sample && std::ptr::eq(*last, *self.observations.last()?);
        Some(!is_this_one && now.ms_since(last.time) >= i64::from(test.after_s) * 1000)
    }

    fn change(&mut self, holds: Option<bool>, now: Timestamp, cause: Option<&Observation>) {
        let (kind, raised_at) = match (self.raised_at, holds) {
            (None, Some(true)) if self.may_raise(now) => {
                (self.raised_at, self.last_raised_at) = (Some(now), Some(now));
                (TransitionKind::Raised, now)
            }
            (Some(raised_at), Some(false)) => {
                self.raised_at = None;
                (TransitionKind::Cleared, raised_at)
            }
            _ => return,
        };
        let condition = &self.version.rule.condition;
        self.transitions.push(Transition {
            rule_id: self.version.rule_id.clone(),
            version: self.version.version,
            kind,
            at: now,
            raised_at,
            cause: cause.map(|cause| Cause { eid: cause.eid, received: cause.received }),
            signals: reads(condition).0.into_iter().map(|path| self.last_value(path)).collect(),
            diagnostic: reads(condition).1.then(|| self.last_diagnostic(condition)),
        });
    }

    fn may_raise(&self, now: Timestamp) -> bool {
        let cooldown_ms = i64::from(self.version.rule.cooldown_s) * 1000;
        // All histories are on a Friday evening in winter, when Berlin is one hour ahead.
        let minute = now.plus_ms(60 * 60 * 1000).ms().rem_euclid(24 * 60 * 60 * 1000) / 60_000;
        let is_quiet = self.version.rule.schedule.as_ref().is_some_and(|schedule| {
            schedule
                .quiet_hours
                .iter()
                .any(|hours| (i64::from(hours.from.minutes())..i64::from(hours.to.minutes())).contains(&minute))
        });
        now >= self.version.active_from
            && self.last_raised_at.is_none_or(|last| now.ms_since(last) >= cooldown_ms)
            && !is_quiet
    }

    fn last_value(&self, path: &'static str) -> AlertSignal {
        let known = self
            .observations
            .iter()
            .rev()
            .find_map(|observation| observation.signals.get(path).map(|value| (observation.time, value.clone())));
        let (at, value) = known.unzip();
        AlertSignal { path: SignalPath::parse(path).unwrap(), value, at }
    }

    fn last_diagnostic(&self, condition: &Condition) -> AlertDiagnostic {
        let last =
            self.observations.iter().rev().find_map(|observation| Some((observation.time, observation.diagnostic.clone()?)));
        let (at, diagnostic) = last.unzip();
        let mil = diagnostic.as_ref().and_then(|diagnostic| diagnostic.mil);
        let dtcs = diagnostic.map(|diagnostic| diagnostic.dtcs).unwrap_or_default();
        let dtcs = dtcs.into_iter().filter(|code| names_code(condition, code)).collect();
        AlertDiagnostic { at, mil, dtcs }
    }
}

fn inner(condition: &Condition) -> &[Condition] {
    match &condition.test {
        Test::All(conditions) | Test::Any(conditions) => conditions,
        Test::Not(condition) => std::slice::from_ref(condition),
        _ => &[],
    }
}

fn has_no_data(condition: &Condition) -> bool {
    matches!(condition.test, Test::NoData(_)) || inner(condition).iter().any(has_no_data)
}

fn names_code(condition: &Condition, code: &roadcast_domain::diagnostic::TroubleCode) -> bool {
    matches!(&condition.test, Test::Dtc(test) if tests_of_samples::names(test, code))
        || inner(condition).iter().any(|condition| names_code(condition, code))
}

/// The signals that a condition reads, in the order of the catalogue, whether it tests diagnostic events, and whether all data.
fn reads(condition: &Condition) -> (Vec<&'static str>, bool, bool) {
    let mut signals: Vec<&'static SignalDef> = Vec::new();
    let (mut diagnostics, mut any) = (false, false);
    let named = |path: &str| Catalogue::get().by_path(path).unwrap();
    match &condition.test {
        Test::Threshold(test) => signals.push(test.signal),
        Test::Equals(test) => signals.push(test.signal),
        Test::Rate(test) => signals.push(test.signal),
        Test::HarshBraking(_) | Test::HarshAcceleration(_) => signals.push(named(SPEED)),
        Test::Geofence(_) => signals.extend(POSITION.map(named)),
        Test::NoData(test) => {
            signals.extend(&test.signals);
            any = test.signals.is_empty();
        }
        Test::Dtc(_) | Test::MilOn {} => diagnostics = true,
        Test::All(_) | Test::Any(_) | Test::Not(_) => {}
    }
    for condition in inner(condition) {
        let (more, more_diagnostics, more_any) = reads(condition);
        signals.extend(more.into_iter().map(named));
        diagnostics |= more_diagnostics;
        any |= more_any;
    }
    signals.sort_by_key(|signal| signal.number);
    signals.dedup();
    (signals.into_iter().map(|signal| signal.path).collect(), diagnostics, any)
}
