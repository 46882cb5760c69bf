//! The fleets' queues: SQS.

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

use crate::fleet_channels::queue_name;
use crate::per_entry::{EntryFailure, SharedFailure};
use crate::sdk_error::{kind_of, kind_of_code, port_error};

const RECEIVE: &str = "receiving from a feed queue";
const ACKNOWLEDGE: &str = "acknowledging feed messages";
const MOST_MESSAGES: u8 = 10;
const LONGEST_WAIT_S: u8 = 20;
/// For the answer after the longest wait.
const ANSWER: Duration = Duration::from_secs(4);
const REQUESTS_AT_ONCE: usize = 4;

/// The fleets' queues in SQS, found by name: prefix and fleet id. Addresses are remembered while the process lives.
#[derive(Clone, Debug)]
pub struct SqsFeedQueue {
    client: Client,
    prefix: String,
    urls: Arc<Mutex<HashMap<FleetId, String>>>,
}

impl SqsFeedQueue {
    /// The queues whose names begin with that prefix.
    pub fn new(client: Client, queue_name_prefix: impl Into<String>) -> Self {
        Self { client, prefix: queue_name_prefix.into(), urls: Arc::default() }
    }

    /// A queue's address; `None` where the fleet has no queue.
    async fn url(&self, fleet_id: &FleetId, context: &'static str) -> Result<Option<String>, PortError> {
        if let Some(url) = self.with_urls(|urls| urls.get(fleet_id).cloned()) {
            return Ok(Some(url));
        }
        let answer = self.client.get_queue_url().queue_name(queue_name(&self.prefix, fleet_id)).send().await;
        match answer {
            Ok(answer) => {
                if let Some(url) = &answer.queue_url {
                    self.with_urls(|urls| urls.insert(fleet_id.clone(), url.clone()));
                }
                Ok(answer.queue_url)
            }
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => Ok(None),
            Err(error) => Err(port_error(context, error)),
        }
    }

    fn forget(&self, fleet_id: &FleetId) {
        self.with_urls(|urls| urls.remove(fleet_id));
    }

    fn with_urls<T>(&self, work: impl FnOnce(&mut HashMap<FleetId, String>) -> T) -> T {
        // A map of addresses is whole after any panic.
        work(&mut self.urls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn delete(&self, fleet_id: &FleetId, url: &str, receipts: &[String]) -> Vec<Result<(), PortError>> {
        let entries = receipts.iter().enumerate().map(|(place, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(receipt).build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return fail_all(&SharedFailure::new(PortErrorKind::Rejected, ACKNOWLEDGE, error), receipts.len()),
        };
        match self.client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
            Ok(answer) => {
                let mut failed: HashMap<String, BatchResultErrorEntry> =
                    answer.failed.into_iter().map(|failure| (failure.id.clone(), failure)).collect();
                (0..receipts.len())
                    .map(|place| failed.remove(&place.to_string()).map_or(Ok(()), |f| Err(failure(f))))
                    .collect()
            }
            // With the queue its messages are gone.
            Err(error) if error.as_service_error().is_some_and(DeleteMessageBatchError::is_queue_does_not_exist) => {
                self.forget(fleet_id);
                receipts.iter().map(|_| Ok(())).collect()
            }
            Err(error) => fail_all(&SharedFailure::new(kind_of(&error), ACKNOWLEDGE, error), receipts.len()),
        }
    }
}

impl FeedQueue for SqsFeedQueue {
    async fn receive(&self, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Vec<Message>, PortError> {
        let Some(url) = self.url(fleet_id, RECEIVE).await? else { return Ok(Vec::new()) };
        let (max, wait_s) = (max.clamp(1, MOST_MESSAGES), wait_s.min(LONGEST_WAIT_S));
        // A waiting request is not a hanging one.
        let attempt = ANSWER + Duration::from_secs(wait_s.into());
        let patient = TimeoutConfig::builder().operation_attempt_timeout(attempt).build();
        let answer = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(max.into())
            .wait_time_seconds(wait_s.into())
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(patient))
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.messages.unwrap_or_default().into_iter().filter_map(message).collect()),
            Err(error) if error.as_service_error().is_some_and(ReceiveMessageError::is_queue_does_not_exist) => {
                self.forget(fleet_id);
                Ok(Vec::new())
            }
            Err(error) => Err(port_error(RECEIVE, error)),
        }
    }

    async fn acknowledge(&self, fleet_id: &FleetId, receipts: &[String]) -> Vec<Result<(), PortError>> {
        if receipts.is_empty() {
            return Vec::new();
        }
        let url = match self.url(fleet_id, ACKNOWLEDGE).await {
            Ok(Some(url)) => url,
            Ok(None) => return receipts.iter().map(|_| Ok(())).collect(),
            Err(error) => return fail_all(&SharedFailure::new(error.kind(), ACKNOWLEDGE, error), receipts.len()),
        };
        let requests = receipts.chunks(MOST_MESSAGES.into()).map(|request| self.delete(fleet_id, &url, request));
        let requests: Vec<_> = requests.collect();
        let answers: Vec<Vec<Result<(), PortError>>> = stream::iter(requests).buffered(REQUESTS_AT_ONCE).collect().await;
        answers.into_iter().flatten().collect()
    }
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    Some(Message { receipt: message.receipt_handle?, body: message.body? })
}

fn failure(entry: BatchResultErrorEntry) -> PortError {
    let kind = match kind_of_code(&entry.code) {
        PortErrorKind::Rejected if !entry.sender_fault => PortErrorKind::Unavailable,
        kind => kind,
    };
    EntryFailure { code: entry.code, message: entry.message.unwrap_or_default() }.into_error(kind, ACKNOWLEDGE)
}

fn fail_all(failure: &SharedFailure, count: usize) -> Vec<Result<(), PortError>> {
    (0..count).map(|_| Err(failure.to_error())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_receipt_that_is_refused_is_the_callers_fault_and_a_failing_service_is_not() {
        let kind = |code: &str, sender_fault| {
            failure(BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build().unwrap()).kind()
        };
        assert_eq!(kind("ReceiptHandleIsInvalid", true), PortErrorKind::Conflict);
        assert_eq!(kind("SomethingBroke", false), PortErrorKind::Unavailable);
        assert_eq!(kind("RequestThrottled", true), PortErrorKind::Throttled);
    }
}
