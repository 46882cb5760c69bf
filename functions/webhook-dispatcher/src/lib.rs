//! Dispatch of the messages of two queues: each is a task, which names a delivery or a line of deliveries.

mod report;

use std::sync::Arc;
use std::time::Duration;

use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::event_traces::EventTraces;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::Metrics;
use roadcast_lambda_kit::queue_batches::QueueBatches;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent, SqsMessage};
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{DeliveryTask, FailedDeliveries as _, WebhookRequest};
use roadcast_services::webhooks::QueueKind;
use roadcast_services::webhooks::dispatcher::Dispatcher;

/// The size of a batch: an attempt waits for its receiver, so all are made concurrently.
const CONCURRENT_TASKS: usize = 10;
/// The time that must remain to begin with a task: that of an attempt, and some seconds to record it. An attempt that is dropped
/// half-way may be received and is then made again.
const MIN_TIME: Duration = Duration::from_millis(WebhookRequest::TIMEOUT_MS + 5000);

/// Handles the messages of the queues of the dispatcher.
pub struct TaskMessages<Ports: PortSet> {
    dispatcher: Dispatcher<Ports>,
    batches: QueueBatches<Ports>,
    failed: Ports::FailedDeliveries,
    max_receives: u32,
    metrics: Arc<Metrics>,
    traces: Arc<EventTraces>,
}

impl<Ports: PortSet> TaskMessages<Ports> {
    /// Creates the handler. A message of the ordered queue that was received more often than `max_receives` is sent to `failed`:
    /// a FIFO queue cannot move messages to the dead letters, whose queue is a standard queue.
    pub fn new(
        dispatcher: Dispatcher<Ports>,
        (delay, randomness): (Ports::MessageDelay, Ports::Randomness),
        failed: Ports::FailedDeliveries,
        max_receives: u32,
        metrics: Arc<Metrics>,
        traces: Arc<EventTraces>,
    ) -> Self {
        let batches = QueueBatches { delay, randomness, concurrent: CONCURRENT_TASKS, min_time: MIN_TIME };
        Self { dispatcher, batches, failed, max_receives, metrics, traces }
    }

    /// Handles a batch and returns the messages to deliver again. Those that are not handled by the deadline are among them.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> BatchItemFailures {
        self.batches.process(event, deadline, |message| self.dispatch(message)).await
    }

    /// Processes the task of a message. Returns whether it is done.
    async fn dispatch(&self, message: SqsMessage) -> bool {
        let message_id = &message.message_id;
        if message.is_ordered() && message.receive_count() > self.max_receives {
            tracing::error!(message_id, "message {message_id} was received too often and becomes a dead letter");
            return is_done(message_id, self.failed.send(&message.body).await.err().as_ref());
        }
        let task: DeliveryTask = match serde_json::from_str(&message.body) {
            Ok(task) => task,
            Err(error) => {
                tracing::error!(message_id, "message {message_id} is not a task of the dispatcher: {error}");
                return false;
            }
        };
        let queue = if message.is_ordered() { QueueKind::Ordered } else { QueueKind::Standard };
        let handled = self.dispatcher.handle(&task, queue).await;
        if let Ok(report) = &handled {
            report::record(&self.metrics, &self.traces, report);
        }
        is_done(message_id, handled.as_ref().err())
    }
}

/// Returns whether a message is done, and logs why it is not.
fn is_done(message_id: &str, error: Option<&PortError>) -> bool {
    if let Some(error) = error {
        let error = logging::error_chain(error);
        tracing::error!(message_id, error, "message {message_id} is delivered again: {error}");
    }
    error.is_none()
}
