//! Fan-out of the messages of a queue: each is one entry of a delivery bus, of which an endpoint wants an event.

use std::sync::Arc;
use std::time::Duration;

use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_lambda_kit::queue_batches::QueueBatches;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent, SqsMessage};
use roadcast_ports::port_set::PortSet;
use roadcast_services::webhooks::fan_out::WebhookFanOut;

/// Number of entries that are handled concurrently. Together they must fit into the memory of the function.
const CONCURRENT_ENTRIES: usize = 4;

/// Handles the messages of the queue of entries.
pub struct EntryMessages<Ports: PortSet> {
    fan_out: WebhookFanOut<Ports>,
    batches: QueueBatches<Ports>,
    metrics: Arc<Metrics>,
}

impl<Ports: PortSet> EntryMessages<Ports> {
    /// Creates the handler.
    pub fn new(
        fan_out: WebhookFanOut<Ports>,
        delay: Ports::MessageDelay,
        randomness: Ports::Randomness,
        metrics: Arc<Metrics>,
    ) -> Self {
        // An entry that is dropped at the deadline is repeated, as after any other failure.
        let batches = QueueBatches { delay, randomness, concurrent: CONCURRENT_ENTRIES, min_time: Duration::ZERO };
        Self { fan_out, batches, metrics }
    }

    /// Handles a batch and returns the messages to deliver again. Those that are not handled by the deadline are among them.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> BatchItemFailures {
        self.batches.process(event, deadline, |message| self.deliver(message)).await
    }

    /// Makes the deliveries of the entry in a message. Returns whether all of them are stored and their tasks are sent.
    async fn deliver(&self, SqsMessage { message_id, body, .. }: SqsMessage) -> bool {
        match self.fan_out.fan_out(&body).await {
            Ok(counts) => {
                self.metrics.record(Metric::WebhookDeliveries, counts.stored);
                let (events, stored, repeated) = (counts.events, counts.stored, counts.repeated);
                tracing::debug!(message_id, events, stored, repeated, "{events} events made {stored} deliveries");
                true
            }
            Err(error) => {
                let error = logging::error_chain(&error);
                tracing::error!(message_id, error, "entry {message_id} is delivered again: {error}");
                false
            }
        }
    }
}
