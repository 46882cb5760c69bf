use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;

/// A clock that changes only when a test sets or advances it. Clones share one time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Returns a clock set to `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.ms())))
    }

    /// Advances the clock by `ms` milliseconds; a negative value moves it back.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Sets the clock to `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.ms(), Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    /// Returns a clock set to 2024-05-01T12:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_ms(1_714_564_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}
