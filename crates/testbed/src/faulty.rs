//! Port decorators that inject faults.

mod plan;

use crate::yield_once;
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, event_items_port};
use roadcast_ports::table::prelude::*;
use roadcast_ports::{metered_ports, unmetered_ports};

pub use plan::{Fault, FaultPlan};

/// Decorates a port with the faults of a [`FaultPlan`]; calls without a fault are forwarded.
///
/// Operations with one result per entry (append, publish, put, acknowledge) take one outcome from the plan per entry, all
/// others one per call. Clones share one plan.
#[derive(Clone, Debug)]
pub struct Faulty<Port> {
    inner: Port,
    plan: FaultPlan,
}

impl<Port> Faulty<Port> {
    /// Decorates `inner` with the faults of `plan`.
    pub const fn new(inner: Port, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    /// Decorates `inner` without faults.
    pub fn healthy(inner: Port) -> Self {
        Self::new(inner, FaultPlan::healthy())
    }

    /// Returns the undecorated port.
    pub const fn inner(&self) -> &Port {
        &self.inner
    }

    /// Returns the plan.
    pub const fn plan(&self) -> &FaultPlan {
        &self.plan
    }
}

impl<Port: Sync> Faulty<Port> {
    /// Awaits `call` unless the plan injects a fault that is not applied. A future that is not awaited does nothing.
    async fn inject<Output: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<Output, PortError>> + Send,
    ) -> Result<Output, PortError> {
        self.yield_if_planned().await;
        let result = match self.plan.next(operation) {
            None => call.await,
            Some(fault) => {
                if fault.is_applied() {
                    // The response is lost, whatever it is.
                    let _lost = call.await;
                }
                Err(fault.error(operation))
            }
        };
        self.yield_if_planned().await;
        result
    }

    async fn yield_if_planned(&self) {
        if self.plan.yields() {
            yield_once().await;
        }
    }

    /// Forwards the entries that are applied in one call and returns one result per entry, in the order of `entries`.
    async fn inject_each<Entry, Output, Call>(
        &self,
        operation: &'static str,
        entries: &[Entry],
        call: impl FnOnce(Vec<Entry>) -> Call + Send,
    ) -> Vec<Result<Output, PortError>>
    where
        Entry: Clone + Send + Sync,
        Output: Send,
        Call: Future<Output = Vec<Result<Output, PortError>>> + Send,
    {
        self.yield_if_planned().await;
        let outcomes: Vec<Option<Fault>> = entries.iter().map(|_| self.plan.next(operation)).collect();
        let is_forwarded = |outcome: &Option<Fault>| outcome.is_none_or(Fault::is_applied);
        let forwarded: Vec<Entry> = entries
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| is_forwarded(outcome))
            .map(|(entry, _)| entry.clone())
            .collect();
        let results = if forwarded.is_empty() { Vec::new() } else { call(forwarded).await };
        self.yield_if_planned().await;
        let mut results = results.into_iter();
        outcomes
            .iter()
            .map(|outcome| {
                let result = if is_forwarded(outcome) { results.next() } else { None };
                match (outcome, result) {
                    (None, Some(result)) => result,
                    (Some(fault), _) => Err(fault.error(operation)),
                    (None, None) => Err(Fault::Unavailable.error(operation)),
                }
            })
            .collect()
    }
}

/// Implements each port of a table (see [`roadcast_ports::table`]) for [`Faulty`].
macro_rules! faulty {
    ($($port:ident { $($kind:ident $method:ident $(as $operation:ident)? ($($arguments:tt)*) -> $output:ty;)* })*) => {
        $(impl<Port: $port> $port for Faulty<Port> {
            $(faulty_method! { $kind $port $method [$($operation)? $method] ($($arguments)*) -> $output })*
        })*
    };
}

/// A method of a port. The first name in brackets is the operation's name in the fault plan.
macro_rules! faulty_method {
    (one $port:ident $method:ident [$operation:ident $($unused:ident)?]
        ($($argument:ident: $type:ty),*) -> $output:ty) => {
        async fn $method(&self, $($argument: $type),*) -> Result<$output, PortError> {
            self.inject(stringify!($operation), $port::$method(&self.inner, $($argument),*)).await
        }
    };
    (each $port:ident $method:ident [$operation:ident $($unused:ident)?]
        ($($argument:ident: $type:ty),*; $entries:ident: $entry:ty) -> $output:ty) => {
        async fn $method(&self, $($argument: $type,)* $entries: &[$entry]) -> Vec<Result<$output, PortError>> {
            let call = |applied: Vec<$entry>| async move { $port::$method(&self.inner, $($argument,)* &applied).await };
            self.inject_each(stringify!($operation), $entries, call).await
        }
    };
}

metered_ports!(faulty);
unmetered_ports!(faulty);
event_items_port!(faulty);

#[cfg(test)]
mod tests;
