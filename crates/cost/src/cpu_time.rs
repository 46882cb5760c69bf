//! The CPU time of a thread.

use std::time::Duration;

/// Returns the CPU time that this thread has used; zero if the clock cannot be read.
pub(crate) fn thread_cpu_time() -> Duration {
    let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    clock.map_or(Duration::ZERO, |time| {
        Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_nsec()).unwrap_or(0))
    })
}
