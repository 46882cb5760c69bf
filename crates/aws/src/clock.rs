//! The machine's clock and its source of chance.

use std::time::{SystemTime, UNIX_EPOCH};

use roadcast_ports::clock::{Clock, Randomness};
use roadcast_signals::Timestamp;

/// The machine's clock.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is broken; the epoch is then as good an answer as any.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A generator seeded by the operating system, fit for ids that must not be guessed.
#[derive(Copy, Clone, Debug, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    fn bits(&self) -> u128 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_day_this_was_written_and_two_draws_differ() {
        assert!(SystemClock.now() > Timestamp::from_ms(1_763_000_000_000));
        assert_ne!(OsRandomness.bits(), OsRandomness.bits());
    }
}
