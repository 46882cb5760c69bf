//! Notices of the messages of a queue: each is an entry of the ingest bus with an alert of the operator.

use std::sync::Arc;
use std::time::Duration;

use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_lambda_kit::queue_batches::QueueBatches;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent, SqsMessage};
use roadcast_ports::port_set::PortSet;
use roadcast_services::alerts::notifier::AlertNotifier;

/// Number of messages that are handled concurrently. Together they must fit into the memory of the function.
const CONCURRENT_MESSAGES: usize = 4;
/// The time that must remain to start a message. A notice that is dropped half-way may be sent again.
const MIN_TIME: Duration = Duration::from_secs(5);

/// Handles the messages of the queue of notices.
pub struct NoticeMessages<Ports: PortSet> {
    notifier: AlertNotifier<Ports>,
    batches: QueueBatches<Ports>,
    metrics: Arc<Metrics>,
}

impl<Ports: PortSet> NoticeMessages<Ports> {
    /// Creates the handler.
    pub fn new(
        notifier: AlertNotifier<Ports>,
        delay: Ports::MessageDelay,
        randomness: Ports::Randomness,
        metrics: Arc<Metrics>,
    ) -> Self {
        let batches = QueueBatches { delay, randomness, concurrent: CONCURRENT_MESSAGES, min_time: MIN_TIME };
        Self { notifier, batches, metrics }
    }

    /// Handles a batch and returns the messages to deliver again. Those that are not handled by the deadline are among them.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> BatchItemFailures {
        self.batches.process(event, deadline, |message| self.notify(message)).await
    }

    /// Sends the notices of a message. Returns whether all of them are sent.
    async fn notify(&self, SqsMessage { message_id, body, .. }: SqsMessage) -> bool {
        match self.notifier.notify(&body).await {
            Ok(counts) => {
                self.metrics.record(Metric::NoticesSent, counts.sent);
                let (sent, repeated, ignored) = (counts.sent, counts.repeated, counts.ignored);
                tracing::debug!(message_id, sent, repeated, ignored, "{sent} notices of message {message_id} are sent");
                true
            }
            Err(error) => {
                let error = logging::error_chain(&error);
                tracing::error!(message_id, error, "message {message_id} is delivered again: {error}");
                false
            }
        }
    }
}
