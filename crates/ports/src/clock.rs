//! Sources of time and randomness.

use roadcast_signals::Timestamp;

/// The current time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// A source of randomness for new ids.
pub trait Randomness: Send + Sync {
    /// Returns 128 unpredictable bits.
    fn bits(&self) -> u128;
}
