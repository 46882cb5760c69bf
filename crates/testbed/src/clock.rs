use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows that time.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.ms())))
    }

    /// Moves it forward, or back where `ms` is negative.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.ms(), Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    /// 2024-05-01T12:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_ms(1_714_564_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}
