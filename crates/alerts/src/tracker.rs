//! Evaluates the rules of a vehicle on the stream, with late data.

mod acceptance;
mod checkpoint;
mod publication;
mod states;

#[cfg(test)]
mod tests;

use roadcast_domain::alert::{Alert, TransitionKind};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::Timestamp;

use self::publication::{Publication, Published};
use self::states::States;
use crate::batch::{self, Batch};
use crate::evaluate::{Evaluation, next_deadline, silent_transitions};
use crate::limits;
use crate::program::VehicleRules;
use crate::state::State;
use crate::transition::Transition;
use crate::window::Window;

pub use checkpoint::Checkpoint;

/// How many snapshots there are per allowed lateness.
const SNAPSHOTS: i64 = 4;

/// Buffers of the evaluation, which one thread reuses for all vehicles.
#[derive(Debug, Default)]
pub struct Buffers {
    pub(crate) batch: Batch,
}

/// The evaluation of the rules of one owner on one vehicle.
///
/// It accepts events in any order. What it published, without what it withdrew, is always what the evaluation of all accepted samples
/// in their order gives. It keeps the samples of the allowed lateness, and snapshots of the state; a late sample is evaluated
/// together with all later ones from the last snapshot before it. Samples that are later than that are ignored and counted.
#[derive(Clone, Debug)]
pub struct Tracker {
    vid: VehicleId,
    rules: VehicleRules,
    allowed_lateness_ms: i64,
    states: States,
    /// The accepted samples after the oldest snapshot.
    window: Window,
    publication: Publication,
    /// The time up to which the silence of the vehicle was evaluated.
    silent_until: Option<Timestamp>,
}

/// What an event or a time changed.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "contains the alerts"]
pub struct Update {
    /// The messages to publish: what is withdrawn, then what is new, by time.
    pub alerts: Vec<Alert>,
    /// The samples that were ignored because they were too late.
    pub too_late: usize,
    /// The events that were ignored because they were accepted before.
    pub duplicates: usize,
    /// The samples that were evaluated again because of late ones.
    pub evaluated_again: usize,
}

impl Tracker {
    /// Returns the evaluation of a vehicle without earlier samples. Samples may be later than newer ones by `allowed_lateness_ms`,
    /// usually [`limits::ALLOWED_LATENESS_MS`].
    pub fn new(vid: VehicleId, rules: VehicleRules, allowed_lateness_ms: i64) -> Self {
        Self {
            vid,
            allowed_lateness_ms: allowed_lateness_ms.max(0),
            states: States::new(State::new(&rules)),
            rules,
            window: Window::default(),
            publication: Publication::default(),
            silent_until: None,
        }
    }

    /// The rules.
    pub const fn rules(&self) -> &VehicleRules {
        &self.rules
    }

    /// Returns the time of the newest sample.
    pub fn time(&self) -> Option<Timestamp> {
        self.states.head().time
    }

    /// Returns the accepted events that late samples may need, with the samples that were in time, in the order of their ids. With
    /// them, the evaluation can be [restored](Self::restore) although the event log does not have them yet.
    pub fn kept_events(&self) -> impl Iterator<Item = &Event> {
        self.window.events()
    }

    /// Returns about how many bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.window.bytes() + self.states.memory_bytes() + self.publication.memory_bytes()
    }

    /// Whether an alert is raised, by a sample or by silence.
    pub fn has_alerts(&self) -> bool {
        let head = self.states.head();
        let is_silent = |until| {
            let mut transitions = silent_transitions(&self.rules, head, until).into_iter();
            transitions.any(|transition| transition.kind == TransitionKind::Raised)
        };
        head.rules.iter().any(|rule| rule.raised_at.is_some()) || self.silent_until.is_some_and(is_silent)
    }

    /// Evaluates events, in the order of their arrival. They must be what [`VehicleRules::select`] returned.
    pub fn push(&mut self, events: impl IntoIterator<Item = Event>, buffers: &mut Buffers) -> Update {
        let mut update = Update::default();
        let accepted = self.accept(events, &mut update);
        self.evaluate(accepted, buffers, &mut update);
        update
    }

    /// Evaluates the silence of the vehicle up to a time. Only [timed](VehicleRules::is_timed) rules can change by it.
    pub fn advance(&mut self, now: Timestamp) -> Update {
        let mut update = Update::default();
        self.silent_until = self.silent_until.max(Some(now));
        let after = self.states.head().time;
        self.publish(after, Vec::new(), false, &mut update);
        update
    }

    /// Compares what was published with messages that may have been, or not: the newest of each transition counts. Publishes what
    /// differs, so that a message is withdrawn that was published before its checkpoint was stored. `checkpoint` is that from
    /// which the evaluation was restored, and `since` what was published since.
    pub fn reconcile<'a>(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        since: &[Alert],
        messages: impl IntoIterator<Item = &'a Alert>,
    ) -> Update {
        let mut stated = checkpoint.map(Checkpoint::revisions).unwrap_or_default();
        stated.extend(since.iter().map(|alert| (Transition::of_alert(alert).key(), alert.revision)));
        let mut update = Update::default();
        for Published { transition, revision } in self.publication.reconcile(&stated, messages) {
            let Some(version) = self.rules.version(&transition.rule_id, transition.version) else { continue };
            update.alerts.push(transition.into_alert(&self.vid, version, revision, true));
        }
        self.publication.forget_until(self.states.oldest().time);
        update
    }

    /// Returns the time at which [`advance`](Self::advance) may next publish something, without further samples. A sweep only visits
    /// vehicles whose time has come.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        next_deadline(&self.rules, self.states.head(), self.silent_until)
    }

    /// Evaluates accepted events, and publishes what they change.
    fn evaluate(&mut self, accepted: Vec<Event>, buffers: &mut Buffers, update: &mut Update) {
        let Some(first) = accepted.iter().flat_map(batch::times).min() else { return };
        let is_late = self.states.head().time.is_some_and(|head| first <= head);
        if is_late {
            self.states.return_to_before(first);
        }
        let after = self.states.head().time;
        let eids: Vec<Eid> = accepted.iter().map(|event| event.eid).collect();
        self.window.extend(accepted);
        let events: Vec<&Event> = if is_late {
            self.window.events().collect()
        } else {
            eids.iter().filter_map(|eid| self.window.get(*eid)).collect()
        };
        buffers.batch.fill(self.rules.inputs(), &events, after);
        if is_late {
            update.evaluated_again += buffers.batch.rows().len();
        }
        let evaluation = Evaluation { rules: &self.rules, batch: &buffers.batch, events: &events };
        let transitions = self.states.run(&evaluation, self.allowed_lateness_ms / SNAPSHOTS);
        self.publish(after, transitions, is_late, update);
        self.forget();
    }

    /// Publishes the difference between what is published after a time and what is computed.
    fn publish(&mut self, after: Option<Timestamp>, mut computed: Vec<Transition>, is_late: bool, update: &mut Update) {
        if let Some(until) = self.silent_until {
            computed.extend(silent_transitions(&self.rules, self.states.head(), until));
        }
        for Published { transition, revision } in self.publication.replace(after, computed) {
            let Some(version) = self.rules.version(&transition.rule_id, transition.version) else { continue };
            update.alerts.push(transition.into_alert(&self.vid, version, revision, is_late));
        }
    }

    /// Removes what no sample that is still accepted needs.
    fn forget(&mut self) {
        let floor = self.states.head().time.map(|head| head.plus_ms(-self.allowed_lateness_ms));
        let mut is_changed = self.states.forget_before(floor);
        loop {
            if is_changed {
                let oldest = self.states.oldest().time;
                self.window.forget_until(oldest);
                self.publication.forget_until(oldest);
            }
            if self.window.samples() <= limits::KEPT_SAMPLES
                && self.publication.memory_bytes() <= limits::KEPT_TRANSITION_BYTES
            {
                return;
            }
            is_changed = self.states.forget_oldest();
            if !is_changed {
                return;
            }
        }
    }
}
