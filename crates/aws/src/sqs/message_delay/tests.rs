#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Response};

const TELEMETRY: &str = "https://sqs.us-east-1.amazonaws.com/0/roadcast-dev-enrichment-telemetry";
const ALERTS: &str = "https://sqs.us-east-1.amazonaws.com/0/roadcast-dev-enrichment-alerts";

/// Delays `count` messages of a queue by 30 s. Returns the kind of error of each.
async fn delay(fake: &FakeAws, queue: &str, count: usize) -> Vec<Option<PortErrorKind>> {
    let port = SqsMessageDelay::new(fake.sdk().sqs(), [TELEMETRY, ALERTS].map(str::to_owned));
    let message = |n: usize| FailedMessage { receipt_handle: format!("handle {n}"), delay_s: 30 };
    let messages: Vec<FailedMessage> = (0..count).map(message).collect();
    let results = port.delay(&format!("arn:aws:sqs:us-east-1:0:{queue}"), &messages).await;
    results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect()
}

fn response(failed: &[(&str, &str, bool)]) -> Response {
    let entry = |(id, code, fault): &(&str, &str, bool)| json!({ "Id": id, "Code": code, "SenderFault": fault });
    Response::ok(json!({ "Successful": [], "Failed": failed.iter().map(entry).collect::<Vec<Value>>() }))
}

#[tokio::test]
async fn delay_is_set_on_the_queue_that_the_arn_names() {
    let fake = FakeAws::with_responses([response(&[])]);
    assert_eq!(delay(&fake, "roadcast-dev-enrichment-alerts", 2).await, [None, None]);
    let request = &fake.bodies()[0];
    assert_eq!(request["QueueUrl"], ALERTS);
    assert_eq!(request["Entries"][1], json!({ "Id": "1", "ReceiptHandle": "handle 1", "VisibilityTimeout": 30 }));
}

#[tokio::test]
async fn queue_that_is_not_configured_is_an_error_without_a_request() {
    let fake = FakeAws::with_responses([]);
    assert_eq!(delay(&fake, "another", 1).await, [Some(PortErrorKind::Internal)]);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn message_that_is_not_in_flight_needs_no_delay() {
    let failed = [
        ("0", "AWS.SimpleQueueService.MessageNotInflight", true),
        ("1", "ReceiptHandleIsInvalid", true),
        ("2", "InternalError", false),
        ("3", "AccessDenied", true),
    ];
    let fake = FakeAws::with_responses([response(&failed)]);
    let kinds = delay(&fake, "roadcast-dev-enrichment-telemetry", 4).await;
    assert_eq!(kinds, [None, None, Some(PortErrorKind::Unavailable), Some(PortErrorKind::Internal)]);
}

#[tokio::test]
async fn request_holds_at_most_ten_messages() {
    let fake = FakeAws::with_responses([response(&[]), response(&[])]);
    assert_eq!(delay(&fake, "roadcast-dev-enrichment-telemetry", 11).await, [None; 11]);
    assert_eq!(fake.bodies()[1]["Entries"].as_array().unwrap().len(), 1);
}
