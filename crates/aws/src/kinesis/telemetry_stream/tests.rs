#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::VehicleId;
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Response};

fn record(n: u128) -> StreamRecord {
    StreamRecord { vid: VehicleId::from_random_bits(n), data: b"{}".to_vec() }
}

fn stored() -> Value {
    json!({ "SequenceNumber": "1", "ShardId": "shardId-000000000000" })
}

fn failed(code: &str) -> Value {
    json!({ "ErrorCode": code, "ErrorMessage": "refused" })
}

fn throttled() -> Value {
    failed("ProvisionedThroughputExceededException")
}

fn response(results: impl Into<Vec<Value>>) -> Response {
    Response::ok(json!({ "FailedRecordCount": 0, "Records": results.into() }))
}

/// Puts the records. Returns the kind of error of each, and which records each request contained.
async fn put(fake: &FakeAws, records: &[StreamRecord]) -> (Vec<Option<PortErrorKind>>, Vec<Vec<usize>>) {
    let stream = KinesisTelemetryStream::new(fake.sdk().kinesis(), "telemetry");
    let results = stream.put(records).await;
    let index = |entry: &Value| records.iter().position(|record| entry["PartitionKey"] == record.vid.as_str()).unwrap();
    let sent = |body: &Value| body["Records"].as_array().unwrap().iter().map(index).collect();
    let kinds = results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect();
    (kinds, fake.bodies().iter().map(sent).collect())
}

#[test]
fn record_result_is_classified_by_its_own_error_code() {
    let failed = |code: &str| record_result(PutRecordsResultEntry::builder().error_code(code).build()).map_err(|e| e.kind());
    assert_eq!(failed("ProvisionedThroughputExceededException"), Err(PortErrorKind::Throttled));
    assert_eq!(failed("InternalFailure"), Err(PortErrorKind::Unavailable));
    assert_eq!(failed("KMSDisabledException"), Err(PortErrorKind::Internal));
    assert!(record_result(PutRecordsResultEntry::builder().sequence_number("1").shard_id("s").build()).is_ok());
}

#[tokio::test]
async fn throttled_record_is_retried_alone() {
    let fake = FakeAws::with_responses([response([stored(), throttled(), stored()]), response([stored()])]);
    let (kinds, sent) = put(&fake, &[1, 2, 3].map(record)).await;
    assert_eq!(kinds, [None; 3]);
    assert_eq!(sent, [vec![0, 1, 2], vec![1]]);
}

#[tokio::test]
async fn refused_record_is_reported_at_its_index() {
    let first = response([throttled(), failed("KMSDisabledException"), stored(), failed("InternalFailure")]);
    let fake = FakeAws::with_responses([first, response([stored(), failed("KMSDisabledException")])]);
    let (kinds, sent) = put(&fake, &[1, 2, 3, 4].map(record)).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Internal), None, Some(PortErrorKind::Internal)]);
    assert_eq!(sent, [vec![0, 1, 2, 3], vec![0, 3]], "a record that is refused for good is not retried");
}

#[tokio::test]
async fn retries_end_after_four_attempts() {
    let fake = FakeAws::new(|number, _| response(if number == 0 { vec![stored(), throttled()] } else { vec![throttled()] }));
    let (kinds, sent) = put(&fake, &[1, 2].map(record)).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Throttled)]);
    assert_eq!(sent, [vec![0, 1], vec![1], vec![1], vec![1]]);
}

#[tokio::test]
async fn record_without_a_result_is_retried() {
    let fake = FakeAws::with_responses([response([stored()]), response([stored()])]);
    let (kinds, sent) = put(&fake, &[1, 2].map(record)).await;
    assert_eq!(kinds, [None; 2]);
    assert_eq!(sent, [vec![0, 1], vec![1]]);
}

#[tokio::test]
async fn failed_request_fails_only_its_records() {
    let denied = Response::error(400, json!({ "__type": "AccessDeniedException", "message": "no" }));
    let fake = FakeAws::with_responses([response([stored(), throttled(), stored()]), denied]);
    let (kinds, sent) = put(&fake, &[1, 2, 3].map(record)).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Internal), None]);
    assert_eq!(sent.len(), 2);
}

#[tokio::test]
async fn oversized_record_does_not_shift_the_other_results() {
    let mut records = [1, 2, 3, 4].map(record);
    records[1].data = vec![b' '; 1024 * 1024];
    let fake = FakeAws::with_responses([response([stored(), throttled(), stored()]), response([failed("Refused")])]);
    let (kinds, sent) = put(&fake, &records).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Rejected), Some(PortErrorKind::Internal), None]);
    assert_eq!(sent, [vec![0, 2, 3], vec![2]], "an oversized record is not sent");
}

#[tokio::test]
async fn request_with_a_refused_record_is_sent_again_in_halves() {
    let fake = FakeAws::new(|_, request| {
        let body = request.json();
        let records = body["Records"].as_array().unwrap();
        if records.iter().any(|entry| entry["PartitionKey"] == record(3).vid.as_str()) {
            let message = "Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or \
                           equal to 1048576";
            return Response::error(400, json!({ "__type": "ValidationException", "message": message }));
        }
        response(vec![stored(); records.len()])
    });
    let (kinds, sent) = put(&fake, &[1, 2, 3, 4, 5].map(record)).await;
    assert_eq!(kinds, [None, None, Some(PortErrorKind::Rejected), None, None]);
    assert_eq!(sent, [vec![0, 1, 2, 3, 4], vec![0, 1], vec![2, 3, 4], vec![2], vec![3, 4]]);
}
