//! Ports that fail on purpose.

mod batched;
mod plan;
mod single;

pub use plan::{Fault, FaultPlan};

/// A port that fails by plan, and otherwise does what the port in it does.
///
/// Operations that answer one by one (append, publish, put, acknowledge) take one outcome from the plan for every entry,
/// all others one for every call. Clones follow the same plan.
#[derive(Clone, Debug)]
pub struct Faulty<P> {
    inner: P,
    plan: FaultPlan,
}

impl<P> Faulty<P> {
    /// That port, failing by that plan.
    pub const fn new(inner: P, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    /// The port itself, which does not fail.
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// The plan.
    pub const fn plan(&self) -> &FaultPlan {
        &self.plan
    }
}

#[cfg(test)]
mod tests;
