//! Messages of a queue as an event source mapping sends them, and the response that names those to deliver again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A batch of messages of one queue.
#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    /// The messages, in no order.
    #[serde(rename = "Records")]
    pub records: Vec<SqsMessage>,
}

/// A message. It may be delivered more than once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessage {
    /// The id of the message, by which the response names it.
    pub message_id: String,
    /// The handle of this delivery.
    #[serde(default)]
    pub receipt_handle: String,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The attributes that SQS sets.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The attributes that the sender sets.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, MessageAttribute>,
    /// The ARN of the queue.
    #[serde(default, rename = "eventSourceARN")]
    pub event_source_arn: String,
}

/// An attribute that the sender of a message sets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAttribute {
    /// The value, unless it is binary.
    #[serde(default)]
    pub string_value: Option<String>,
}

impl SqsMessage {
    /// Whether the message is of a FIFO queue.
    pub fn is_ordered(&self) -> bool {
        // The suffix is part of the name of every FIFO queue, in lower case, and of no other.
        self.event_source_arn.rsplit('.').next() == Some("fifo")
    }

    /// Returns the group within which the messages of a FIFO queue are in order; `None` for a message of a standard queue.
    pub fn ordered_group(&self) -> Option<&str> {
        let group = self.attributes.get("MessageGroupId").map(String::as_str);
        group.filter(|_| self.is_ordered())
    }

    /// Returns how often the message was received, this time included; 1 if the queue does not state it.
    pub fn receive_count(&self) -> u32 {
        self.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
    }
}

impl fmt::Debug for SqsMessage {
    /// Omits body and attributes, because they may contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsMessage")
            .field("message_id", &self.message_id)
            .field("event_source_arn", &self.event_source_arn)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The response: the mapping deletes all messages but those that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailures {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

impl BatchItemFailures {
    /// Returns the ids of the messages to deliver again.
    pub fn message_ids(&self) -> impl Iterator<Item = &str> {
        self.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str())
    }
}

impl FromIterator<String> for BatchItemFailures {
    /// Returns the response that names the messages with these ids.
    fn from_iter<Ids: IntoIterator<Item = String>>(message_ids: Ids) -> Self {
        let failures = message_ids.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
        Self { batch_item_failures: failures.collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVENT: &str = r#"{"Records": [
        {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d", "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": "{\"detail\":{}}", "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "7", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO"},
            "messageAttributes": {"reason": {"stringValue": "late", "stringListValues": [], "dataType": "String"}},
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue", "awsRegion": "us-east-2"
        },
        {"messageId": "2e1424d4-f796-459a-8184-9c92662be6da"}
    ]}"#;

    #[test]
    fn message_has_body_handle_count_and_queue() {
        let event: SqsEvent = serde_json::from_str(EVENT).unwrap();
        let [message, bare] = event.records.as_slice() else { panic!("{event:?}") };
        assert_eq!((message.body.as_str(), message.receive_count()), (r#"{"detail":{}}"#, 7));
        assert!(message.receipt_handle.starts_with("AQEB") && message.event_source_arn.ends_with(":my-queue"));
        assert_eq!(message.message_attributes["reason"].string_value.as_deref(), Some("late"));
        assert_eq!((bare.body.as_str(), bare.receive_count()), ("", 1));
    }

    #[test]
    fn debug_output_omits_the_body() {
        let event: SqsEvent = serde_json::from_str(EVENT).unwrap();
        assert!(!format!("{event:?}").contains("detail"));
    }

    #[test]
    fn response_names_the_messages_to_deliver_again() {
        let none = BatchItemFailures::default();
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"batchItemFailures":[]}"#);
        let failed: BatchItemFailures = ["a".to_owned(), "b".to_owned()].into_iter().collect();
        let response = r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#;
        assert_eq!(serde_json::to_string(&failed).unwrap(), response);
        assert_eq!(failed.message_ids().collect::<Vec<_>>(), ["a", "b"]);
    }
}
