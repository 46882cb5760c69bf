//! Evaluates rules on the history of a vehicle.

use roadcast_domain::event::Event;
use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::evaluate::{Evaluation, pass_silence, silent_transitions};
use crate::program::VehicleRules;
use crate::state::State;
use crate::transition::Transition;
use crate::window::Window;

/// What is kept of an interrupted back-test: the state after all samples before a time. The events since are in the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackTestState(pub(crate) State);

/// The evaluation of the rules of a vehicle on events of the event log.
///
/// The caller adds events and states from time to time up to when they are complete. The memory is bounded by the events in between.
/// The result does not depend on how the events are divided.
#[derive(Debug)]
pub struct BackTest<'r> {
    rules: &'r VehicleRules,
    state: State,
    /// The events with samples that were not evaluated.
    pending: Window,
    batch: Batch,
}

impl<'r> BackTest<'r> {
    /// Starts an evaluation without earlier samples. The rules raise alerts from their `active_from` on.
    pub fn new(rules: &'r VehicleRules) -> Self {
        Self { rules, state: State::new(rules), pending: Window::default(), batch: Batch::default() }
    }

    /// Returns what must be kept to [`resume`](Self::resume) the evaluation. Events that were not evaluated are not part of it.
    pub fn state(&self) -> BackTestState {
        BackTestState(self.state.clone())
    }

    /// Continues an evaluation with the same rules, with all events that have a sample at or after the time up to which they were
    /// complete. `None` if the state is not that of these rules.
    pub fn resume(rules: &'r VehicleRules, BackTestState(state): BackTestState) -> Option<Self> {
        let new = State::new(rules);
        let has_same_shape = state.values.len() == new.values.len()
            && state.rules.len() == new.rules.len()
            && state.rules.iter().zip(&new.rules).all(|(stored, new)| stored.nodes.len() == new.nodes.len());
        has_same_shape.then(|| Self { rules, state, pending: Window::default(), batch: Batch::default() })
    }

    /// Adds events of the vehicle, in any order. They must be what [`VehicleRules::select`] returned. Repeated events are ignored,
    /// and so are samples before the time up to which events were complete.
    pub fn push(&mut self, events: impl IntoIterator<Item = Event>) {
        let pending = &self.pending;
        let new: Vec<Event> = events.into_iter().filter(|event| !pending.contains(event.eid)).collect();
        self.pending.extend(new);
    }

    /// The number of samples that were not evaluated yet.
    pub const fn pending_samples(&self) -> usize {
        self.pending.samples()
    }

    /// Evaluates the samples before a time, up to which the events are complete. Returns the transitions, by time.
    pub fn complete_before(&mut self, time: Timestamp) -> Vec<Transition> {
        let events: Vec<&Event> = self.pending.events().collect();
        self.batch.fill(self.rules.inputs(), &events, self.state.time);
        let end = self.batch.rows().partition_point(|row| row.time < time);
        let evaluation = Evaluation { rules: self.rules, batch: &self.batch, events: &events };
        let transitions = evaluation.run(&mut self.state, 0..end);
        self.pending.forget_until(Some(time.plus_ms(-1)));
        in_order(transitions)
    }

    /// Evaluates the samples and the silence up to a time. Returns the transitions, by time, and the state after them.
    pub fn state_at(mut self, time: Timestamp) -> (Vec<Transition>, BackTestState) {
        let mut transitions = self.complete_before(time.plus_ms(1));
        transitions.extend(in_order(pass_silence(self.rules, &mut self.state, time)));
        (transitions, BackTestState(self.state))
    }

    /// Evaluates the samples up to a time, and the silence after the last one. Returns the transitions, by time.
    pub fn finish(mut self, until: Timestamp) -> Vec<Transition> {
        let mut transitions = self.complete_before(until.plus_ms(1));
        transitions.extend(in_order(silent_transitions(self.rules, &self.state, until)));
        transitions
    }
}

fn in_order(mut transitions: Vec<Transition>) -> Vec<Transition> {
    transitions.sort_by_cached_key(Transition::key);
    transitions
}
