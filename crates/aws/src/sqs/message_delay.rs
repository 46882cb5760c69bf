//! The visibility of messages that a function received by an event source mapping.

use aws_sdk_sqs::Client;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::RequestError;
use crate::sdk::LazyClient;
use crate::sdk_error::kind_of;
use crate::sqs::message_batch::{change_visibility, fail_all};

const DELAY: &str = "delaying a failed message";
/// Maximum number of entries of a request.
const MAX_ENTRIES: usize = 10;
/// Maximum visibility timeout, 12 hours.
const MAX_DELAY_S: u32 = 43_200;

/// The delay of failed messages, as their visibility timeout in SQS.
///
/// A function learns the ARN of a queue from its events, but SQS takes its URL. The URLs are part of the configuration.
#[derive(Clone, Debug)]
pub struct SqsMessageDelay {
    client: LazyClient<Client>,
    urls: Vec<String>,
}

impl SqsMessageDelay {
    /// Creates the adapter for the queues with these URLs.
    pub fn new(client: LazyClient<Client>, urls: impl IntoIterator<Item = String>) -> Self {
        Self { client, urls: urls.into_iter().collect() }
    }

    /// Returns the URL of the queue with this ARN. Both end with the name of the queue.
    fn url(&self, queue_arn: &str) -> Option<&str> {
        let name = queue_arn.rsplit(':').next()?;
        self.urls.iter().map(String::as_str).find(|url| url.rsplit('/').next() == Some(name))
    }
}

impl MessageDelay for SqsMessageDelay {
    async fn delay(&self, queue_arn: &str, messages: &[FailedMessage]) -> Vec<Result<(), PortError>> {
        let Some(url) = self.url(queue_arn) else {
            let error = RequestError::new(PortErrorKind::Internal, DELAY, format!("no queue URL is known for {queue_arn}"));
            return fail_all(&error, messages.len());
        };
        let mut results = Vec::with_capacity(messages.len());
        for request in messages.chunks(MAX_ENTRIES) {
            let delay_s = |message: &FailedMessage| i32::try_from(message.delay_s.min(MAX_DELAY_S)).unwrap_or(i32::MAX);
            let entries = request.iter().map(|message| (message.receipt_handle.as_str(), delay_s(message)));
            let changed = change_visibility(&self.client, url, entries, DELAY).await;
            results.extend(
                changed.unwrap_or_else(|error| fail_all(&RequestError::new(kind_of(&error), DELAY, error), request.len())),
            );
        }
        results
    }
}

#[cfg(test)]
mod tests;
