//! The feed queues of the fleets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{BatchResultErrorEntry, DeleteMessageBatchRequestEntry};
use futures::stream::{self, StreamExt};
use roadcast_domain::ids::FleetId;
use roadcast_ports::feed::{FeedQueue, Message};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{EntryError, RequestError};
use crate::sdk_error::{kind_of, kind_of_code, port_error};
use crate::sqs::fleet_queues::queue_name;

const RECEIVE: &str = "receiving from a feed queue";
const ACKNOWLEDGE: &str = "acknowledging feed messages";
const MAX_MESSAGES: u8 = 10;
const MAX_WAIT_S: u8 = 20;
/// The time allowed for the response, in addition to the wait.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// The feed queues in SQS, found by name: prefix and fleet id. Queue URLs are cached for the lifetime of the process.
#[derive(Clone, Debug)]
pub struct SqsFeedQueue {
    client: Client,
    prefix: String,
    urls: Arc<Mutex<HashMap<FleetId, String>>>,
}

impl SqsFeedQueue {
    /// Creates the adapter for queues with the given name prefix.
    pub fn new(client: Client, queue_name_prefix: impl Into<String>) -> Self {
        Self { client, prefix: queue_name_prefix.into(), urls: Arc::default() }
    }

    /// Returns the URL of a fleet's queue; `None` if the fleet has no queue.
    async fn url(&self, fleet_id: &FleetId, context: &'static str) -> Result<Option<String>, PortError> {
        if let Some(url) = self.with_urls(|urls| urls.get(fleet_id).cloned()) {
            return Ok(Some(url));
        }
        let output = self.client.get_queue_url().queue_name(queue_name(&self.prefix, fleet_id)).send().await;
        match output {
            Ok(output) => {
                if let Some(url) = &output.queue_url {
                    self.with_urls(|urls| urls.insert(fleet_id.clone(), url.clone()));
                }
                Ok(output.queue_url)
            }
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => Ok(None),
            Err(error) => Err(port_error(context, error)),
        }
    }

    fn evict(&self, fleet_id: &FleetId) {
        self.with_urls(|urls| urls.remove(fleet_id));
    }

    fn with_urls<T>(&self, access: impl FnOnce(&mut HashMap<FleetId, String>) -> T) -> T {
        // A panic cannot leave the map inconsistent.
        access(&mut self.urls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn delete(&self, fleet_id: &FleetId, url: &str, ack_handles: &[String]) -> Vec<Result<(), PortError>> {
        let entries = ack_handles.iter().enumerate().map(|(index, handle)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => {
                return fail_all(&RequestError::new(PortErrorKind::Rejected, ACKNOWLEDGE, error), ack_handles.len());
            }
        };
        match self.client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
            Ok(output) => {
                let mut failed: HashMap<String, BatchResultErrorEntry> =
                    output.failed.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
                (0..ack_handles.len())
                    .map(|index| failed.remove(&index.to_string()).map_or(Ok(()), |entry| Err(entry_error(entry))))
                    .collect()
            }
            // The messages were deleted with their queue.
            Err(error) if error.as_service_error().is_some_and(DeleteMessageBatchError::is_queue_does_not_exist) => {
                self.evict(fleet_id);
                ack_handles.iter().map(|_| Ok(())).collect()
            }
            Err(error) => fail_all(&RequestError::new(kind_of(&error), ACKNOWLEDGE, error), ack_handles.len()),
        }
    }
}

impl FeedQueue for SqsFeedQueue {
    async fn receive(&self, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Vec<Message>, PortError> {
        let Some(url) = self.url(fleet_id, RECEIVE).await? else { return Ok(Vec::new()) };
        let (max, wait_s) = (max.clamp(1, MAX_MESSAGES), wait_s.min(MAX_WAIT_S));
        // A long poll must not time out like a request that hangs.
        let attempt_timeout = RESPONSE_TIMEOUT + Duration::from_secs(wait_s.into());
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt_timeout).build();
        let output = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(max.into())
            .wait_time_seconds(wait_s.into())
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts))
            .send()
            .await;
        match output {
            Ok(output) => Ok(output.messages.unwrap_or_default().into_iter().filter_map(message).collect()),
            Err(error) if error.as_service_error().is_some_and(ReceiveMessageError::is_queue_does_not_exist) => {
                self.evict(fleet_id);
                Ok(Vec::new())
            }
            Err(error) => Err(port_error(RECEIVE, error)),
        }
    }

    async fn acknowledge(&self, fleet_id: &FleetId, ack_handles: &[String]) -> Vec<Result<(), PortError>> {
        if ack_handles.is_empty() {
            return Vec::new();
        }
        let url = match self.url(fleet_id, ACKNOWLEDGE).await {
            Ok(Some(url)) => url,
            Ok(None) => return ack_handles.iter().map(|_| Ok(())).collect(),
            Err(error) => return fail_all(&RequestError::new(error.kind(), ACKNOWLEDGE, error), ack_handles.len()),
        };
        let requests = ack_handles.chunks(MAX_MESSAGES.into()).map(|request| self.delete(fleet_id, &url, request));
        let requests: Vec<_> = requests.collect();
        let results: Vec<Vec<Result<(), PortError>>> =
            stream::iter(requests).buffered(MAX_CONCURRENT_REQUESTS).collect().await;
        results.into_iter().flatten().collect()
    }
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    Some(Message { ack_handle: message.receipt_handle?, body: message.body? })
}

fn entry_error(entry: BatchResultErrorEntry) -> PortError {
    let kind = match kind_of_code(&entry.code) {
        PortErrorKind::Rejected if !entry.sender_fault => PortErrorKind::Unavailable,
        kind => kind,
    };
    EntryError { code: entry.code, message: entry.message.unwrap_or_default() }.into_port_error(kind, ACKNOWLEDGE)
}

fn fail_all(error: &RequestError, count: usize) -> Vec<Result<(), PortError>> {
    (0..count).map(|_| Err(error.to_port_error())).collect()
}

#[cfg(test)]
mod tests;
