use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use roadcast_ports::{PortError, PortErrorKind};

use crate::{SeededRandomness, lock};

/// A fault that a plan injects.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Throttled before the operation was applied.
    Throttled,
    /// The service failed before the operation was applied.
    Unavailable,
    /// Timed out; the operation was not applied.
    LostRequest,
    /// Timed out; the operation was applied.
    LostResponse,
    /// Refused because of the data in the request. Not retryable.
    Rejected,
    /// A missing permission or resource, or an unknown error code. Not retryable at once, and no statement about the data.
    Internal,
}

impl Fault {
    /// Every retryable fault.
    pub const RETRYABLE: [Self; 4] = [Self::Throttled, Self::Unavailable, Self::LostRequest, Self::LostResponse];

    /// Returns the error that the caller sees. Both time-outs return the same error.
    pub const fn error(self, operation: &'static str) -> PortError {
        let kind = match self {
            Self::Throttled => PortErrorKind::Throttled,
            Self::Unavailable => PortErrorKind::Unavailable,
            Self::LostRequest | Self::LostResponse => PortErrorKind::TimedOut,
            Self::Rejected => PortErrorKind::Rejected,
            Self::Internal => PortErrorKind::Internal,
        };
        PortError::new(kind, operation)
    }

    /// Returns whether the operation is applied despite the fault.
    pub const fn is_applied(self) -> bool {
        matches!(self, Self::LostResponse)
    }
}

/// Decides which calls fail, and how. Clones share one plan, so that a test can heal a plan that a decorator uses.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// Names of the affected operations; empty means all.
    only: Vec<&'static str>,
    /// Whether each call yields before and after it is applied.
    yields: bool,
    state: Arc<Mutex<PlanState>>,
}

#[derive(Debug)]
struct PlanState {
    schedule: Schedule,
    calls: usize,
    injected: usize,
}

#[derive(Debug)]
enum Schedule {
    Healthy,
    Always(Fault),
    Script(VecDeque<Option<Fault>>),
    Random { random: SeededRandomness, percent: u64 },
}

impl FaultPlan {
    /// Returns a plan that never fails.
    pub fn healthy() -> Self {
        Self::of(Schedule::Healthy)
    }

    /// Returns a plan that fails every call until it is healed.
    pub fn always(fault: Fault) -> Self {
        Self::of(Schedule::Always(fault))
    }

    /// Returns a plan that takes these outcomes in order and is healthy afterwards.
    pub fn script(outcomes: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self::of(Schedule::Script(outcomes.into_iter().collect()))
    }

    /// Returns a plan that fails `percent` of the calls with retryable faults, both drawn from `seed`.
    pub fn seeded(seed: u64, percent: u8) -> Self {
        Self::of(Schedule::Random { random: SeededRandomness::new(seed), percent: percent.into() })
    }

    /// Restricts the plan to these operations, named like the port's methods; all others do not fail.
    #[must_use]
    pub fn only(mut self, operations: &[&'static str]) -> Self {
        self.only = operations.to_vec();
        self
    }

    /// Makes each call yield before and after it is applied, so that a test can drop the future there.
    #[must_use]
    pub fn yielding(mut self) -> Self {
        self.yields = true;
        self
    }

    /// Whether each call yields.
    pub(super) const fn yields(&self) -> bool {
        self.yields
    }

    /// Makes the plan healthy: no call fails from now on.
    pub fn heal(&self) {
        lock(&self.state).schedule = Schedule::Healthy;
    }

    /// Returns the number of outcomes taken from the plan.
    pub fn calls(&self) -> usize {
        lock(&self.state).calls
    }

    /// Returns the number of faults injected.
    pub fn injected(&self) -> usize {
        lock(&self.state).injected
    }

    /// Takes the next outcome for `operation`.
    pub(super) fn next(&self, operation: &'static str) -> Option<Fault> {
        if !self.only.is_empty() && !self.only.contains(&operation) {
            return None;
        }
        let mut state = lock(&self.state);
        let fault = match &mut state.schedule {
            Schedule::Healthy => None,
            Schedule::Always(fault) => Some(*fault),
            Schedule::Script(outcomes) => outcomes.pop_front().flatten(),
            Schedule::Random { random, percent } => {
                let [chance, fault] = [random.bits64() % 100, random.bits64() % 4];
                (chance < *percent).then(|| Fault::RETRYABLE[usize::try_from(fault).unwrap_or(0)])
            }
        };
        state.calls += 1;
        state.injected += usize::from(fault.is_some());
        fault
    }

    fn of(schedule: Schedule) -> Self {
        Self { only: Vec::new(), yields: false, state: Arc::new(Mutex::new(PlanState { schedule, calls: 0, injected: 0 })) }
    }
}
