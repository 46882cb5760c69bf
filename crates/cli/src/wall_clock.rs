//! The clock of this machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
