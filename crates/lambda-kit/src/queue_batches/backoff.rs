//! The delay of a failed message: short for a passing fault, patient in an outage.

/// The delay after the first failure, in seconds. It doubles with each further one.
const FIRST_S: u32 = 1;
/// The maximum delay, in seconds.
const MAX_S: u32 = 300;

/// Returns the delay of a message that was received this often, in seconds: a random value between half of the backoff and all of
/// it, so that messages that failed together are not delivered together again.
pub(super) fn delay_s(receive_count: u32, random_bits: u128) -> u32 {
    let doublings = receive_count.saturating_sub(1);
    let backoff = FIRST_S.checked_shl(doublings).unwrap_or(MAX_S).clamp(FIRST_S, MAX_S);
    let range = u128::from(backoff / 2) + 1;
    backoff - u32::try_from(random_bits % range).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_from_one_second_to_five_minutes() {
        let longest: Vec<u32> = (1..=10).map(|count| delay_s(count, 0)).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!([0, 11, 33, u32::MAX].map(|count| delay_s(count, 0)), [1, 300, 300, 300]);
    }

    #[test]
    fn delay_is_at_least_half_of_the_backoff() {
        for bits in 0..1000 {
            assert!((150..=300).contains(&delay_s(20, bits)));
            assert!((2..=4).contains(&delay_s(3, bits)));
        }
    }
}
