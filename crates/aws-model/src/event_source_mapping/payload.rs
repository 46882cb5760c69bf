//! The event that the function is invoked with, and its size.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use roadcast_signals::Timestamp;
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
    envelope_len(record) + record.data.len().div_ceil(3) * 4 + 1
}

/// Returns the size of an event with these records, in bytes.
pub(super) fn event_bytes(records: &[ShardRecord]) -> usize {
    // `record_bytes` counts a comma per record; the event has one fewer.
    envelope_bytes() + records.iter().map(record_bytes).sum::<usize>() - usize::from(!records.is_empty())
}

pub(super) const fn envelope_bytes() -> usize {
    OPEN.len() + CLOSE.len()
}

/// Returns the length of the envelope of a record, without writing it.
fn envelope_len(record: &ShardRecord) -> usize {
    static EMPTY: LazyLock<usize> = LazyLock::new(|| {
        let (at, none) = (Timestamp::from_ms(0), String::new);
        let record =
            ShardRecord { shard: none(), sequence_number: none(), partition_key: none(), arrived_at: at, data: Vec::new() };
        // Without the second, which is one digit.
        envelope(&record, "").len() - 1
    });
    let ShardRecord { shard, sequence_number, partition_key, arrived_at, .. } = record;
    // Two quotes are a part of the empty envelope.
    let key = Value::from(partition_key.as_str()).to_string().len() - 2;
    let seconds = arrived_at.ms().div_euclid(1000);
    let digits = usize::from(seconds < 0) + seconds.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    *EMPTY + key + 2 * sequence_number.len() + shard.len() + digits
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_an_envelope_is_that_of_its_text() {
        for (key, ms) in [("a", 0), ("with \"quotes\"", 9_999), ("veh_1", 1_793_016_000_123)] {
            let record = ShardRecord {
                shard: "shardId-000000000000".to_owned(),
                sequence_number: "4960".to_owned(),
                partition_key: key.to_owned(),
                arrived_at: Timestamp::from_ms(ms),
                data: b"four".to_vec(),
            };
            assert_eq!(envelope_len(&record), envelope(&record, "").len(), "{key}");
            assert_eq!(event_bytes(std::slice::from_ref(&record)), kinesis_event(std::slice::from_ref(&record)).len());
        }
    }
}
