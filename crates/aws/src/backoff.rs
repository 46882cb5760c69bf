//! Waiting before another try.

use std::time::Duration;

const FIRST_MS: u64 = 25;
const LONGEST_MS: u64 = 1_000;

/// Waits before try number `attempt` (1 is the first repeat): any time up to 25 ms, doubled for each, at most 1 s. Full
/// jitter, because writers that lost the same race must not meet again.
pub(crate) async fn wait(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=ceiling_ms(attempt)))).await;
}

fn ceiling_ms(attempt: u32) -> u64 {
    let doublings = attempt.saturating_sub(1).min(16);
    (FIRST_MS << doublings).min(LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_second_and_no_further() {
        assert_eq!([1, 2, 3, 6, 7, 99].map(ceiling_ms), [25, 50, 100, 800, 1_000, 1_000]);
    }
}
