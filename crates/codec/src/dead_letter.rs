//! Messages of the queue of dead letters, and the failure records that Lambda stores in S3.
//!
//! AWS writes all of them but the quarantine and the failed deliveries of webhooks. A message whose format is not known is a failure of the hop
//! [`Unknown`](Hop::Unknown), so that it is kept like any other.
//!
//! | sender | module | documentation |
//! |---|---|---|
//! | a rule of EventBridge | `rule` | EventBridge user guide, "Using dead-letter queues to process undelivered events" |
//! | SQS, by a redrive policy | `rule` | SQS developer guide, "Using dead-letter queues"; the body is what the rule sent |
//! | Lambda, for an asynchronous invocation | `function` | Lambda developer guide, "Capturing records of Lambda asynchronous invocations" |
//! | Lambda, for a batch of the stream: an object in S3 | `function` | Lambda developer guide, "Retain discarded batch records for a Kinesis Data Streams event source" |
//! | the error action of a topic rule | `device_rule` | IoT Core developer guide, "Error handling (error action)" |
//! | the dispatcher of webhooks, for a delivery that failed | `webhook` | [`failed_delivery`](crate::failed_delivery) |
//! | SQS, by the redrive policy of a queue of webhooks | `webhook` | as above; the body is an entry of the bus, or a task |
//! | SQS, by the redrive policy of the queue of back-tests | `back_test` | as above; the body is a task |
//! | S3, for a created object | `notice` | S3 user guide, "Event message structure" |

mod back_test;
mod device_rule;
mod function;
mod notice;
mod rule;
mod text;
mod webhook;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{Hop, Pointers};
use roadcast_domain::ids::FleetId;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use function::{InvalidFailureRecord, StreamFailure};
pub use notice::{FailureObjectKey, ObjectNotice, QuarantineKey};

/// A message of the queue.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// The id of the message. A message that is delivered again, or that a redrive policy moves, keeps it.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// When it was first sent to a queue.
    pub sent_at: Timestamp,
    /// The ARN of the queue whose redrive policy moved it here.
    pub moved_from: Option<String>,
    /// The attributes that the sender set.
    pub attributes: BTreeMap<String, String>,
}

impl std::fmt::Debug for QueueMessage {
    /// Omits body and attributes, because they may contain personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueMessage").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadMessage {
    /// Something failed, and the message contains it.
    Failure(Box<Failure>),
    /// Objects were stored that contain what failed.
    Objects(Vec<ObjectNotice>),
    /// S3 tests a new notification configuration. Nothing failed.
    TestNotice,
}

/// What failed, where and why.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it failed.
    pub hop: Hop,
    /// Why, as a code.
    pub reason: String,
    /// Why, in words, without personal data.
    pub detail: Option<String>,
    /// The fleet, if known.
    pub fleet_id: Option<FleetId>,
    /// Where it comes from.
    pub pointers: Pointers,
    /// The number of records, events or messages in it; 0 if unknown.
    pub items: u64,
    /// When it failed. The same failure always has the same time.
    pub failed_at: Timestamp,
    /// The time of the first item.
    pub first_at: Timestamp,
    /// The time of the last item.
    pub last_at: Timestamp,
    /// Identifies the failure among those of its hop.
    pub source: String,
    /// The bytes to keep.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Failure {
    /// Omits the bytes, because they may contain personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failure")
            .field("hop", &self.hop)
            .field("reason", &self.reason)
            .field("pointers", &self.pointers)
            .finish_non_exhaustive()
    }
}

impl Failure {
    /// Returns the failure of a message whose format is not known, or which says nothing that can be used.
    pub fn unknown(message: &QueueMessage, reason: &str) -> Self {
        Self {
            hop: Hop::Unknown,
            reason: reason.to_owned(),
            detail: None,
            fleet_id: None,
            pointers: Pointers {
                source: message.moved_from.as_deref().map(text::pointer),
                message_id: Some(text::pointer(&message.message_id)),
                ..Pointers::default()
            },
            items: 1,
            failed_at: message.sent_at,
            first_at: message.sent_at,
            last_at: message.sent_at,
            source: message.message_id.clone(),
            bytes: message.body.clone().into_bytes(),
        }
    }
}

/// The members by which the formats differ.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    #[serde(default, rename = "Records")]
    records: Option<IgnoredAny>,
    #[serde(default, rename = "Event")]
    event: Option<IgnoredAny>,
    #[serde(default)]
    request_payload: Option<IgnoredAny>,
    #[serde(default)]
    base64_original_payload: Option<IgnoredAny>,
    #[serde(default)]
    record_type: Option<IgnoredAny>,
}

impl DeadMessage {
    /// Returns what the message means. Any message has a meaning: that of an unknown format is a failure of an unknown hop.
    pub fn parse(message: &QueueMessage) -> Self {
        let failure = rule::sent_by_rule(message)
            .or_else(|| rule::moved_from_queue(message))
            .or_else(|| rule::moved_from_notices(message))
            .or_else(|| webhook::moved_from_queue(message))
            .or_else(|| back_test::moved_from_queue(message))
            .map(|failure| Self::Failure(Box::new(failure)));
        failure.or_else(|| parse_body(message, message.body.as_bytes())).unwrap_or_else(|| {
            // An error action can be configured to send base64.
            let decoded = STANDARD.decode(message.body.trim()).ok();
            let parsed = decoded.and_then(|bytes| parse_body(message, &bytes));
            parsed.unwrap_or_else(|| Self::Failure(Box::new(Failure::unknown(message, "unknown_format"))))
        })
    }
}

fn parse_body(message: &QueueMessage, body: &[u8]) -> Option<DeadMessage> {
    let form: Form = serde_json::from_slice(body).ok()?;
    match form {
        Form { base64_original_payload: Some(_), .. } => {
            device_rule::parse(message, body).map(|failure| DeadMessage::Failure(Box::new(failure)))
        }
        Form { request_payload: Some(_), .. } => {
            function::asynchronous(message, body).map(|failure| DeadMessage::Failure(Box::new(failure)))
        }
        Form { record_type: Some(_), .. } => {
            webhook::failed_delivery(message, body).map(|failure| DeadMessage::Failure(Box::new(failure)))
        }
        Form { records: Some(_), .. } => notice::parse(body).map(DeadMessage::Objects),
        Form { event: Some(_), .. } => notice::is_test(body).then_some(DeadMessage::TestNotice),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
