//! Which events are traced.

use std::fmt;
use std::str::FromStr;

use super::TraceId;
use crate::ids::Eid;

/// The bits of a trace id that decide.
pub(super) const RANDOM_BITS: u32 = 56;
/// The number of different values of these bits.
const VALUES: u64 = 1 << RANDOM_BITS;

/// The share of the events that are traced. It depends on the id of the event only, so that all steps decide alike
/// (OpenTelemetry, "Consistent Probability Sampling": sampled if the randomness reaches the rejection threshold).
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct EventSampling {
    threshold: u64,
}

/// A rate that is not a whole number from 0 to [`EventSampling::MAX_RATE`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a whole number from 0 to {}", EventSampling::MAX_RATE)]
pub struct InvalidRate;

impl EventSampling {
    /// The rate that traces all events.
    pub const MAX_RATE: u32 = 1_000_000;
    /// Traces no event.
    pub const NONE: Self = Self { threshold: VALUES };

    /// Traces this many of a million events.
    pub fn per_million(rate: u32) -> Result<Self, InvalidRate> {
        if rate > Self::MAX_RATE {
            return Err(InvalidRate);
        }
        let rejected = u128::from(VALUES) * u128::from(Self::MAX_RATE - rate) / u128::from(Self::MAX_RATE);
        Ok(Self { threshold: u64::try_from(rejected).unwrap_or(VALUES) })
    }

    /// Whether no event is traced.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Whether an event is traced.
    pub fn includes(self, eid: Eid) -> bool {
        self.includes_trace(TraceId::of_event(eid))
    }

    /// Whether a trace is recorded.
    pub const fn includes_trace(self, trace_id: TraceId) -> bool {
        trace_id.randomness() >= self.threshold
    }
}

impl Default for EventSampling {
    fn default() -> Self {
        Self::NONE
    }
}

impl FromStr for EventSampling {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        text.parse().map_err(|_| InvalidRate).and_then(Self::per_million)
    }
}

impl fmt::Debug for EventSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventSampling(from {:014x})", self.threshold)
    }
}
