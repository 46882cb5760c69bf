//! Test support for use cases: all ports in memory ([`Memory`]), fault injection ([`Faulty`]), counts of
//! concurrent calls ([`InFlight`]), and port sets ([`InMemory`], [`WithFaults`]).
//!
//! Time is a [`ManualClock`] and randomness is [`SeededRandomness`], so failures are reproducible.

mod bulk;
mod clock;
pub mod faulty;
mod fifo_queue;
pub mod fixtures;
mod in_flight;
mod items;
pub mod memory;
mod message_queue;
pub mod port_sets;
mod random;
pub mod row_validation;
mod stream;
mod webhook_receiver;

pub use bulk::MemoryBulk;
pub use clock::ManualClock;
pub use faulty::{Fault, FaultPlan, Faulty};
pub use fifo_queue::MemoryFifoQueue;
pub use in_flight::InFlight;
pub use items::MemoryItems;
pub use memory::{ChannelStart, Memory, MemoryErasure};
pub use message_queue::{MemoryQueue, QueueConfig, QueuedMessage};
pub use port_sets::{InMemory, WithFaults};
pub use random::SeededRandomness;
pub use roadcast_ports::port_set::PortSet;
pub use stream::{MemoryStream, ShardRecord, hash_bucket};
pub use webhook_receiver::{ReceivedRequest, WebhookReceiver};

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// Locks `mutex`, also when it is poisoned: the test that panicked reports its own failure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns `Pending` once, so that others can run, or the test can drop the future, between two awaits.
pub async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
