use std::sync::{Arc, Mutex};

use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay};
use roadcast_signals::Timestamp;

use crate::random::mix;
use crate::{ManualClock, lock};

/// The configuration of a queue, by the names of SQS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// `VisibilityTimeout`, in milliseconds: how long a received message is hidden.
    pub visibility_timeout_ms: i64,
    /// `maxReceiveCount` of the redrive policy.
    pub max_receive_count: u32,
    /// `MessageRetentionPeriod`, in milliseconds, from the time at which the message was sent.
    pub retention_ms: i64,
}

impl Default for QueueConfig {
    /// Returns the visibility timeout of enrichment, 400 receives and 14 days.
    fn default() -> Self {
        Self { visibility_timeout_ms: 360_000, max_receive_count: 400, retention_ms: 14 * 24 * 3_600_000 }
    }
}

/// A standard queue of SQS with a redrive policy, in memory: it delivers at least once, in no order. Clones share one queue.
#[derive(Clone, Debug)]
pub struct MemoryQueue {
    clock: ManualClock,
    config: QueueConfig,
    state: Arc<Mutex<QueueState>>,
}

#[derive(Debug, Default)]
struct QueueState {
    messages: Vec<StoredMessage>,
    sent: u64,
    dead_letters: Vec<String>,
    expired: usize,
}

#[derive(Debug)]
struct StoredMessage {
    id: u64,
    body: String,
    sent_at: Timestamp,
    visible_at: Timestamp,
    receive_count: u32,
}

/// A message as a receiver gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The id that the message has as long as it exists.
    pub message_id: String,
    /// The handle of this receive.
    pub receipt_handle: String,
    /// The body.
    pub body: String,
    /// How often the message was received, this time included.
    pub receive_count: u32,
}

impl MemoryQueue {
    /// Returns an empty queue.
    pub fn new(config: QueueConfig, clock: ManualClock) -> Self {
        Self { clock, config, state: Arc::default() }
    }

    /// Adds a message.
    pub fn send(&self, body: impl Into<String>) {
        self.send_after(body, 0);
    }

    /// Adds a message that is invisible for `delay_ms` milliseconds (`DelaySeconds`).
    pub fn send_after(&self, body: impl Into<String>, delay_ms: i64) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.sent += 1;
        let id = state.sent;
        let visible_at = now.plus_ms(delay_ms);
        state.messages.push(StoredMessage { id, body: body.into(), sent_at: now, visible_at, receive_count: 0 });
    }

    /// Receives up to `max` visible messages, and hides them for the visibility timeout. A message that was received as often as
    /// the redrive policy allows becomes a dead letter instead.
    pub fn receive(&self, max: usize) -> Vec<QueuedMessage> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.expire(&self.config, now);
        state.redrive(&self.config, now);
        let mut visible: Vec<&mut StoredMessage> =
            state.messages.iter_mut().filter(|message| message.visible_at <= now).collect();
        // No order is guaranteed, so a receiver must not depend on one.
        visible.sort_by_key(|message| mix(message.id << 16 | u64::from(message.receive_count)));
        let receive = |message: &mut StoredMessage| {
            message.receive_count += 1;
            message.visible_at = now.plus_ms(self.config.visibility_timeout_ms);
            QueuedMessage {
                message_id: format!("message-{}", message.id),
                receipt_handle: message.receipt_handle(),
                body: message.body.clone(),
                receive_count: message.receive_count,
            }
        };
        visible.into_iter().take(max).map(receive).collect()
    }

    /// Deletes the message of a receipt handle. The handle of an earlier receive has no effect.
    pub fn delete(&self, receipt_handle: &str) {
        lock(&self.state).messages.retain(|message| message.receipt_handle() != receipt_handle);
    }

    /// Returns the number of messages that were neither deleted nor moved to the dead-letter queue.
    pub fn backlog(&self) -> usize {
        lock(&self.state).messages.len()
    }

    /// Returns the time at which the next message is visible, in the past if it is visible now; `None` if the queue is empty.
    pub fn next_visible(&self) -> Option<Timestamp> {
        lock(&self.state).messages.iter().map(|message| message.visible_at).min()
    }

    /// Returns the bodies of the messages that the redrive policy moved to the dead-letter queue, in order.
    pub fn dead_letters(&self) -> Vec<String> {
        lock(&self.state).dead_letters.clone()
    }

    /// Returns the number of messages that were lost at the end of their retention period.
    pub fn expired(&self) -> usize {
        lock(&self.state).expired
    }
}

impl QueueState {
    fn expire(&mut self, config: &QueueConfig, now: Timestamp) {
        let before = self.messages.len();
        self.messages.retain(|message| now.ms_since(message.sent_at) < config.retention_ms);
        self.expired += before - self.messages.len();
    }

    fn redrive(&mut self, config: &QueueConfig, now: Timestamp) {
        let is_dead =
            |message: &StoredMessage| message.visible_at <= now && message.receive_count >= config.max_receive_count;
        let (dead, remaining) = std::mem::take(&mut self.messages).into_iter().partition(is_dead);
        self.messages = remaining;
        let dead: Vec<StoredMessage> = dead;
        self.dead_letters.extend(dead.into_iter().map(|message| message.body));
    }
}

impl StoredMessage {
    /// Returns the handle of the latest receive.
    fn receipt_handle(&self) -> String {
        format!("{}-{}", self.id, self.receive_count)
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new(QueueConfig::default(), ManualClock::default())
    }
}

impl MessageDelay for MemoryQueue {
    async fn delay(&self, _queue_arn: &str, messages: &[FailedMessage]) -> Vec<Result<(), PortError>> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        for failed in messages {
            let in_flight =
                |message: &&mut StoredMessage| message.visible_at > now && message.receipt_handle() == failed.receipt_handle;
            if let Some(message) = state.messages.iter_mut().find(in_flight) {
                message.visible_at = now.plus_ms(i64::from(failed.delay_s) * 1000);
            }
        }
        messages.iter().map(|_| Ok(())).collect()
    }
}

#[cfg(test)]
mod tests {
    use roadcast_ports::conformance as suites;

    use super::*;

    fn queue(max_receive_count: u32) -> (MemoryQueue, ManualClock) {
        let clock = ManualClock::default();
        (MemoryQueue::new(QueueConfig { max_receive_count, ..QueueConfig::default() }, clock.clone()), clock)
    }

    #[tokio::test]
    async fn queue_passes_the_suite_of_message_delays() {
        let (queue, _) = queue(100);
        queue.send("message");
        let receive = async || queue.receive(1).pop().map(|message| message.receipt_handle);
        suites::message_delay(&queue, "arn:aws:sqs:us-east-1:0:queue", receive).await;
    }

    #[test]
    fn message_is_hidden_until_its_timeout_and_gone_once_deleted() {
        let (queue, clock) = queue(100);
        queue.send("message");
        assert_eq!(queue.receive(10).len(), 1);
        assert!(queue.receive(10).is_empty());
        clock.advance_ms(360_000);
        let again = queue.receive(10).remove(0);
        assert_eq!(again.receive_count, 2);
        queue.delete(&again.receipt_handle);
        assert_eq!((queue.backlog(), queue.next_visible()), (0, None));
    }

    #[test]
    fn message_is_a_dead_letter_after_the_maximum_of_receives() {
        let (queue, clock) = queue(2);
        queue.send("message");
        for received in [1, 1, 0] {
            assert_eq!(queue.receive(10).len(), received);
            clock.advance_ms(360_000);
        }
        assert_eq!((queue.backlog(), queue.dead_letters()), (0, vec!["message".to_owned()]));
    }

    #[test]
    fn message_is_lost_at_the_end_of_its_retention_period() {
        let (queue, clock) = queue(100);
        queue.send("message");
        clock.advance_ms(14 * 24 * 3_600_000);
        assert!(queue.receive(10).is_empty());
        assert_eq!((queue.expired(), queue.dead_letters().len()), (1, 0));
    }
}
