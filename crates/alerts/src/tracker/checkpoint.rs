//! Stores and restores the evaluation of a vehicle.

use std::collections::BTreeMap;

use roadcast_domain::alert::Alert;
use roadcast_domain::entitlement::Visibility;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{RuleId, VehicleId};
use roadcast_signals::{SignalPath, Timestamp};
use serde::{Deserialize, Serialize};

use super::publication::Published;
use super::{Buffers, States, Tracker, Update};
use crate::back_test::BackTestState;
use crate::program::{RuleVersion, VehicleRules};
use crate::state::{LastDiagnostic, LastValue, RuleState, State};
use crate::transition::{Transition, TransitionKey};

/// What is stored of the evaluation of a vehicle: the oldest snapshot, and what was published since. It needs to be stored only if
/// something was published; the samples since are in the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The time of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    rules: Vec<StoredRule>,
    values: Vec<StoredValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagnostic: Option<LastDiagnostic>,
    published: Vec<Published>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    silent_until: Option<Timestamp>,
    /// What the owner saw; absent if it sees everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visibility: Option<Visibility>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredRule {
    rule_id: RuleId,
    version: u64,
    state: RuleState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredValue {
    path: SignalPath,
    last: LastValue,
}

impl Checkpoint {
    /// The time after which the samples of the event log are needed; `None` if all are.
    pub const fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// What the owner saw when the checkpoint was stored; `None` if it sees everything.
    pub const fn visibility(&self) -> Option<&Visibility> {
        self.visibility.as_ref()
    }

    /// Returns the checkpoint with what the owner sees.
    #[must_use]
    pub fn with_visibility(self, visibility: Option<Visibility>) -> Self {
        Self { visibility, ..self }
    }

    /// Replaces the state of rules by another one of the same [time](Self::time), and the values for which `is_lost` returns true and,
    /// if `diagnostics_are_lost`, the last diagnostic event by those of that state.
    pub fn start_again(
        &mut self,
        rules: &VehicleRules,
        state: BackTestState,
        is_lost: impl Fn(&str) -> bool,
        diagnostics_are_lost: bool,
    ) {
        let BackTestState(State { rules: states, values, diagnostic, .. }) = state;
        self.rules.retain(|stored| rules.version(&stored.rule_id, stored.version).is_none());
        self.rules.extend(rules.versions().zip(states).map(|(version, state)| StoredRule::new(version, state)));
        self.values.retain(|stored| !is_lost(stored.path.as_str()));
        for (signal, last) in rules.signals().iter().zip(values) {
            let is_stored = self.values.iter().any(|stored| stored.path.as_str() == signal.path);
            if let Some(last) = last.filter(|_| !is_stored) {
                self.values.push(StoredValue { path: SignalPath::Known(signal), last });
            }
        }
        if diagnostics_are_lost {
            self.diagnostic = diagnostic;
        }
    }

    /// Whether a message was published before the checkpoint was stored. Of transitions up to its [time](Self::time), all were.
    pub fn has_published(&self, message: &Alert) -> bool {
        let key = Transition::of_alert(message).key();
        let is_newest = |published: &Published| published.transition.key() == key && published.revision >= message.revision;
        Some(message.at) <= self.time || self.published.iter().any(is_newest)
    }

    /// Returns the time up to which something was published, or the silence of the vehicle evaluated. To [restore](Tracker::restore) an
    /// evaluation, all events up to this time are needed at once; later ones can be pushed.
    pub fn end(&self) -> Option<Timestamp> {
        let published = self.published.iter().map(|published| published.transition.at).max();
        published.max(self.silent_until)
    }

    /// Returns the revisions of what was published.
    pub(super) fn revisions(&self) -> BTreeMap<TransitionKey, u32> {
        self.published.iter().map(|published| (published.transition.key(), published.revision)).collect()
    }

    /// Returns the state for rules. Those that are not stored in their version begin without earlier samples.
    fn state(&self, rules: &VehicleRules) -> State {
        let mut state = State::new(rules);
        state.time = self.time;
        state.diagnostic.clone_from(&self.diagnostic);
        for (version, state) in rules.versions().zip(&mut state.rules) {
            let is_same = |stored: &&StoredRule| (&stored.rule_id, stored.version) == (&version.rule_id, version.version);
            let stored = self.rules.iter().find(is_same).map(|stored| &stored.state);
            if let Some(stored) = stored.filter(|stored| stored.nodes.len() == state.nodes.len()) {
                state.clone_from(stored);
            }
        }
        for (signal, value) in rules.signals().iter().zip(&mut state.values) {
            let stored = self.values.iter().find(|stored| stored.path.as_str() == signal.path);
            *value = stored.map(|stored| stored.last.clone());
        }
        state
    }
}

impl StoredRule {
    fn new(version: &RuleVersion, state: RuleState) -> Self {
        Self { rule_id: version.rule_id.clone(), version: version.version, state }
    }
}

impl Tracker {
    /// Returns what must be stored to [restore](Self::restore) the evaluation.
    pub fn checkpoint(&self) -> Checkpoint {
        let State { time, rules, values, diagnostic } = self.states.oldest();
        let rule = |(version, state): (&RuleVersion, &RuleState)| StoredRule::new(version, state.clone());
        let value = |(signal, last): (&&'static _, &Option<LastValue>)| {
            last.clone().map(|last| StoredValue { path: SignalPath::Known(signal), last })
        };
        Checkpoint {
            time: *time,
            rules: self.rules.versions().zip(rules).map(rule).collect(),
            values: self.rules.signals().iter().zip(values).filter_map(value).collect(),
            diagnostic: diagnostic.clone(),
            published: self.publication.list(),
            silent_until: self.silent_until,
            visibility: None,
        }
    }

    /// Continues from a checkpoint, with all events of the event log that have a sample after its time, in any order. Publishes the
    /// difference between what had been published and what these events give, which is nothing if they are those that had been
    /// accepted.
    ///
    /// The rules may be others. A version of a rule that is not in the checkpoint is evaluated on these events only. Alerts of
    /// versions that no longer exist are neither cleared nor withdrawn.
    pub fn restore(
        vid: VehicleId,
        rules: VehicleRules,
        allowed_lateness_ms: i64,
        checkpoint: &Checkpoint,
        events: impl IntoIterator<Item = Event>,
        buffers: &mut Buffers,
    ) -> (Self, Update) {
        let mut tracker = Self::new(vid, rules, allowed_lateness_ms);
        tracker.states = States::new(checkpoint.state(&tracker.rules));
        tracker.silent_until = checkpoint.silent_until;
        let has_rule = |published: &&Published| {
            let Published { transition, .. } = published;
            tracker.rules.version(&transition.rule_id, transition.version).is_some()
        };
        tracker.publication = checkpoint.published.iter().filter(has_rule).cloned().collect();
        let mut update = Update::default();
        let accepted = tracker.accept_all(events, &mut update);
        if accepted.is_empty() {
            tracker.publish(checkpoint.time, Vec::new(), true, &mut update);
        } else {
            tracker.evaluate(accepted, buffers, &mut update);
        }
        (tracker, update)
    }
}
