//! A model of the event source mapping between a standard SQS queue and a Lambda function.
//!
//! It invokes a handler with the messages of a [`MemoryQueue`], by the rules of the AWS Lambda developer guide, chapter "Using
//! Lambda with Amazon SQS". Every rule names the section that it follows. Time comes from the [`ManualClock`]; nothing sleeps.
//!
//! Not modelled: how Lambda scales the number of concurrent batches, batching windows, filters, FIFO queues and the payload limit
//! of 6 MB.

use std::collections::BTreeSet;

use futures::future::join_all;
use roadcast_ports::clock::Clock;
use roadcast_signals::Timestamp;
use roadcast_testbed::{ManualClock, MemoryQueue, QueuedMessage};
use serde_json::json;

/// Configuration of a mapping.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct QueueMappingConfig {
    /// `BatchSize`: maximum number of messages per invocation. Default: 10, also the maximum without a batching window.
    pub batch_size: usize,
    /// `MaximumConcurrency` of the `ScalingConfig`: maximum number of concurrent invocations. Default: 5, with which Lambda starts.
    pub maximum_concurrency: usize,
    /// `ReportBatchItemFailures` in `FunctionResponseTypes`. Default: off; responses are then ignored.
    pub report_batch_item_failures: bool,
}

impl Default for QueueMappingConfig {
    fn default() -> Self {
        Self { batch_size: 10, maximum_concurrency: 5, report_batch_item_failures: false }
    }
}

/// An event source mapping.
#[derive(Debug)]
pub struct QueueMapping {
    config: QueueMappingConfig,
    queue: MemoryQueue,
    clock: ManualClock,
    invocations: usize,
}

impl QueueMapping {
    /// Returns a mapping of a queue.
    pub fn new(config: QueueMappingConfig, queue: MemoryQueue, clock: ManualClock) -> Self {
        Self { config, queue, clock, invocations: 0 }
    }

    /// Invokes the function with the visible messages, as many batches as may be concurrent, and deletes what succeeded. The
    /// handler returns the ids of failed messages. Returns the number of invocations.
    ///
    /// *Understanding polling and batching behavior*: a received message stays in the queue, hidden for the visibility timeout,
    /// and is deleted if the function processed it. After an error, nothing is deleted.
    pub async fn poll<H, E>(&mut self, handler: &H) -> usize
    where
        H: AsyncFn(Vec<QueuedMessage>) -> Result<Vec<String>, E>,
    {
        let receive = || self.queue.receive(self.config.batch_size.clamp(1, 10));
        let batches = (0..self.config.maximum_concurrency).map(|_| receive()).filter(|batch| !batch.is_empty());
        let batches: Vec<Vec<QueuedMessage>> = batches.collect();
        let responses = join_all(batches.iter().map(|batch| handler(batch.clone()))).await;
        let invocations = responses.len();
        self.invocations += invocations;
        for (batch, response) in batches.iter().zip(responses) {
            if let Ok(failed) = response {
                self.delete_succeeded(batch, failed);
            }
        }
        invocations
    }

    /// Polls until the queue is empty, advancing the clock to the next message that is visible.
    pub async fn drain<H, E>(&mut self, handler: &H)
    where
        H: AsyncFn(Vec<QueuedMessage>) -> Result<Vec<String>, E>,
    {
        loop {
            if self.poll(handler).await > 0 {
                continue;
            }
            let Some(due) = self.next_due() else { return };
            self.clock.set(due.max(self.clock.now()));
        }
    }

    /// Returns the time at which the next message is visible; `None` if the queue is empty.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_visible()
    }

    /// Returns the number of invocations so far.
    pub const fn invocations(&self) -> usize {
        self.invocations
    }

    /// *Implementing partial batch responses*: only the messages that the response names are retained. A response that names
    /// another message, or an empty id, fails the entire batch.
    fn delete_succeeded(&self, batch: &[QueuedMessage], failed: Vec<String>) {
        let failed: BTreeSet<String> =
            if self.config.report_batch_item_failures { failed.into_iter().collect() } else { BTreeSet::new() };
        let is_in_batch = |id: &String| batch.iter().any(|message| message.message_id == *id);
        if !failed.iter().all(is_in_batch) {
            return;
        }
        for message in batch.iter().filter(|message| !failed.contains(&message.message_id)) {
            self.queue.delete(&message.receipt_handle);
        }
    }
}

/// Returns the event as the function receives it (*Example event* of the chapter).
pub fn queue_event(queue_arn: &str, messages: &[QueuedMessage]) -> String {
    let record = |message: &QueuedMessage| {
        json!({
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": { "ApproximateReceiveCount": message.receive_count.to_string() },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() }).to_string()
}

/// Returns the message that a rule sends to its target queue, which is the entire event of EventBridge.
pub fn bus_event(id: &str, source: &str, detail_type: &str, events: &[String]) -> String {
    let events = events.join(",");
    format!(
        "{{\"version\":\"0\",\"id\":\"{id}\",\"detail-type\":\"{detail_type}\",\"source\":\"{source}\",\
         \"account\":\"123456789012\",\"time\":\"2026-11-20T08:15:00Z\",\"region\":\"us-east-1\",\"resources\":[],\
         \"detail\":{{\"events\":[{events}]}}}}"
    )
}

#[cfg(test)]
mod tests;
