//! A world to test use cases in: the ports in memory ([`Memory`]), ports that fail on purpose ([`Faulty`]), and a model of
//! how Lambda's event source mapping calls a function with a stream's records ([`esm`]).
//!
//! Time is a [`ManualClock`] and chance is [`SeededRandomness`]: a test that fails, fails again.

mod bulk;
mod clock;
pub mod faulty;
pub mod fixtures;
mod items;
pub mod memory;
mod random;
mod stream;

pub use bulk::MemoryBulk;
pub use clock::ManualClock;
pub use faulty::{Fault, FaultPlan, Faulty};
pub use items::MemoryItems;
pub use memory::Memory;
pub use random::SeededRandomness;
pub use stream::{MemoryStream, StreamRecordIn, slot};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic elsewhere: the test that panicked has its own failure to tell.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
