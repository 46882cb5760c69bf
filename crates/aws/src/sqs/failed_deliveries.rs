//! The sender of failed webhook deliveries to the queue of dead letters.

use aws_sdk_sqs::Client;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::FailedDeliveries;

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const SEND: &str = "sending a failed delivery to the dead letters";

/// The queue of dead letters in SQS.
#[derive(Clone, Debug)]
pub struct SqsFailedDeliveries {
    client: LazyClient<Client>,
    url: String,
}

impl SqsFailedDeliveries {
    /// Creates the adapter on the queue with this URL.
    pub fn new(client: LazyClient<Client>, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

impl FailedDeliveries for SqsFailedDeliveries {
    async fn send(&self, record: &str) -> Result<(), PortError> {
        let request = self.client.send_message().queue_url(&self.url).message_body(record);
        request.send().await.map(|_| ()).map_err(|error| port_error(SEND, error))
    }
}
