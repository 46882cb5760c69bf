//! The result of an invocation.

use roadcast_lambda_kit::kinesis::{self, BatchResponse, Record};
use roadcast_services::stream::BatchOutcome;

/// Returns the response to a redrive, which calls the function itself and reads what is quarantined again.
pub(crate) fn redrive_answer(records: &[Record], outcome: BatchOutcome) -> BatchResponse {
    kinesis::retry_from(records, outcome.retry_from).with_quarantined(outcome.counts.samples_quarantined)
}
