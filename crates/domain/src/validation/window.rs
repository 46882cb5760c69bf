//! Which samples of an event are stored together: those of one window of [`limits::EVENT_SPAN_MS`].

use std::ops::RangeInclusive;

use roadcast_signals::Timestamp;

use crate::limits;

/// Returns the window with the most times, the latest of them if several have as many, and the number of times in it.
/// Returns `None` without times.
///
/// The window depends on the times alone, so that HTTP and the stream choose the same one.
pub(super) fn fullest_window(mut times: Vec<Timestamp>) -> Option<(RangeInclusive<Timestamp>, usize)> {
    times.sort_unstable();
    let mut fullest: Option<(RangeInclusive<Timestamp>, usize)> = None;
    let mut end = 0;
    for (start, first) in times.iter().enumerate() {
        while times.get(end).is_some_and(|last| last.ms_since(*first) <= limits::EVENT_SPAN_MS) {
            end += 1;
        }
        if fullest.as_ref().is_none_or(|(_, count)| end - start >= *count) {
            fullest = Some((*first..=times[end - 1], end - start));
        }
    }
    fullest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(times: &[i64]) -> Option<(i64, i64, usize)> {
        let window = fullest_window(times.iter().copied().map(Timestamp::from_ms).collect());
        window.map(|(range, count)| (range.start().ms(), range.end().ms(), count))
    }

    #[test]
    fn window_has_the_most_samples_and_is_the_latest_of_equals() {
        assert_eq!(window(&[]), None);
        assert_eq!(window(&[7]), Some((7, 7, 1)));
        assert_eq!(window(&[300_000, 0]), Some((0, 300_000, 2)));
        assert_eq!(window(&[0, 300_001]), Some((300_001, 300_001, 1)));
        assert_eq!(window(&[900_000, 0, 300_000]), Some((0, 300_000, 2)));
        assert_eq!(window(&[0, 1, 900_001, 900_000]), Some((900_000, 900_001, 2)));
        assert_eq!(window(&[0, 200_000, 400_000]), Some((200_000, 400_000, 2)));
    }

    proptest! {
        #[test]
        fn no_other_window_has_more_samples(times in prop::collection::vec(0_i64..900_000, 1..20)) {
            let (start, end, count) = window(&times).unwrap();
            prop_assert!(end - start <= limits::EVENT_SPAN_MS);
            let window_from = |start: i64| start..=start + limits::EVENT_SPAN_MS;
            let count_from = |start: i64| times.iter().filter(|at| window_from(start).contains(*at)).count();
            prop_assert_eq!(count_from(start), count);
            for other in &times {
                prop_assert!(count_from(*other) < count || (count_from(*other) == count && *other <= start));
            }
            let mut reversed = times.clone();
            reversed.reverse();
            prop_assert_eq!(window(&reversed), Some((start, end, count)));
        }
    }
}
