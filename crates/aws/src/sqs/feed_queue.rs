//! The feed queues of the fleets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchError;
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use futures::stream::{self, StreamExt};
use roadcast_domain::ids::FleetId;
use roadcast_ports::feed::{FeedQueue, Message, ReceiveOptions};
use roadcast_ports::{PortError, PortErrorKind};
use tokio::time::{Instant, timeout_at};

use crate::batch_requests::RequestError;
use crate::sdk::LazyClient;
use crate::sdk_error::{kind_of, port_error};
use crate::sqs::fleet_queues::queue_name;
use crate::sqs::message_batch::{change_visibility, entry_results, fail_all};

const RECEIVE: &str = "receiving from a feed queue";
const ACKNOWLEDGE: &str = "acknowledging feed messages";
const RELEASE: &str = "making feed messages visible";
const MAX_MESSAGES: u8 = 10;
const MAX_WAIT_S: u8 = 20;
/// The time allowed for the response, in addition to the wait.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// The feed queues in SQS, found by name: prefix and fleet id. Queue URLs are cached for the lifetime of the process.
#[derive(Clone, Debug)]
pub struct SqsFeedQueue {
    client: LazyClient<Client>,
    prefix: String,
    urls: Arc<Mutex<HashMap<FleetId, String>>>,
}

impl SqsFeedQueue {
    /// Creates the adapter for queues with the given name prefix.
    pub fn new(client: LazyClient<Client>, queue_name_prefix: impl Into<String>) -> Self {
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
                return fail_all(&RequestError::new(PortErrorKind::Internal, ACKNOWLEDGE, error), ack_handles.len());
            }
        };
        match self.client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
            Ok(output) => entry_results(ack_handles.len(), output.failed, ACKNOWLEDGE),
            // The messages were deleted with their queue.
            Err(error) if error.as_service_error().is_some_and(DeleteMessageBatchError::is_queue_does_not_exist) => {
                self.evict(fleet_id);
                ack_handles.iter().map(|_| Ok(())).collect()
            }
            Err(error) => fail_all(&RequestError::new(kind_of(&error), ACKNOWLEDGE, error), ack_handles.len()),
        }
    }

    async fn change_visibility(
        &self,
        fleet_id: &FleetId,
        url: &str,
        delay_s: u16,
        ack_handles: &[String],
    ) -> Vec<Result<(), PortError>> {
        let messages = ack_handles.iter().map(|handle| (handle.as_str(), delay_s.into()));
        match change_visibility(&self.client, url, messages, RELEASE).await {
            Ok(results) => results,
            // The messages were deleted with their queue.
            Err(error)
                if error.as_service_error().is_some_and(ChangeMessageVisibilityBatchError::is_queue_does_not_exist) =>
            {
                self.evict(fleet_id);
                ack_handles.iter().map(|_| Ok(())).collect()
            }
            Err(error) => fail_all(&RequestError::new(kind_of(&error), RELEASE, error), ack_handles.len()),
        }
    }
}

impl FeedQueue for SqsFeedQueue {
    async fn receive(&self, fleet_id: &FleetId, options: ReceiveOptions) -> Result<Vec<Message>, PortError> {
        let deadline = Instant::now() + options.timeout;
        let url = timeout_at(deadline, self.url(fleet_id, RECEIVE)).await;
        let url = url.map_err(|elapsed| PortError::new(PortErrorKind::TimedOut, RECEIVE).caused_by(elapsed))?;
        let Some(url) = url? else { return Ok(Vec::new()) };
        let wait = LongPoll::within(options.wait_s, deadline.saturating_duration_since(Instant::now()));
        // A long poll must not time out like a request that hangs. A second attempt would exceed the deadline.
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(wait.attempt_timeout).build();
        let output = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(options.max.clamp(1, MAX_MESSAGES).into())
            .wait_time_seconds(wait.wait_s.into())
            .customize()
            .config_override(
                aws_sdk_sqs::config::Builder::new().timeout_config(timeouts).retry_config(RetryConfig::disabled()),
            )
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

    async fn release(&self, fleet_id: &FleetId, delay_s: u16, ack_handles: &[String]) -> Vec<Result<(), PortError>> {
        if ack_handles.is_empty() {
            return Vec::new();
        }
        let url = match self.url(fleet_id, RELEASE).await {
            Ok(Some(url)) => url,
            Ok(None) => return ack_handles.iter().map(|_| Ok(())).collect(),
            Err(error) => return fail_all(&RequestError::new(error.kind(), RELEASE, error), ack_handles.len()),
        };
        let requests = ack_handles.chunks(MAX_MESSAGES.into());
        let requests: Vec<_> = requests.map(|request| self.change_visibility(fleet_id, &url, delay_s, request)).collect();
        let results: Vec<Vec<Result<(), PortError>>> =
            stream::iter(requests).buffered(MAX_CONCURRENT_REQUESTS).collect().await;
        results.into_iter().flatten().collect()
    }
}

/// How long a request waits for messages, and when it times out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct LongPoll {
    wait_s: u8,
    attempt_timeout: Duration,
}

impl LongPoll {
    /// Waits up to `wait_s` seconds, but ends within `remaining`: the response needs time after the wait.
    fn within(wait_s: u8, remaining: Duration) -> Self {
        let longest = remaining.saturating_sub(RESPONSE_TIMEOUT).as_secs();
        let wait_s = wait_s.min(MAX_WAIT_S).min(u8::try_from(longest).unwrap_or(MAX_WAIT_S));
        let attempt_timeout = remaining.min(RESPONSE_TIMEOUT + Duration::from_secs(wait_s.into()));
        Self { wait_s, attempt_timeout }
    }
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    Some(Message { ack_handle: message.receipt_handle?, body: message.body? })
}

#[cfg(test)]
mod tests;
