//! When failed attempts are repeated.

use serde::{Deserialize, Serialize};

/// The delays before the second and each later attempt, in seconds. The default spreads ten attempts over three days, as
/// Standard Webhooks recommends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct RetrySchedule(Vec<u32>);

/// The delays are not a valid schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a retry schedule has 1 to {} delays of 1 to {} seconds, {} seconds in all at most",
    RetrySchedule::MAX_DELAYS,
    RetrySchedule::MAX_DELAY_S,
    RetrySchedule::MAX_TOTAL_S
)]
pub struct InvalidRetrySchedule;

impl RetrySchedule {
    /// Maximum number of delays.
    pub const MAX_DELAYS: usize = 30;
    /// Maximum delay, in seconds: a day.
    pub const MAX_DELAY_S: u32 = 24 * 60 * 60;
    /// Maximum sum of the delays, in seconds: seven days.
    pub const MAX_TOTAL_S: u32 = 7 * 24 * 60 * 60;
    const DEFAULT_S: [u32; 9] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 18 * 3600, 22 * 3600];

    /// Returns the delays, in seconds.
    pub fn delays_s(&self) -> &[u32] {
        &self.0
    }

    /// Returns the sum of the delays, in milliseconds.
    pub fn total_ms(&self) -> i64 {
        self.0.iter().map(|delay_s| i64::from(*delay_s) * 1000).sum()
    }

    /// Returns the delay after attempt number `attempts`, in milliseconds, with a jitter of ±20 % by the bits of `random`;
    /// `None` after the last attempt. Attempts that failed together are not repeated together.
    pub fn delay_ms(&self, attempts: u32, random: u64) -> Option<i64> {
        let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
        self.0.get(index).map(|delay_s| with_jitter(i64::from(*delay_s) * 1000, random))
    }
}

/// Returns a duration of milliseconds, changed by up to ±20 % by the bits of `random`.
pub(super) fn with_jitter(ms: i64, random: u64) -> i64 {
    // -200 to 200 thousandths; the rest of the bits is not needed.
    let thousandths = ((i64::try_from(random >> 32).unwrap_or(0) * 401) >> 32) - 200;
    ms + ms * thousandths / 1000
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self(Self::DEFAULT_S.to_vec())
    }
}

impl TryFrom<Vec<u32>> for RetrySchedule {
    type Error = InvalidRetrySchedule;

    fn try_from(delays: Vec<u32>) -> Result<Self, InvalidRetrySchedule> {
        let is_valid = (1..=Self::MAX_DELAYS).contains(&delays.len())
            && delays.iter().all(|delay| (1..=Self::MAX_DELAY_S).contains(delay))
            && delays.iter().map(|delay| u64::from(*delay)).sum::<u64>() <= u64::from(Self::MAX_TOTAL_S);
        if is_valid { Ok(Self(delays)) } else { Err(InvalidRetrySchedule) }
    }
}

impl From<RetrySchedule> for Vec<u32> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn default_schedule_has_ten_attempts_over_three_days() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.delays_s().len() + 1, 10);
        let hours = schedule.total_ms() / 3_600_000;
        assert!((70..=73).contains(&hours), "{hours} h");
        assert!(RetrySchedule::try_from(schedule.delays_s().to_vec()).is_ok());
    }

    #[test]
    fn schedule_outside_its_limits_is_refused() {
        let day = RetrySchedule::MAX_DELAY_S;
        for delays in [vec![], vec![0], vec![day + 1], vec![1; 31], vec![day; 8]] {
            assert!(RetrySchedule::try_from(delays.clone()).is_err(), "{delays:?}");
        }
        assert!(RetrySchedule::try_from(vec![day; 7]).is_ok());
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(ms in 5_i64..=86_400_000, random: u64) {
            let changed = with_jitter(ms, random);
            prop_assert!(changed >= ms - ms / 5 && changed <= ms + ms / 5, "{} of {}", changed, ms);
        }
    }

    #[test]
    fn jitter_reaches_both_ends() {
        assert_eq!((with_jitter(1000, 0), with_jitter(1000, u64::MAX)), (800, 1200));
        assert_eq!(with_jitter(1000, u64::MAX / 2), 1000);
    }
}
