#![allow(clippy::panic, clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

#[test]
fn long_poll_ends_within_the_remaining_time() {
    let within = |wait_s, remaining_ms| {
        let LongPoll { wait_s, attempt_timeout } = LongPoll::within(wait_s, Duration::from_millis(remaining_ms));
        (wait_s, attempt_timeout.as_millis())
    };
    assert_eq!(within(20, 24_000), (20, 24_000));
    assert_eq!(within(20, 60_000), (20, 24_000));
    assert_eq!(within(20, 23_999), (19, 23_000));
    assert_eq!(within(20, 1_500_000), (20, 24_000));
    assert_eq!(within(255, 60_000), (20, 24_000));
    assert_eq!(within(20, 3_000), (0, 3_000));
    assert_eq!(within(0, 60_000), (0, 4_000));
    assert_eq!(within(20, 0), (0, 0));
}

/// Receives with the longest wait, from a fake that never responds to `operation`. Returns the error, the duration and the
/// number of receive requests.
async fn receive_without_response(operation: &'static str, timeout: Duration) -> (PortErrorKind, Duration, usize) {
    let fake = FakeAws::new(move |_, request| match request.operation.as_str() {
        hanging if hanging == operation => Response::ok("{}").after(Duration::from_hours(1)),
        "GetQueueUrl" => Response::ok(json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/0/feed" })),
        other => panic!("{other} is not expected"),
    });
    let queue = SqsFeedQueue::new(fake.sdk().sqs(), "feed-");
    let started = Instant::now();
    let options = ReceiveOptions { max: 10, wait_s: 20, timeout };
    let error = queue.receive(&FleetId::from_random_bits(1), options).await.unwrap_err();
    let receives = fake.operations().iter().filter(|operation| *operation == "ReceiveMessage").count();
    (error.kind(), started.elapsed(), receives)
}

#[tokio::test]
async fn receive_without_response_ends_after_one_attempt() {
    let timeout = Duration::from_millis(300);
    let (kind, elapsed, receives) = receive_without_response("ReceiveMessage", timeout).await;
    assert_eq!((kind, receives), (PortErrorKind::TimedOut, 1));
    assert!((timeout..timeout * 4).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn queue_look_up_without_response_ends_within_the_timeout() {
    let timeout = Duration::from_millis(300);
    let (kind, elapsed, receives) = receive_without_response("GetQueueUrl", timeout).await;
    assert_eq!((kind, receives), (PortErrorKind::TimedOut, 0));
    assert!((timeout..timeout * 4).contains(&elapsed), "{elapsed:?}");
}

/// Returns the handles of a request, each of which is a number.
fn handles(request: &Request) -> Vec<usize> {
    let body = request.json();
    let handle = |entry: &Value| entry["ReceiptHandle"].as_str().unwrap().parse().unwrap();
    body["Entries"].as_array().unwrap().iter().map(handle).collect()
}

/// Acknowledges 25 messages, whose handles are the numbers from 0. `respond` responds to the deletion of handles.
async fn acknowledge(
    respond: impl Fn(&[usize]) -> Response + Send + Sync + 'static,
) -> (Vec<Option<PortErrorKind>>, FakeAws) {
    let fake = FakeAws::new(move |_, request| match request.operation.as_str() {
        "GetQueueUrl" => Response::ok(json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/0/feed" })),
        "DeleteMessageBatch" => respond(&handles(request)),
        other => panic!("{other} is not expected"),
    });
    let queue = SqsFeedQueue::new(fake.sdk().sqs(), "feed-");
    let handles: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    let results = queue.acknowledge(&FleetId::from_random_bits(1), &handles).await;
    (results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect(), fake)
}

/// A response in which the handles of `failed` fail with the given code.
fn response(handles: &[usize], failed: &[(usize, &str, bool)]) -> Response {
    let id = |handle| handles.iter().position(|each| *each == handle).map(|index| index.to_string());
    let entries: Vec<Value> = failed
        .iter()
        .filter_map(|(handle, code, fault)| Some(json!({ "Id": id(*handle)?, "Code": code, "SenderFault": fault })))
        .collect();
    let is_failed = |handle: usize| failed.iter().any(|(failed, ..)| *failed == handle);
    let done = handles.iter().filter(|handle| !is_failed(**handle)).filter_map(|handle| id(*handle));
    let done: Vec<Value> = done.map(|id| json!({ "Id": id })).collect();
    Response::ok(json!({ "Successful": done, "Failed": entries }))
}

fn expect(failures: &[(usize, PortErrorKind)]) -> Vec<Option<PortErrorKind>> {
    (0..25).map(|n| failures.iter().find(|(index, _)| *index == n).map(|(_, kind)| *kind)).collect()
}

#[tokio::test]
async fn failed_handle_is_reported_at_its_index() {
    let failed = [
        (3, "ReceiptHandleIsInvalid", true),
        (9, "AccessDenied", true),
        (10, "InternalError", false),
        (24, "RequestThrottled", true),
    ];
    let (kinds, fake) = acknowledge(move |handles| {
        let response = response(handles, &failed);
        if handles[0] == 0 { response.late() } else { response }
    })
    .await;
    let (internal, unavailable) = (PortErrorKind::Internal, PortErrorKind::Unavailable);
    assert_eq!(kinds, expect(&[(9, internal), (10, unavailable), (24, PortErrorKind::Throttled)]));
    assert_eq!(fake.operations(), ["GetQueueUrl", "DeleteMessageBatch", "DeleteMessageBatch", "DeleteMessageBatch"]);
}

#[tokio::test]
async fn failed_request_fails_only_its_handles() {
    let (kinds, _) = acknowledge(|handles| {
        let denied = Response::error(403, json!({ "__type": "AccessDeniedException" }));
        if handles.contains(&10) { denied } else { response(handles, &[]) }
    })
    .await;
    let failures: Vec<_> = (10..20).map(|index| (index, PortErrorKind::Internal)).collect();
    assert_eq!(kinds, expect(&failures));
}
