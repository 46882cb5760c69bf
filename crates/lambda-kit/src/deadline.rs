//! The deadline of an invocation: Lambda ends the function at a fixed time, whatever it does then.
//!
//! A function that is ended leaves no response and no log line of its own. Therefore it stops its work a little earlier, and
//! whatever waits or repeats requests asks how much time remains.

use std::future::Future;
use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use tokio::time::{Instant, timeout_at};

/// The time that is reserved to send the response. It also covers the start of the function, which counts for the timeout of
/// API Gateway, but not for that of the function.
const RESPONSE_TIME: Duration = Duration::from_secs(2);
/// The maximum timeout of a function, by the quotas of Lambda.
const MAX_TIMEOUT: Duration = Duration::from_mins(15);

/// The time by which the work of an invocation must end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Deadline(Instant);

/// The work did not end before the deadline.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation reached its deadline")]
pub struct DeadlineReached;

impl Deadline {
    /// Returns the deadline of an invocation.
    pub fn of(context: &Context) -> Self {
        Self::after(time_to(context.deadline(), SystemTime::now()).saturating_sub(RESPONSE_TIME))
    }

    /// Returns the deadline after a duration.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration.min(MAX_TIMEOUT))
    }

    /// Returns the remaining time; zero after the deadline.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Awaits `work` until the deadline. Work that is dropped has the same effect as a function that Lambda ends.
    pub async fn limit<Output>(self, work: impl Future<Output = Output>) -> Result<Output, DeadlineReached> {
        timeout_at(self.0, work).await.map_err(|_| DeadlineReached)
    }
}

impl Default for Deadline {
    /// Returns the latest possible deadline.
    fn default() -> Self {
        Self::after(MAX_TIMEOUT)
    }
}

/// Returns the time until Lambda ends the function. A time that is over or too far away is not from Lambda: an emulator may
/// send any value.
fn time_to(end: SystemTime, now: SystemTime) -> Duration {
    end.duration_since(now).map_or(MAX_TIMEOUT, |remaining| remaining.min(MAX_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn context(remaining: Duration) -> Context {
        let end = (SystemTime::now() + remaining).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut context = Context::default();
        context.deadline = u64::try_from(end.as_millis()).unwrap_or_default();
        context
    }

    #[test]
    fn work_ends_two_seconds_before_the_function() {
        let remaining = Deadline::of(&context(Duration::from_secs(29))).remaining();
        assert!((Duration::from_millis(26_500)..=Duration::from_secs(27)).contains(&remaining), "{remaining:?}");
        assert_eq!(Deadline::of(&context(Duration::from_secs(1))).remaining(), Duration::ZERO);
    }

    #[test]
    fn implausible_deadline_does_not_end_the_work() {
        assert!(Deadline::of(&Context::default()).remaining() > Duration::from_mins(14));
        assert!(Deadline::of(&context(Duration::from_hours(1))).remaining() < MAX_TIMEOUT);
    }

    #[tokio::test]
    async fn work_without_end_stops_at_the_deadline() {
        let deadline = Deadline::after(Duration::from_millis(30));
        assert_eq!(deadline.limit(pending::<()>()).await, Err(DeadlineReached));
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert_eq!(Deadline::default().limit(async { 7 }).await, Ok(7));
    }
}
