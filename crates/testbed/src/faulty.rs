//! Port decorators that inject faults.

mod batched;
mod plan;
mod single;

pub use plan::{Fault, FaultPlan};

/// Decorates a port with the faults of a [`FaultPlan`]; calls without a fault are forwarded.
///
/// Operations with one result per entry (append, publish, put, acknowledge) take one outcome from the plan per entry, all
/// others one per call. Clones share one plan.
#[derive(Clone, Debug)]
pub struct Faulty<P> {
    inner: P,
    plan: FaultPlan,
}

impl<P> Faulty<P> {
    /// Decorates `inner` with the faults of `plan`.
    pub const fn new(inner: P, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    /// Returns the undecorated port.
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// Returns the plan.
    pub const fn plan(&self) -> &FaultPlan {
        &self.plan
    }
}

#[cfg(test)]
mod tests;
