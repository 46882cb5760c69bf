//! Evaluates back-tests: each message of the queue continues one of them.

use std::time::Duration;

use roadcast_domain::back_test::BackTestTask;
use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::queue_batches::QueueBatches;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent, SqsMessage};
use roadcast_ports::port_set::PortSet;
use roadcast_services::alerts::back_tester::BackTester;

/// How long a message evaluates. Then the progress is stored.
const SLICE_MS: i64 = 10_000;
/// The time that must remain to begin: that of a slice, of a read that goes beyond it, and of the writes.
const MIN_TIME: Duration = Duration::from_secs(30);
/// The receives of a message after which the back-test has failed.
const MAX_RECEIVES: u32 = 5;

/// Handles the messages of the queue of back-tests.
pub struct BackTestMessages<Ports: PortSet> {
    tester: BackTester<Ports>,
    batches: QueueBatches<Ports>,
}

impl<Ports: PortSet> BackTestMessages<Ports> {
    /// Creates the handler.
    pub fn new(tester: BackTester<Ports>, delay: Ports::MessageDelay, randomness: Ports::Randomness) -> Self {
        Self { tester, batches: QueueBatches { delay, randomness, concurrent: 1, min_time: MIN_TIME } }
    }

    /// Handles a batch and returns the messages to deliver again.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> BatchItemFailures {
        self.batches.process(event, deadline, |message| self.evaluate(message)).await
    }

    /// Continues the back-test of a message. Returns whether the message is done.
    async fn evaluate(&self, message: SqsMessage) -> bool {
        let message_id = &message.message_id;
        let task: BackTestTask = match serde_json::from_str(&message.body) {
            Ok(task) => task,
            Err(error) => {
                tracing::error!(message_id, "message {message_id} is not a task of a back-test: {error}");
                return false;
            }
        };
        let back_test_id = &task.back_test_id;
        let Err(error) = self.tester.run(&task, SLICE_MS).await else { return true };
        let error = logging::error_chain(&error);
        if message.receive_count() < MAX_RECEIVES {
            tracing::error!(message_id, %back_test_id, error, "back-test {back_test_id} is tried again: {error}");
            return false;
        }
        tracing::error!(message_id, %back_test_id, error, "back-test {back_test_id} failed: {error}");
        self.tester.fail(&task).await.is_ok()
    }
}
