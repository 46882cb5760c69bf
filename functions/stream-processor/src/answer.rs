//! The result of an invocation if records must be retried.

use lambda_runtime::Error;
use roadcast_lambda_kit::kinesis::{self, BatchResponse, Record};
use roadcast_services::stream::BatchOutcome;

/// Returns the response to a batch. `None`: the batch succeeded. Fails if records must be retried and `partial_responses` is
/// false, because the event source mapping ignores the response then: it repeats the entire batch. Records that were processed
/// are processed again, without effect.
pub(crate) fn answer(
    records: &[Record],
    retry_from: Option<usize>,
    partial_responses: bool,
) -> Result<BatchResponse, Error> {
    match retry_from {
        Some(index) if !partial_responses => {
            Err(format!("record {index} of {} cannot be processed yet; the entire batch is repeated", records.len()).into())
        }
        _ => Ok(kinesis::retry_from(records, retry_from)),
    }
}

/// Returns the response to a redrive, which calls the function itself and reads what is quarantined again.
pub(crate) fn redrive_answer(records: &[Record], outcome: BatchOutcome) -> BatchResponse {
    kinesis::retry_from(records, outcome.retry_from).with_quarantined(outcome.counts.samples_quarantined)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use roadcast_aws::SystemClock;
    use roadcast_ports::archive::RawRecord;
    use roadcast_ports::clock::Clock as _;

    fn records() -> Vec<Record> {
        let record = |number: u32| Record {
            shard: "shardId-0".to_owned(),
            raw: RawRecord {
                sequence_number: number.to_string(),
                partition_key: String::new(),
                arrived_at: SystemClock.now(),
                data: Vec::new(),
            }
            .into(),
        };
        (0..3).map(record).collect()
    }

    #[test]
    fn invocation_fails_if_partial_responses_are_ignored() {
        let records = records();
        assert!(answer(&records, Some(1), false).unwrap_err().to_string().contains("record 1 of 3"));
        assert_eq!(answer(&records, None, false).unwrap(), kinesis::batch_response(None));
    }

    #[test]
    fn partial_response_names_the_record_to_retry_from() {
        let records = records();
        assert_eq!(answer(&records, Some(1), true).unwrap(), kinesis::batch_response(Some("1")));
        assert_eq!(answer(&records, None, true).unwrap(), kinesis::batch_response(None));
    }
}
