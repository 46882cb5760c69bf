//! The queue of the evaluation of back-tests.

use aws_sdk_sqs::Client;
use roadcast_domain::back_test::BackTestTask;
use roadcast_ports::alerts::BackTestQueue;
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const SEND: &str = "sending a task to the evaluation of back-tests";

/// The queue in SQS.
#[derive(Clone, Debug)]
pub struct SqsBackTestQueue {
    client: LazyClient<Client>,
    url: String,
}

impl SqsBackTestQueue {
    /// Creates the adapter on the queue with this URL.
    pub fn new(client: LazyClient<Client>, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

impl BackTestQueue for SqsBackTestQueue {
    async fn send(&self, task: &BackTestTask) -> Result<(), PortError> {
        let body = serde_json::to_string(task);
        let body = body.map_err(|error| PortError::new(PortErrorKind::Internal, SEND).caused_by(error))?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.send().await.map(|_| ()).map_err(|error| port_error(SEND, error))
    }
}
