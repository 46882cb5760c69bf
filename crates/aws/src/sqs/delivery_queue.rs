//! The queues of the dispatcher of webhooks.

use std::fmt;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_sdk_sqs::types::builders::SendMessageBatchRequestEntryBuilder;
use roadcast_domain::ids::{EndpointId, VehicleId};
use roadcast_ports::webhooks::{DeliveryQueue, DeliveryTask};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{BatchOperation, RequestError, RequestLimits, RequestResult};
use crate::sdk::LazyClient;
use crate::sdk_error::kind_of;
use crate::sqs::message_batch::entry_results;

/// The limits of `SendMessageBatch`.
const SEND: BatchOperation = BatchOperation {
    context: "sending tasks to the dispatcher of webhooks",
    max_entry_bytes: 1024 * 1024,
    limits: RequestLimits { entries: 10, bytes: 1024 * 1024 },
    max_concurrent_requests: 4,
    max_attempts: 3,
};

/// A standard queue, with an endpoint as the group of its messages (a fair queue), and a FIFO queue, with an endpoint and a
/// vehicle as the group.
#[derive(Clone, Debug)]
pub struct SqsDeliveryQueue {
    client: LazyClient<Client>,
    url: String,
    ordered_url: String,
}

/// A message to send.
struct Outgoing {
    body: String,
    group: String,
    delivery: Delivery,
}

/// What differs between the two queues.
enum Delivery {
    /// After this number of seconds.
    Delayed(u32),
    /// In order. A repeated request with the same id has no further effect within five minutes.
    Ordered { deduplication_id: String },
}

impl SqsDeliveryQueue {
    /// Creates the adapter on the standard queue and the FIFO queue with these URLs.
    pub fn new(client: LazyClient<Client>, url: impl Into<String>, ordered_url: impl Into<String>) -> Self {
        Self { client, url: url.into(), ordered_url: ordered_url.into() }
    }

    async fn send_all(&self, url: &str, messages: &[Result<Outgoing, serde_json::Error>]) -> Vec<Result<(), PortError>> {
        let bytes = |message: &Result<Outgoing, _>| message.as_ref().map_or(0, |message| message.body.len());
        let sizes: Vec<usize> = messages.iter().map(bytes).collect();
        SEND.send(&sizes, |indexes| self.send_batch(url, messages, indexes)).await
    }

    /// Sends the messages at `indexes` with one request.
    async fn send_batch(
        &self,
        url: &str,
        messages: &[Result<Outgoing, serde_json::Error>],
        indexes: Vec<usize>,
    ) -> RequestResult {
        let entry = |(id, index): (usize, &usize)| match &messages[*index] {
            Ok(message) => message.entry(id).map_err(internal),
            Err(error) => Err(internal(error)),
        };
        let entries = indexes.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
        let output = self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
        let output = output.map_err(|error| RequestError::new(kind_of(&error), SEND.context, error))?;
        Ok(entry_results(indexes.len(), output.failed, SEND.context))
    }
}

impl DeliveryQueue for SqsDeliveryQueue {
    async fn send(&self, tasks: &[(DeliveryTask, u32)]) -> Vec<Result<(), PortError>> {
        let message = |(task, delay_s): &(DeliveryTask, u32)| {
            // An endpoint with a long backlog or slow responses does not delay the messages of others.
            let delivery = Delivery::Delayed((*delay_s).min(Self::MAX_DELAY_S));
            Ok(Outgoing { body: serde_json::to_string(task)?, group: parts(task).0.to_string(), delivery })
        };
        self.send_all(&self.url, &tasks.iter().map(message).collect::<Vec<_>>()).await
    }

    async fn send_ordered(&self, tasks: &[DeliveryTask]) -> Vec<Result<(), PortError>> {
        let message = |task: &DeliveryTask| {
            let group = match parts(task) {
                (endpoint_id, Some(vid)) => format!("{endpoint_id}#{vid}"),
                (endpoint_id, None) => endpoint_id.to_string(),
            };
            // Of each send, not of the content: the same task is sent again on purpose, such as that of a line. Only a request
            // that is repeated because its response was lost has the same id.
            let deduplication_id = format!("{:032x}", rand::random::<u128>());
            Ok(Outgoing { body: serde_json::to_string(task)?, group, delivery: Delivery::Ordered { deduplication_id } })
        };
        self.send_all(&self.ordered_url, &tasks.iter().map(message).collect::<Vec<_>>()).await
    }
}

impl Outgoing {
    fn entry(&self, id: usize) -> Result<SendMessageBatchRequestEntry, BuildError> {
        let entry = SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(&self.body);
        self.delivery.apply(entry.message_group_id(&self.group)).build()
    }
}

impl Delivery {
    fn apply(&self, entry: SendMessageBatchRequestEntryBuilder) -> SendMessageBatchRequestEntryBuilder {
        match self {
            Self::Delayed(seconds) => entry.delay_seconds(i32::try_from(*seconds).unwrap_or(i32::MAX)),
            Self::Ordered { deduplication_id } => entry.message_deduplication_id(deduplication_id),
        }
    }
}

/// Returns the endpoint of a task, and its vehicle if the endpoint requires order.
fn parts(task: &DeliveryTask) -> (&EndpointId, Option<&VehicleId>) {
    match task {
        DeliveryTask::Attempt { key, vid, .. } => (&key.endpoint_id, vid.as_ref()),
        DeliveryTask::Line { line } => (&line.endpoint_id, line.vid.as_ref()),
    }
}

fn internal(error: impl fmt::Display) -> RequestError {
    RequestError::new(PortErrorKind::Internal, SEND.context, error.to_string())
}

#[cfg(test)]
mod tests;
