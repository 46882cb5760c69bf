use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;

use crate::{ManualClock, QueueConfig, QueuedMessage, lock};

/// A FIFO queue of SQS, in memory: the messages of a group are received in order, and none while an earlier one of its group is
/// being processed (SQS developer guide, "FIFO queue delivery logic"). Clones share one queue.
#[derive(Clone, Debug)]
pub struct MemoryFifoQueue {
    clock: ManualClock,
    config: QueueConfig,
    state: Arc<Mutex<FifoState>>,
}

#[derive(Debug, Default)]
struct FifoState {
    /// In the order in which they were sent.
    messages: Vec<FifoMessage>,
    sent: u64,
    dead_letters: Vec<String>,
}

#[derive(Debug)]
struct FifoMessage {
    id: u64,
    group: String,
    body: String,
    visible_at: Timestamp,
    receive_count: u32,
}

impl MemoryFifoQueue {
    /// Returns an empty queue.
    pub fn new(config: QueueConfig, clock: ManualClock) -> Self {
        Self { clock, config, state: Arc::default() }
    }

    /// Adds a message to a group.
    pub fn send(&self, group: impl Into<String>, body: impl Into<String>) {
        let visible_at = self.clock.now();
        let mut state = lock(&self.state);
        state.sent += 1;
        let id = state.sent;
        state.messages.push(FifoMessage { id, group: group.into(), body: body.into(), visible_at, receive_count: 0 });
    }

    /// Receives up to `max` messages, and hides them for the visibility timeout. A message that was received as often as the
    /// redrive policy allows becomes a dead letter instead. One receive may return several messages of a group.
    pub fn receive(&self, max: usize) -> Vec<QueuedMessage> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let is_dead =
            |message: &FifoMessage| message.visible_at <= now && message.receive_count >= self.config.max_receive_count;
        let (dead, remaining) = std::mem::take(&mut state.messages).into_iter().partition::<Vec<_>, _>(is_dead);
        state.dead_letters.extend(dead.into_iter().map(|message| message.body));
        state.messages = remaining;
        let mut blocked = BTreeSet::new();
        let mut received = Vec::new();
        for message in &mut state.messages {
            if message.visible_at > now {
                blocked.insert(message.group.clone());
            } else if received.len() < max && !blocked.contains(&message.group) {
                message.receive_count += 1;
                message.visible_at = now.plus_ms(self.config.visibility_timeout_ms);
                received.push(QueuedMessage {
                    message_id: format!("ordered-{}", message.id),
                    receipt_handle: message.receipt_handle(),
                    body: message.body.clone(),
                    receive_count: message.receive_count,
                });
            }
        }
        received
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
        let state = lock(&self.state);
        let mut groups = BTreeSet::new();
        state.messages.iter().filter(|message| groups.insert(&message.group)).map(|message| message.visible_at).min()
    }

    /// Returns the bodies of the messages that the redrive policy moved to the dead-letter queue, in order.
    pub fn dead_letters(&self) -> Vec<String> {
        lock(&self.state).dead_letters.clone()
    }
}

impl FifoMessage {
    /// Returns the handle of the latest receive.
    fn receipt_handle(&self) -> String {
        format!("ordered-{}-{}", self.id, self.receive_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_waits_for_its_earlier_message() {
        let clock = ManualClock::default();
        let queue = MemoryFifoQueue::new(QueueConfig::default(), clock.clone());
        for (group, body) in [("a", "1"), ("a", "2"), ("b", "3")] {
            queue.send(group, body);
        }
        let first = queue.receive(1).remove(0);
        assert_eq!(first.body, "1");
        let second = queue.receive(10);
        assert_eq!(second.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["3"], "a is blocked");
        clock.advance_ms(QueueConfig::default().visibility_timeout_ms);
        let again = queue.receive(1).remove(0);
        assert_eq!((again.body.as_str(), again.receive_count), ("1", 2), "the order is kept after a timeout");
        queue.delete(&first.receipt_handle);
        assert_eq!(queue.backlog(), 3, "the handle of an earlier receive has no effect");
        queue.delete(&again.receipt_handle);
        assert_eq!(queue.receive(1).remove(0).body, "2");
    }
}
