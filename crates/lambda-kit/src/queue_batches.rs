//! Batches of a queue: each message succeeds or fails alone, and those that fail are delivered again after a delay that grows
//! with the number of their attempts. See `docs/decisions/0034-queues-before-enrichment.md`.

mod backoff;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use roadcast_ports::clock::Randomness as _;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay as _};
use roadcast_ports::port_set::PortSet;

use crate::deadline::{Deadline, DeadlineReached};
use crate::logging;
use crate::sqs::{BatchItemFailures, SqsEvent, SqsMessage};

/// The time before the deadline of the invocation that is reserved to delay the failed messages.
const DELAY_TIME: Duration = Duration::from_secs(3);

/// Processes the batches of a queue.
pub struct QueueBatches<Ports: PortSet> {
    /// The delay of failed messages.
    pub delay: Ports::MessageDelay,
    /// The source of the jitter of delays.
    pub randomness: Ports::Randomness,
    /// Number of messages, or of message groups of a FIFO queue, that are processed concurrently, so that a message which waits
    /// for a failing service does not delay the others of its batch. Together they must fit into the memory of the function.
    pub concurrent: usize,
    /// The time that must remain to start a message: work that is started and then dropped may have effects that nothing
    /// records.
    pub min_time: Duration,
}

/// A message that failed.
struct Failure {
    message_id: String,
    queue_arn: String,
    failed: FailedMessage,
}

impl<Ports: PortSet> QueueBatches<Ports> {
    /// Processes a batch and returns the messages to deliver again. `process` returns whether a message is done. Messages that
    /// are not done by the deadline are delivered again.
    ///
    /// Messages of one group of a FIFO queue are processed one after another. After one that failed, the rest of the group is
    /// delivered again without being processed, so that their order is kept.
    pub async fn process<F, Fut>(&self, event: SqsEvent, deadline: Deadline, process: F) -> BatchItemFailures
    where
        F: Fn(SqsMessage) -> Fut + Sync,
        Fut: Future<Output = bool> + Send,
    {
        let end = Deadline::after(deadline.remaining().saturating_sub(DELAY_TIME));
        let mut processed = Vec::new();
        for group in groups(event.records) {
            processed.push(self.process_group(group, end, &process));
        }
        let failures: Vec<Vec<Failure>> = stream::iter(processed).buffer_unordered(self.concurrent).collect().await;
        let failures: Vec<Failure> = failures.into_iter().flatten().collect();
        if deadline.limit(self.delay_failures(&failures)).await.is_err() {
            tracing::warn!("no time is left to delay failed messages; they are visible after the timeout of the queue");
        }
        failures.into_iter().map(|failure| failure.message_id).collect()
    }

    /// Processes messages one after another until one fails. Returns those to deliver again.
    async fn process_group<F, Fut>(&self, messages: Vec<SqsMessage>, end: Deadline, process: &F) -> Vec<Failure>
    where
        F: Fn(SqsMessage) -> Fut + Sync,
        Fut: Future<Output = bool> + Send,
    {
        let mut failures: Vec<Failure> = Vec::new();
        for message in messages {
            let receive_count = message.receive_count();
            let failure = |delay_s| Failure {
                message_id: message.message_id.clone(),
                queue_arn: message.event_source_arn.clone(),
                failed: FailedMessage { receipt_handle: message.receipt_handle.clone(), delay_s },
            };
            if let Some(first) = failures.first() {
                let delay_s = first.failed.delay_s;
                failures.push(failure(delay_s));
                continue;
            }
            let failure = failure(backoff::delay_s(receive_count, self.randomness.bits()));
            let is_done =
                if end.remaining() <= self.min_time { Err(DeadlineReached) } else { end.limit(process(message)).await };
            let is_done = is_done.unwrap_or_else(|reached| {
                let message_id = &failure.message_id;
                tracing::error!(message_id, receive_count, "message {message_id} was not processed in time: {reached}");
                false
            });
            if !is_done {
                failures.push(failure);
            }
        }
        failures
    }

    /// Delays the failed messages. If that fails, they are visible again after the visibility timeout of their queue.
    async fn delay_failures(&self, failures: &[Failure]) {
        // All messages of a batch are of the same queue.
        let Some(queue_arn) = failures.first().map(|failure| &failure.queue_arn) else { return };
        let failed: Vec<FailedMessage> = failures.iter().map(|failure| failure.failed.clone()).collect();
        for (failure, result) in failures.iter().zip(self.delay.delay(queue_arn, &failed).await) {
            if let Err(error) = result {
                let (message_id, error) = (&failure.message_id, logging::error_chain(&error));
                tracing::warn!(message_id, error, "message {message_id} is not delayed as intended: {error}");
            }
        }
    }
}

/// Returns the messages that must be processed one after another: those of one group of a FIFO queue, in order. Each message of a
/// standard queue is alone, also if it has a group, which only makes the queue fair.
fn groups(messages: Vec<SqsMessage>) -> Vec<Vec<SqsMessage>> {
    let mut groups: Vec<Vec<SqsMessage>> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for message in messages {
        match message.ordered_group() {
            None => groups.push(vec![message]),
            Some(id) => {
                let next = groups.len();
                let index = *by_id.entry(id.to_owned()).or_insert(next);
                if index == next {
                    groups.push(Vec::new());
                }
                groups[index].push(message);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests;
