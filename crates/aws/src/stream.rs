//! The telemetry stream: Kinesis.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use roadcast_ports::PortError;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

use crate::backoff;
use crate::per_entry::{EntryFailure, RequestLimits, SharedFailure, requests, too_large};
use crate::sdk_error::{kind_of, kind_of_code};

const PUT: &str = "putting records into the stream";
/// The smallest limits that any stream has: 500 records, and 5 MiB with the keys (newer ones take 10 MiB).
const LIMITS: RequestLimits = RequestLimits { entries: 500, bytes: 5 * 1024 * 1024 };
/// A record with its key, where the stream was not told to take larger ones.
const RECORD_BYTES: usize = 1024 * 1024;
/// The uploader waits meanwhile, and can wait longer better than we can.
const TRIES: u32 = 4;

/// The stream in Kinesis, partitioned by vehicle.
///
/// A record that was throttled is put again after those that were not, so a vehicle's records may change places: events
/// carry their own time, and readers order by that.
#[derive(Clone, Debug)]
pub struct KinesisTelemetryStream {
    client: Client,
    stream: String,
}

impl KinesisTelemetryStream {
    /// The stream of that name.
    pub fn new(client: Client, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into() }
    }

    /// Puts the records at `places`, and again those that failed for reasons that pass.
    async fn put_request(&self, records: &[StreamRecord], places: Vec<usize>, answers: &mut [Result<(), PortError>]) {
        let mut left = places;
        for attempt in 1..=TRIES {
            let mut failed = Vec::new();
            match self.put_once(records, &left).await {
                Err(failure) => {
                    for place in left {
                        answers[place] = Err(failure.to_error());
                    }
                    return;
                }
                Ok(results) => {
                    let results = results.into_iter().map(answer_of).chain(std::iter::repeat_with(|| Err(unanswered())));
                    for (place, answer) in left.into_iter().zip(results) {
                        if answer.as_ref().is_err_and(PortError::is_retryable) {
                            failed.push(place);
                        }
                        answers[place] = answer;
                    }
                }
            }
            if failed.is_empty() {
                return;
            }
            left = failed;
            if attempt < TRIES {
                backoff::wait(attempt + 1).await;
            }
        }
    }

    async fn put_once(
        &self,
        records: &[StreamRecord],
        places: &[usize],
    ) -> Result<Vec<PutRecordsResultEntry>, SharedFailure> {
        let entries = places.iter().map(|place| {
            let record = &records[*place];
            PutRecordsRequestEntry::builder().partition_key(record.vid.as_str()).data(Blob::new(record.data.clone())).build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| SharedFailure::new(kind_of_code("Incomplete"), PUT, error))?;
        let answer = self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send().await;
        match answer {
            Ok(answer) => Ok(answer.records),
            Err(error) => Err(SharedFailure::new(kind_of(&error), PUT, error)),
        }
    }
}

impl TelemetryStream for KinesisTelemetryStream {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        let size = |record: &StreamRecord| record.data.len() + record.vid.as_str().len();
        let mut answers: Vec<Result<(), PortError>> = records
            .iter()
            // One record too large would have the whole request refused.
            .map(|record| if size(record) > RECORD_BYTES { Err(too_large(PUT, size(record), RECORD_BYTES)) } else { Ok(()) })
            .collect();
        let fitting: Vec<usize> = (0..records.len()).filter(|place| answers[*place].is_ok()).collect();
        let sizes: Vec<usize> = fitting.iter().map(|place| size(&records[*place])).collect();
        for request in requests(&sizes, LIMITS) {
            self.put_request(records, fitting[request].to_vec(), &mut answers).await;
        }
        answers
    }
}

fn answer_of(result: PutRecordsResultEntry) -> Result<(), PortError> {
    let Some(code) = result.error_code else { return Ok(()) };
    let kind = kind_of_code(&code);
    Err(EntryFailure { code, message: result.error_message.unwrap_or_default() }.into_error(kind, PUT))
}

fn unanswered() -> PortError {
    let message = "the service answered fewer records than it was given".to_owned();
    EntryFailure { code: "Unanswered".to_owned(), message }.into_error(kind_of_code("InternalFailure"), PUT)
}

#[cfg(test)]
mod tests {
    use roadcast_ports::PortErrorKind;

    use super::*;

    #[test]
    fn a_records_answer_is_its_own_and_says_whether_to_try_again() {
        let failed = |code: &str| answer_of(PutRecordsResultEntry::builder().error_code(code).build()).map_err(|e| e.kind());
        assert_eq!(failed("ProvisionedThroughputExceededException"), Err(PortErrorKind::Throttled));
        assert_eq!(failed("InternalFailure"), Err(PortErrorKind::Unavailable));
        assert_eq!(failed("KMSDisabledException"), Err(PortErrorKind::Rejected));
        assert!(answer_of(PutRecordsResultEntry::builder().sequence_number("1").shard_id("s").build()).is_ok());
    }
}
