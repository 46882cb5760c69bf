//! A fleet's queue.

use roadcast_ports::feed::Message;
use roadcast_signals::Timestamp;

/// A fleet's queue. It preserves the order of messages, which SQS does not guarantee.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: Vec<QueuedMessage>,
    sent: u64,
}

#[derive(Debug)]
struct QueuedMessage {
    id: u64,
    body: String,
    visible_at: Option<Timestamp>,
    receive_count: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.messages.iter().map(|message| message.body.clone()).collect()
    }

    /// Adds a message. Returns whether the queue accepts it.
    pub(super) fn send(&mut self, body: String) -> bool {
        if !body.chars().all(is_accepted) {
            return false;
        }
        self.sent += 1;
        self.messages.push(QueuedMessage { id: self.sent, body, visible_at: None, receive_count: 0 });
        true
    }

    /// Returns up to `max` visible messages, and hides them until `hidden_until`.
    pub(super) fn receive(&mut self, max: usize, now: Timestamp, hidden_until: Timestamp) -> Vec<Message> {
        let visible = self.messages.iter_mut().filter(|message| message.visible_at.is_none_or(|at| at <= now));
        let receive = |message: &mut QueuedMessage| {
            message.visible_at = Some(hidden_until);
            message.receive_count += 1;
            Message { ack_handle: message.ack_handle(), body: message.body.clone() }
        };
        visible.take(max).map(receive).collect()
    }

    /// Deletes the message of a handle. An unknown handle and that of an earlier receive have no effect, as in SQS.
    pub(super) fn delete(&mut self, ack_handle: &str) {
        self.messages.retain(|message| message.ack_handle() != ack_handle);
    }

    /// Makes the message of a handle visible at this time. Other handles have no effect, as for [`delete`](Self::delete).
    pub(super) fn release(&mut self, ack_handle: &str, visible_at: Timestamp) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.ack_handle() == ack_handle) {
            message.visible_at = Some(visible_at);
        }
    }
}

impl QueuedMessage {
    /// Returns the handle of the latest receive.
    fn ack_handle(&self) -> String {
        format!("{}-{}", self.id, self.receive_count)
    }
}

/// Whether SQS accepts a character in the body of a message; it refuses the entire message otherwise (`SendMessage`,
/// `InvalidMessageContents`). The local endpoint accepts every character, so tests rely on this check.
fn is_accepted(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}
