//! Time and chance, as arguments.

use roadcast_signals::Timestamp;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Where new ids come from.
pub trait Randomness: Send + Sync {
    /// 128 unpredictable bits.
    fn bits(&self) -> u128;
}
