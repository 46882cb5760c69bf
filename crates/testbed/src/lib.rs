//! Test support for use cases: all ports in memory ([`Memory`]), fault injection ([`Faulty`]), counts of
//! concurrent calls ([`InFlight`]), and port sets ([`InMemory`], [`WithFaults`]).
//!
//! Time is a [`ManualClock`] and randomness is [`SeededRandomness`], so failures are reproducible.

mod bulk;
mod clock;
pub mod faulty;
pub mod fixtures;
mod in_flight;
mod items;
pub mod memory;
pub mod port_sets;
mod random;
mod stream;

pub use bulk::MemoryBulk;
pub use clock::ManualClock;
pub use faulty::{Fault, FaultPlan, Faulty};
pub use in_flight::InFlight;
pub use items::MemoryItems;
pub use memory::Memory;
pub use port_sets::{InMemory, WithFaults};
pub use random::SeededRandomness;
pub use roadcast_ports::port_set::PortSet;
pub use stream::{MemoryStream, ShardRecord, hash_bucket};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also when it is poisoned: the test that panicked reports its own failure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
