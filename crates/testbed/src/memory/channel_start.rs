//! A model of the time until a new channel works.

use roadcast_signals::Timestamp;

/// What a channel does between its creation or change and the time at which it works, as AWS documents it: a rule may not
/// match yet, and the policy of a queue may not be in force. What does not pass is lost.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStart {
    /// How long after a creation or change entries are lost, in milliseconds.
    pub delay_ms: i64,
    /// Of the entries in this time, each `pass`-th one passes nevertheless; 0 for none.
    pub pass: u32,
    /// How many further entries are lost.
    pub lost: u32,
}

/// The start of one channel.
#[derive(Copy, Clone, Debug)]
pub(super) struct StartingChannel {
    until: Timestamp,
    start: ChannelStart,
    entries: u32,
}

impl StartingChannel {
    pub(super) const fn new(start: ChannelStart, until: Timestamp) -> Self {
        Self { until, start, entries: 0 }
    }

    /// Returns whether the next entry passes.
    pub(super) fn passes(&mut self, now: Timestamp) -> bool {
        if now < self.until {
            self.entries += 1;
            return self.start.pass > 0 && self.entries.is_multiple_of(self.start.pass);
        }
        let is_lost = self.start.lost > 0;
        self.start.lost = self.start.lost.saturating_sub(1);
        !is_lost
    }
}
