//! The event that the function is invoked with, and its size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use roadcast_testbed::ShardRecord;

/// *Polling and batching streams*: a batch is sent when its payload reaches 6 MB. *Lambda quotas*: that is the limit of a
/// synchronous invocation, modelled as 6 MiB.
pub(super) const PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

const OPEN: &str = "{\"Records\":[";
const CLOSE: &str = "]}";

/// Returns the event as the function receives it: JSON, with the data in base64 (*Example event* of the chapter).
pub fn kinesis_event(records: &[ShardRecord]) -> String {
    let records: Vec<String> = records.iter().map(|record| envelope(record, &STANDARD.encode(&record.data))).collect();
    format!("{OPEN}{}{CLOSE}", records.join(","))
}

/// Returns the size of a record in the event in bytes, including its envelope, base64 and a comma.
pub fn record_bytes(record: &ShardRecord) -> usize {
    envelope(record, "").len() + record.data.len().div_ceil(3) * 4 + 1
}

/// Returns the size of an event with these records, in bytes.
pub(super) fn event_bytes(records: &[ShardRecord]) -> usize {
    // `record_bytes` counts a comma per record; the event has one fewer.
    envelope_bytes() + records.iter().map(record_bytes).sum::<usize>() - usize::from(!records.is_empty())
}

pub(super) const fn envelope_bytes() -> usize {
    OPEN.len() + CLOSE.len()
}

fn envelope(record: &ShardRecord, data: &str) -> String {
    let ShardRecord { shard, sequence_number, partition_key, arrived_at, .. } = record;
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
