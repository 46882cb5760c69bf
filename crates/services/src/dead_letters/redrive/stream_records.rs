//! Records of the stream in the form in which the event source mapping sends them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_codec::dead_letter::StreamFailure;
use roadcast_ports::archive::ArchivedRecord;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::entry_packing::group_within;

/// The largest number of records of one invocation.
const BATCH_RECORDS: usize = 100;
/// The largest number of bytes of one invocation, unless a single record is larger. Lambda accepts 6 MB. Smaller invocations end
/// before the response to the redrive is due.
const BATCH_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct KinesisBatch<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// Returns the records of the payload of an invocation record.
pub(super) fn of_failed_invocation(bytes: &[u8]) -> Option<Vec<String>> {
    let text = StreamFailure::payload(bytes).ok()?;
    let batch: KinesisBatch<'_> = serde_json::from_str(&text).ok()?;
    Some(batch.records.into_iter().map(|record| record.get().to_owned()).collect())
}

/// Returns an archived record as the event source mapping sent it.
pub(super) fn of_archive(record: &ArchivedRecord) -> String {
    let ArchivedRecord { shard, raw } = record;
    // Exact: the milliseconds of any date have far less than 53 bits, and the reader rounds to milliseconds.
    #[allow(clippy::cast_precision_loss)]
    let seconds = raw.arrived_at.ms() as f64 / 1000.0;
    json!({
        "eventID": format!("{shard}:{}", raw.sequence_number),
        "kinesis": {
            "partitionKey": raw.partition_key,
            "sequenceNumber": raw.sequence_number,
            "data": STANDARD.encode(&raw.data),
            "approximateArrivalTimestamp": seconds,
        },
    })
    .to_string()
}

/// Divides records into invocations, in order.
pub(super) fn into_batches(records: Vec<String>) -> Vec<Vec<String>> {
    group_within(records, BATCH_RECORDS, BATCH_BYTES, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_of_an_invocation_record_is_a_text_or_an_object() {
        let records = r#"{"Records":[{"eventID":"s:1"},{"eventID":"s:2"}]}"#;
        let text = json!({"requestContext": {}, "payload": records}).to_string();
        let object = format!(r#"{{"payload":{records}}}"#);
        for bytes in [text, object] {
            assert_eq!(of_failed_invocation(bytes.as_bytes()).unwrap(), [r#"{"eventID":"s:1"}"#, r#"{"eventID":"s:2"}"#]);
        }
        for bytes in ["", "{}", r#"{"payload":"x"}"#, r#"{"payload":null}"#, r#"{"payload":{"Records":1}}"#] {
            assert_eq!(of_failed_invocation(bytes.as_bytes()), None, "{bytes}");
        }
    }

    #[test]
    fn invocations_are_bounded_and_keep_the_order() {
        let records: Vec<String> = (0..250).map(|n| n.to_string()).collect();
        let batches = into_batches(records.clone());
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(batches.concat(), records);
        let large: Vec<String> = [700_000, 400_000, 2_000_000, 1].map(|bytes| "x".repeat(bytes)).into();
        assert_eq!(into_batches(large).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert!(into_batches(Vec::new()).is_empty());
    }
}
