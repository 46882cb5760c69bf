//! The delay after which a queue delivers a message again.

use std::future::Future;

use crate::PortError;

/// A message that a function received from a queue and did not process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedMessage {
    /// The receipt handle of the latest receive.
    pub receipt_handle: String,
    /// The time until the queue may deliver the message again, in seconds.
    pub delay_s: u32,
}

/// Delays the next delivery of received messages.
///
/// Without it, a queue delivers a message again when its visibility timeout has passed since it was received. The delay replaces
/// the rest of that time: it may be shorter or longer. It counts from the call, and for one delivery only.
pub trait MessageDelay: Send + Sync {
    /// Sets the delay of each message of the queue with this ARN, and returns the result of each, in the order of `messages`. A
    /// message that is no longer in flight, because it was deleted or is visible again, is left as it is: its entry succeeds.
    fn delay(&self, queue_arn: &str, messages: &[FailedMessage]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}
