//! Which samples of an event are stored together: those of one window of [`limits::EVENT_SPAN_MS`].

use std::ops::RangeInclusive;

use roadcast_domain::limits;
use roadcast_signals::Timestamp;

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
