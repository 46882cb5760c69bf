//! The event that the function is called with, and its size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use roadcast_testbed::StreamRecordIn;

/// *Polling and batching streams*: a batch is sent when its payload reaches 6 MB. *Lambda quotas*: that is the limit of a
/// synchronous call, taken here as 6 MiB.
pub(super) const PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

const OPEN: &str = "{\"Records\":[";
const CLOSE: &str = "]}";

/// The event as the function gets it: JSON, the data in base64 (*Example event* of the chapter).
pub fn kinesis_event(records: &[StreamRecordIn]) -> String {
    let records: Vec<String> = records.iter().map(|record| envelope(record, &STANDARD.encode(&record.data))).collect();
    format!("{OPEN}{}{CLOSE}", records.join(","))
}

/// Bytes that a record takes in the event, with its envelope, base64 and a comma.
pub fn record_bytes(record: &StreamRecordIn) -> usize {
    envelope(record, "").len() + record.data.len().div_ceil(3) * 4 + 1
}

/// Bytes of an event of these records.
pub(super) fn event_bytes(records: &[StreamRecordIn]) -> usize {
    // As many commas as records, less one.
    envelope_bytes() + records.iter().map(record_bytes).sum::<usize>() - usize::from(!records.is_empty())
}

pub(super) const fn envelope_bytes() -> usize {
    OPEN.len() + CLOSE.len()
}

fn envelope(record: &StreamRecordIn, data: &str) -> String {
    let StreamRecordIn { shard, sequence_number, partition_key, arrived_at, .. } = record;
    let key = Value::from(partition_key.as_str());
    let (s, ms) = (arrived_at.ms().div_euclid(1000), arrived_at.ms().rem_euclid(1000));
    format!(
        "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":{key},\"sequenceNumber\":\"{sequence_number}\",\
         \"data\":\"{data}\",\"approximateArrivalTimestamp\":{s}.{ms:03}}},\"eventSource\":\"aws:kinesis\",\
         \"eventVersion\":\"1.0\",\"eventID\":\"{shard}:{sequence_number}\",\"eventName\":\"aws:kinesis:record\",\
         \"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/roadcast-test-stream-processor\",\
         \"awsRegion\":\"us-east-1\",\
         \"eventSourceARN\":\"arn:aws:kinesis:us-east-1:123456789012:stream/roadcast-test-telemetry\"}}"
    )
}
