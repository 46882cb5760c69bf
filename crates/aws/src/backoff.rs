//! Backoff between attempts.

use std::time::Duration;

const INITIAL_MS: u64 = 25;
const MAX_MS: u64 = 1_000;

/// Waits before retry number `attempt` (the first is 1): a random time of up to 25 ms, doubled for each retry, at most 1 s.
/// Full jitter, so that writers that lost the same race do not collide again.
pub(crate) async fn wait(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=ceiling_ms(attempt)))).await;
}

fn ceiling_ms(attempt: u32) -> u64 {
    let doublings = attempt.saturating_sub(1).min(16);
    (INITIAL_MS << doublings).min(MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_one_second() {
        assert_eq!([1, 2, 3, 6, 7, 99].map(ceiling_ms), [25, 50, 100, 800, 1_000, 1_000]);
    }
}
