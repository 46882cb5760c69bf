//! The system clock and the randomness of the operating system.

use std::time::{SystemTime, UNIX_EPOCH};

use roadcast_ports::clock::{Clock, Randomness};
use roadcast_signals::Timestamp;

/// The system clock.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is broken; any value is equally wrong then, so return the epoch.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A generator seeded by the operating system, suitable for ids that must not be guessable.
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
    fn clock_is_plausible_and_random_values_differ() {
        assert!(SystemClock.now() > Timestamp::from_ms(1_763_000_000_000));
        assert_ne!(OsRandomness.bits(), OsRandomness.bits());
    }
}
