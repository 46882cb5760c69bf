//! When a fleet should read its feed again.

use roadcast_domain::Timestamp;

use super::FeedBatch;

/// How long after its last record arrived a batch of the stream is in the feeds, in seconds: processing, two buses, two queues.
const DELIVERY_S: i64 = 5;
/// The part of the time for which events waited in the feed by which the next read is earlier. A part, because the batches of
/// several shards are due at different times, and a read that is too early finds nothing.
const CORRECTION: i64 = 4;
/// The longest advised interval, in seconds, unless the configuration states another one: the batch window of the template.
const DEFAULT_LONGEST_S: u16 = 90;

/// Advises when to read a feed again. See `docs/decisions/0051-poll-intervals.md`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PollInterval {
    /// The interval of an empty feed, in seconds. Not shorter than the batch window of the stream processor, or reads of an
    /// active feed find nothing.
    longest_s: u16,
}

impl Default for PollInterval {
    fn default() -> Self {
        Self::new(DEFAULT_LONGEST_S)
    }
}

impl PollInterval {
    /// Creates an advice of at most `longest_s` seconds.
    pub const fn new(longest_s: u16) -> Self {
        Self { longest_s }
    }

    /// Returns the seconds until the next read after a response to a request for `max` messages: none if the feed may contain
    /// more, and otherwise the longest interval. If the events waited in the feed, it is up to a quarter shorter: telemetry
    /// arrives in batches, one per window, and the reads approach their times. Depends only on what the response contains, so
    /// that it reveals nothing about messages that the fleet may not see.
    pub fn next_s(self, feed: &FeedBatch, max: u8, now: Timestamp) -> u16 {
        if feed.ack_handles.len() >= usize::from(max) {
            return 0;
        }
        let Some(newest) = feed.events.iter().map(|delivered| delivered.event.received).max() else { return self.longest_s };
        let waited_s = now.ms_since(newest) / 1000 - DELIVERY_S;
        let correction_s = waited_s.clamp(0, self.longest_s.into()) / CORRECTION;
        self.longest_s.saturating_sub(u16::try_from(correction_s).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::subscription::DeliveryFormat;
    use roadcast_testbed::fixtures;

    use super::*;
    use crate::delivery::feed::FeedEvent;

    const MAX: u8 = 10;

    /// A response with this many messages, whose newest event was received at `received`.
    fn feed(messages: usize, received: Timestamp) -> FeedBatch {
        let mut event = fixtures::diagnostic_event(1, 0).event;
        event.received = received;
        let events = vec![FeedEvent { event, consent_epoch: 0, format: DeliveryFormat::Json }; messages.min(1)];
        FeedBatch { events, ack_handles: vec!["h".to_owned(); messages], ..FeedBatch::default() }
    }

    fn next_s(longest_s: u16, messages: usize, age_s: i64) -> u16 {
        let now = Timestamp::from_ms(1_800_000_000_000);
        PollInterval::new(longest_s).next_s(&feed(messages, now.plus_ms(-age_s * 1000)), MAX, now)
    }

    #[test]
    fn full_response_is_followed_by_the_next_at_once() {
        assert_eq!(next_s(60, usize::from(MAX), 3), 0);
    }

    #[test]
    fn empty_feed_is_read_at_the_longest_interval() {
        assert_eq!((next_s(60, 0, 0), next_s(1, 0, 0), next_s(0, 0, 0)), (60, 1, 0));
    }

    #[test]
    fn active_feed_is_read_earlier_if_its_events_waited() {
        assert_eq!([0, 3, 9, 25, 65, 300].map(|age_s| next_s(60, 3, age_s)), [60, 60, 59, 55, 45, 45]);
        assert_eq!(next_s(60, 3, -30), 60, "a received time ahead of the clock of the function");
        assert_eq!(next_s(60, 3, i64::from(u32::MAX)), 45);
        assert_eq!([0, 3, 10].map(|age_s| next_s(1, 3, age_s)), [1, 1, 1], "the local stack");
    }

    /// Batches every 60 to 69 s, because a window begins with a record and vehicles send every 10 s.
    #[test]
    fn reads_approach_the_times_of_batches() {
        let batches: Vec<i64> = (0..1000_i64)
            .scan(0, |at, n| {
                *at += 60 + n * 7 % 10;
                Some(*at)
            })
            .collect();
        let (mut now_s, mut reads, mut unread, mut waited_s) = (batches[0] + 50, 0, batches.as_slice(), 0);
        while let Some(first) = unread.first().copied() {
            let arrived = unread.iter().take_while(|batch| **batch <= now_s).count();
            let (read, later) = unread.split_at(arrived);
            unread = later;
            waited_s += read.iter().map(|batch| now_s - batch).sum::<i64>();
            reads += 1;
            let newest = read.last().copied().unwrap_or(first);
            // The last record of a batch arrived 5 s before.
            now_s += i64::from(next_s(60, read.len(), now_s - newest + DELIVERY_S));
        }
        assert!(reads < 1200, "{reads} reads of 1,000 batches");
        assert!(waited_s < 25 * 1000, "{} s in the mean", waited_s / 1000);
    }
}
