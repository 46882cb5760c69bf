//! A decorator of ports whose calls take a time that a seed decides.

use std::sync::Arc;

use roadcast_ports::table::prelude::*;
use roadcast_ports::{metered_ports, unmetered_ports};
use roadcast_testbed::SeededRandomness;

/// Decorates a port: other tasks run before each call and between the call and its result. Clones share one seed.
#[derive(Clone, Debug)]
pub(crate) struct Interleaved<Port> {
    inner: Port,
    random: Arc<SeededRandomness>,
}

impl<Port> Interleaved<Port> {
    pub(crate) const fn new(inner: Port, random: Arc<SeededRandomness>) -> Self {
        Self { inner, random }
    }

    /// Lets other tasks run a few times, and sometimes for long: then entire requests overtake this call.
    async fn pause(&self) {
        let bits = self.random.bits64();
        let longest = if bits.is_multiple_of(8) { 100 } else { 4 };
        for _ in 0..(bits >> 8) % longest {
            tokio::task::yield_now().await;
        }
    }

    async fn call<Output>(&self, call: impl Future<Output = Output>) -> Output {
        self.pause().await;
        let output = call.await;
        self.pause().await;
        output
    }
}

/// Implements each port of a table (see [`roadcast_ports::table`]) for [`Interleaved`].
macro_rules! interleaved {
    ($($port:ident { $($kind:ident $method:ident $(as $operation:ident)? ($($arguments:tt)*) -> $output:ty;)* })*) => {
        $(impl<Port: $port> $port for Interleaved<Port> {
            $(interleaved_method! { $kind $port $method ($($arguments)*) -> $output })*
        })*
    };
}

/// A method of a port.
macro_rules! interleaved_method {
    (one $port:ident $method:ident ($($argument:ident: $type:ty),*) -> $output:ty) => {
        async fn $method(&self, $($argument: $type),*) -> Result<$output, PortError> {
            self.call($port::$method(&self.inner, $($argument),*)).await
        }
    };
    (each $port:ident $method:ident ($($argument:ident: $type:ty),*; $entries:ident: $entry:ty) -> $output:ty) => {
        async fn $method(&self, $($argument: $type,)* $entries: &[$entry]) -> Vec<Result<$output, PortError>> {
            self.call($port::$method(&self.inner, $($argument,)* $entries)).await
        }
    };
}

metered_ports!(interleaved);
unmetered_ports!(interleaved);
