use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use roadcast_ports::{PortError, PortErrorKind};

use crate::{SeededRandomness, lock};

/// A way to fail.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Refused before anything was done: over the rate.
    Throttled,
    /// Refused before anything was done: the service failed.
    Unavailable,
    /// No answer in time, and nothing was done.
    LostRequest,
    /// No answer in time, though it was done.
    LostAnswer,
    /// Refused for good: the request itself is wrong. Not among those that pass.
    Rejected,
}

impl Fault {
    /// Every way that passes.
    pub const PASSING: [Self; 4] = [Self::Throttled, Self::Unavailable, Self::LostRequest, Self::LostAnswer];

    /// What the caller sees. The two time-outs look the same.
    pub const fn error(self, operation: &'static str) -> PortError {
        let kind = match self {
            Self::Throttled => PortErrorKind::Throttled,
            Self::Unavailable => PortErrorKind::Unavailable,
            Self::LostRequest | Self::LostAnswer => PortErrorKind::TimedOut,
            Self::Rejected => PortErrorKind::Rejected,
        };
        PortError::new(kind, operation)
    }

    /// Whether the operation is done in spite of it.
    pub const fn applies(self) -> bool {
        matches!(self, Self::LostAnswer)
    }
}

/// When to fail, and how. Clones are the same plan: one may be kept to heal what another makes fail.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// Names of operations; all where it is empty.
    only: Vec<&'static str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    course: Course,
    asked: usize,
    injected: usize,
}

#[derive(Debug)]
enum Course {
    Healthy,
    Always(Fault),
    Script(VecDeque<Option<Fault>>),
    Random { random: SeededRandomness, percent: u64 },
}

impl FaultPlan {
    /// Never fails.
    pub fn healthy() -> Self {
        Self::of(Course::Healthy)
    }

    /// Fails every time, until it is healed.
    pub fn always(fault: Fault) -> Self {
        Self::of(Course::Always(fault))
    }

    /// Goes through these outcomes one by one; then it is healthy.
    pub fn script(outcomes: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self::of(Course::Script(outcomes.into_iter().collect()))
    }

    /// Fails that often, in ways drawn from that seed.
    pub fn seeded(seed: u64, percent: u8) -> Self {
        Self::of(Course::Random { random: SeededRandomness::new(seed), percent: percent.into() })
    }

    /// The same plan for these operations only, named as the port's methods are; all others do not fail.
    #[must_use]
    pub fn only(mut self, operations: &[&'static str]) -> Self {
        self.only = operations.to_vec();
        self
    }

    /// Fails no more.
    pub fn heal(&self) {
        lock(&self.state).course = Course::Healthy;
    }

    /// How many outcomes were taken from it.
    pub fn asked(&self) -> usize {
        lock(&self.state).asked
    }

    /// How many of them were faults.
    pub fn injected(&self) -> usize {
        lock(&self.state).injected
    }

    /// Takes the next outcome for that operation.
    pub(super) fn next(&self, operation: &'static str) -> Option<Fault> {
        if !self.only.is_empty() && !self.only.contains(&operation) {
            return None;
        }
        let mut state = lock(&self.state);
        let fault = match &mut state.course {
            Course::Healthy => None,
            Course::Always(fault) => Some(*fault),
            Course::Script(outcomes) => outcomes.pop_front().flatten(),
            Course::Random { random, percent } => {
                let [chance, way] = [random.bits64() % 100, random.bits64() % 4];
                (chance < *percent).then(|| Fault::PASSING[usize::try_from(way).unwrap_or(0)])
            }
        };
        state.asked += 1;
        state.injected += usize::from(fault.is_some());
        fault
    }

    fn of(course: Course) -> Self {
        Self { only: Vec::new(), state: Arc::new(Mutex::new(State { course, asked: 0, injected: 0 })) }
    }
}
