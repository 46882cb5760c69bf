//! A port decorator that counts concurrent calls.

use std::sync::{Arc, Mutex};

use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, event_items_port};
use roadcast_ports::table::prelude::*;
use roadcast_ports::{metered_ports, unmetered_ports};

use crate::{lock, yield_once};

/// Decorates a port with counts of its calls. Each call yields once, so that calls overlap if the use case is concurrent.
/// Clones share the counts.
#[derive(Clone, Debug)]
pub struct InFlight<Port> {
    inner: Port,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    in_flight: usize,
    max_in_flight: usize,
}

impl<Port> InFlight<Port> {
    /// Decorates `inner`.
    pub fn new(inner: Port) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        lock(&self.counts).calls
    }

    /// Returns the largest number of calls that were in progress at the same time.
    pub fn max_in_flight(&self) -> usize {
        lock(&self.counts).max_in_flight
    }

    async fn count<Output>(&self, call: impl Future<Output = Output>) -> Output {
        {
            let mut counts = lock(&self.counts);
            counts.calls += 1;
            counts.in_flight += 1;
            counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        }
        yield_once().await;
        let output = call.await;
        lock(&self.counts).in_flight -= 1;
        output
    }
}

/// Implements each port of a table (see [`roadcast_ports::table`]) for [`InFlight`].
macro_rules! in_flight {
    ($($port:ident { $($kind:ident $method:ident $(as $operation:ident)? ($($arguments:tt)*) -> $output:ty;)* })*) => {
        $(impl<Port: $port> $port for InFlight<Port> {
            $(in_flight_method! { $kind $port $method ($($arguments)*) -> $output })*
        })*
    };
}

/// A method of a port.
macro_rules! in_flight_method {
    (one $port:ident $method:ident ($($argument:ident: $type:ty),*) -> $output:ty) => {
        async fn $method(&self, $($argument: $type),*) -> Result<$output, PortError> {
            self.count($port::$method(&self.inner, $($argument),*)).await
        }
    };
    (each $port:ident $method:ident ($($argument:ident: $type:ty),*; $entries:ident: $entry:ty) -> $output:ty) => {
        async fn $method(&self, $($argument: $type,)* $entries: &[$entry]) -> Vec<Result<$output, PortError>> {
            self.count($port::$method(&self.inner, $($argument,)* $entries)).await
        }
    };
}

metered_ports!(in_flight);
unmetered_ports!(in_flight);
event_items_port!(in_flight);
