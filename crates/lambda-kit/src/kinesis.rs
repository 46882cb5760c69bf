//! Batches of Kinesis records, and the response that names the record to retry from.
//!
//! Each record is decoded on its own. A record that cannot be decoded keeps its bytes as received, so that it is archived
//! and quarantined like any other invalid record and never blocks the others.

mod usual_form;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_domain::Timestamp;
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::RawRecord;
pub use roadcast_services::stream::Record;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A batch of one shard, as the event source mapping sends it; with the member `redriveId` from a redrive.
///
/// The records are decoded when the event is read, so that each is copied once, in its decoded form.
#[derive(Debug)]
pub struct KinesisEvent {
    records: Vec<DecodedRecord>,
    redrive_id: Option<String>,
}

/// A record without an arrival time if it has none.
#[derive(Debug, PartialEq)]
struct DecodedRecord {
    record: Record,
    has_arrival_time: bool,
    is_readable: bool,
}

impl<'de> Deserialize<'de> for KinesisEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow, rename = "Records")]
            records: Vec<&'a RawValue>,
            #[serde(default, rename = "redriveId")]
            redrive_id: Option<String>,
        }
        let Event { records, redrive_id } = Event::deserialize(deserializer)?;
        Ok(Self { records: records.into_iter().map(decode).collect(), redrive_id })
    }
}

/// The records of a batch, in order.
#[derive(Debug)]
pub struct Batch {
    /// All records, including the unreadable ones.
    pub records: Vec<Record>,
    /// The number of unreadable records. Their `raw.data` is the undecoded content of the envelope.
    pub unreadable: usize,
    /// The redrive that invokes the function with these records; `None` if the event source mapping does.
    pub redrive_id: Option<String>,
}

/// The envelope of a record. Almost every member is optional: a missing member must not make the rest unreadable.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    kinesis: Inner<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    #[serde(borrow, default)]
    partition_key: Cow<'a, str>,
    #[serde(borrow, default)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    /// Seconds since the Unix epoch, with a fraction.
    approximate_arrival_timestamp: Option<f64>,
}

impl KinesisEvent {
    /// Returns the records. `now` is the arrival time of records that have none.
    pub fn into_batch(self, now: Timestamp) -> Batch {
        let unreadable = self.records.iter().filter(|decoded| !decoded.is_readable).count();
        let record = |DecodedRecord { mut record, has_arrival_time, .. }| {
            if !has_arrival_time {
                Arc::make_mut(&mut record.raw).arrived_at = now;
            }
            record
        };
        Batch { records: self.records.into_iter().map(record).collect(), unreadable, redrive_id: self.redrive_id }
    }
}

/// Decodes the record of an envelope of any form.
fn decode(envelope: &RawValue) -> DecodedRecord {
    if let Some(decoded) = usual_form::decode(envelope.get()) {
        return decoded;
    }
    if let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(envelope.get()) {
        return envelope.decode();
    }
    let (sequence_number, partition_key) = (String::new(), String::new());
    let (arrived_at, data) = (Timestamp::default(), envelope.get().as_bytes().to_vec());
    let raw = RawRecord { sequence_number, partition_key, arrived_at, data };
    DecodedRecord { record: Record { shard: String::new(), raw: raw.into() }, has_arrival_time: false, is_readable: false }
}

impl Envelope<'_> {
    fn decode(self) -> DecodedRecord {
        let Self { event_id, kinesis } = self;
        // "shardId-000000000006:4959…": no other member contains the shard.
        let (shard, sequence_in_id) = event_id.split_once(':').unwrap_or_default();
        let (data, is_readable) = match base64_simd::STANDARD.decode_to_vec(kinesis.data.as_bytes()) {
            Ok(data) => (data, true),
            Err(_) => (kinesis.data.into_owned().into_bytes(), false),
        };
        let sequence_number = if kinesis.sequence_number.is_empty() {
            sequence_in_id.to_owned()
        } else {
            kinesis.sequence_number.into_owned()
        };
        let arrived_at = kinesis.approximate_arrival_timestamp.and_then(from_seconds);
        let raw = RawRecord {
            sequence_number,
            partition_key: kinesis.partition_key.into_owned(),
            arrived_at: arrived_at.unwrap_or_default(),
            data,
        };
        let record = Record { shard: shard.to_owned(), raw: raw.into() };
        DecodedRecord { record, has_arrival_time: arrived_at.is_some(), is_readable }
    }
}

/// Converts seconds since the Unix epoch to the nearest millisecond. None if out of range.
fn from_seconds(seconds: f64) -> Option<Timestamp> {
    let ms = (seconds * 1000.0).round();
    // Within ±2^53 the conversion is exact.
    #[allow(clippy::cast_possible_truncation)]
    (ms.abs() <= 9_007_199_254_740_992.0).then(|| Timestamp::from_ms(ms as i64))
}

/// The response: the event source mapping continues after the batch, or retries from the named record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
    /// The samples that are quarantined, by reason. Only for a redrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined: Option<BTreeMap<Reason, usize>>,
}

impl BatchResponse {
    /// Adds the number of quarantined samples by reason, which a redrive needs.
    #[must_use]
    pub fn with_quarantined(self, quarantined: BTreeMap<Reason, usize>) -> Self {
        Self { quarantined: Some(quarantined), ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Returns the response that retries the record with the given sequence number and all records after it. `None`: the batch
/// succeeded.
///
/// An empty sequence number retries the entire batch.
pub fn batch_response(lowest_failed: Option<&str>) -> BatchResponse {
    let failures = lowest_failed.map(|sequence| BatchItemFailure { item_identifier: sequence.to_owned() });
    BatchResponse { batch_item_failures: failures.into_iter().collect(), quarantined: None }
}

/// Returns the response that retries `records` from `index` on. `None`: the batch succeeded.
///
/// If the record at `index` has no sequence number, the nearest earlier one that has is used: a repeated record has one
/// effect, a skipped record is lost. If there is none, the entire batch is retried.
pub fn retry_from(records: &[Record], index: Option<usize>) -> BatchResponse {
    let Some(index) = index else { return batch_response(None) };
    let upto = records.get(..=index).unwrap_or(records);
    let sequence = upto.iter().rev().map(|record| record.raw.sequence_number.as_str()).find(|text| !text.is_empty());
    batch_response(Some(sequence.unwrap_or_default()))
}

/// Returns the response to a batch. `None`: the batch succeeded. Fails if records must be retried and `partial_responses` is
/// false, because the event source mapping ignores the response then: it repeats the entire batch. Records that were processed
/// are processed again, without effect.
pub fn answer(
    records: &[Record],
    index: Option<usize>,
    partial_responses: bool,
) -> Result<BatchResponse, lambda_runtime::Error> {
    match index {
        Some(index) if !partial_responses => {
            Err(format!("record {index} of {} cannot be processed yet; the entire batch is repeated", records.len()).into())
        }
        _ => Ok(retry_from(records, index)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BATCH: &str = include_str!("../tests/fixtures/kinesis-batch.json");
    const NOW: Timestamp = Timestamp::from_ms(42);

    fn batch() -> Batch {
        serde_json::from_str::<KinesisEvent>(BATCH).unwrap().into_batch(NOW)
    }

    #[test]
    fn record_has_shard_sequence_number_time_and_bytes() {
        let record = &batch().records[0];
        assert_eq!(record.shard, "shardId-000000000006");
        assert_eq!(record.raw.partition_key, "veh_8kq2m4x0c7r1v5zt");
        assert_eq!(record.raw.sequence_number, "49590338271490256608559692538361571095921575989136588898");
        assert_eq!(record.raw.arrived_at, Timestamp::from_ms(1_795_162_507_477));
        assert_eq!(record.raw.data, br#"{"id":"a"}"#);
    }

    #[test]
    fn bad_record_keeps_index_and_bytes_and_affects_no_other() {
        let Batch { records, unreadable, .. } = batch();
        assert_eq!((records.len(), unreadable), (4, 2));
        assert_eq!(records[1].raw.data, b"not base64!");
        assert_eq!(records[1].shard, "shardId-000000000006");
        assert_eq!(records[2].raw.data, br#""not even an object""#);
        assert_eq!((records[3].raw.data.as_slice(), records[3].raw.arrived_at), (b"{}".as_slice(), NOW));
    }

    #[test]
    fn response_names_the_record_to_retry_from() {
        assert_eq!(serde_json::to_string(&batch_response(None)).unwrap(), r#"{"batchItemFailures":[]}"#);
        assert_eq!(
            serde_json::to_string(&batch_response(Some("17"))).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"17"}]}"#
        );
    }

    #[test]
    fn invocation_fails_if_partial_responses_are_ignored() {
        let records = batch().records;
        assert!(answer(&records, Some(1), false).unwrap_err().to_string().contains("record 1 of 4"));
        assert_eq!(answer(&records, None, false).unwrap(), batch_response(None));
    }

    #[test]
    fn partial_response_names_the_record_to_retry_from() {
        let records = batch().records;
        assert_eq!(answer(&records, Some(0), true).unwrap(), retry_from(&records, Some(0)));
        assert_eq!(answer(&records, None, true).unwrap(), batch_response(None));
    }

    #[test]
    fn record_without_sequence_number_retries_from_the_one_before() {
        let records = batch().records;
        assert_eq!(retry_from(&records, None), batch_response(None));
        assert_eq!(retry_from(&records, Some(3)), batch_response(Some(&records[3].raw.sequence_number)));
        assert_eq!(retry_from(&records, Some(2)), batch_response(Some(&records[1].raw.sequence_number)));
        assert_eq!(retry_from(&records[2..3], Some(0)), batch_response(Some("")));
    }
}
