#![allow(clippy::panic, clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

#[test]
fn rejected_receipt_is_a_conflict_and_service_failure_is_retryable() {
    let kind = |code: &str, sender_fault| {
        entry_error(BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build().unwrap()).kind()
    };
    assert_eq!(kind("ReceiptHandleIsInvalid", true), PortErrorKind::Conflict);
    assert_eq!(kind("SomethingBroke", false), PortErrorKind::Unavailable);
    assert_eq!(kind("RequestThrottled", true), PortErrorKind::Throttled);
}

/// Returns the receipts of a request, each of which is a number.
fn receipts(request: &Request) -> Vec<usize> {
    let body = request.json();
    let receipt = |entry: &Value| entry["ReceiptHandle"].as_str().unwrap().parse().unwrap();
    body["Entries"].as_array().unwrap().iter().map(receipt).collect()
}

/// Acknowledges 25 messages, whose receipts are the numbers from 0. `respond` responds to the deletion of receipts.
async fn acknowledge(
    respond: impl Fn(&[usize]) -> Response + Send + Sync + 'static,
) -> (Vec<Option<PortErrorKind>>, FakeAws) {
    let fake = FakeAws::new(move |_, request| match request.operation.as_str() {
        "GetQueueUrl" => Response::ok(json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/0/feed" })),
        "DeleteMessageBatch" => respond(&receipts(request)),
        other => panic!("{other} is not expected"),
    });
    let queue = SqsFeedQueue::new(fake.sdk().await.sqs(), "feed-");
    let handles: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    let results = queue.acknowledge(&FleetId::from_random_bits(1), &handles).await;
    (results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect(), fake)
}

/// A response in which the receipts of `failed` fail with the given code.
fn response(receipts: &[usize], failed: &[(usize, &str, bool)]) -> Response {
    let id = |receipt| receipts.iter().position(|each| *each == receipt).map(|index| index.to_string());
    let entries: Vec<Value> = failed
        .iter()
        .filter_map(|(receipt, code, fault)| Some(json!({ "Id": id(*receipt)?, "Code": code, "SenderFault": fault })))
        .collect();
    let is_failed = |receipt: usize| failed.iter().any(|(failed, ..)| *failed == receipt);
    let done = receipts.iter().filter(|receipt| !is_failed(**receipt)).filter_map(|receipt| id(*receipt));
    let done: Vec<Value> = done.map(|id| json!({ "Id": id })).collect();
    Response::ok(json!({ "Successful": done, "Failed": entries }))
}

fn expect(failures: &[(usize, PortErrorKind)]) -> Vec<Option<PortErrorKind>> {
    (0..25).map(|n| failures.iter().find(|(index, _)| *index == n).map(|(_, kind)| *kind)).collect()
}

#[tokio::test]
async fn refused_receipt_is_reported_at_its_index() {
    let failed = [(3, "ReceiptHandleIsInvalid", true), (10, "InternalError", false), (24, "RequestThrottled", true)];
    let (kinds, fake) = acknowledge(move |receipts| {
        let response = response(receipts, &failed);
        if receipts[0] == 0 { response.late() } else { response }
    })
    .await;
    let (conflict, unavailable) = (PortErrorKind::Conflict, PortErrorKind::Unavailable);
    assert_eq!(kinds, expect(&[(3, conflict), (10, unavailable), (24, PortErrorKind::Throttled)]));
    assert_eq!(fake.operations(), ["GetQueueUrl", "DeleteMessageBatch", "DeleteMessageBatch", "DeleteMessageBatch"]);
}

#[tokio::test]
async fn failed_request_fails_only_its_receipts() {
    let (kinds, _) = acknowledge(|receipts| {
        let denied = Response::error(403, json!({ "__type": "AccessDeniedException" }));
        if receipts.contains(&10) { denied } else { response(receipts, &[]) }
    })
    .await;
    let failures: Vec<_> = (10..20).map(|index| (index, PortErrorKind::Rejected)).collect();
    assert_eq!(kinds, expect(&failures));
}
