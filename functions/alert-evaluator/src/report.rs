//! Metrics and logs of a batch.

use roadcast_lambda_kit::kinesis::Batch;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_services::alerts::evaluator::EvaluationOutcome;

/// Records the metrics of a batch, and logs failures.
pub(crate) fn record_outcome(metrics: &Metrics, batch: &Batch, outcome: &EvaluationOutcome) {
    let counts = &outcome.counts;
    let retried = outcome.retry_from.map_or(0, |index| batch.records.len() - index);
    for (metric, count) in [
        (Metric::SamplesEvaluated, counts.samples),
        (Metric::AlertsPublished, counts.alerts),
        (Metric::AlertsHidden, counts.hidden),
        (Metric::SamplesTooLate, counts.too_late),
        (Metric::EvaluationsRestored, counts.restored),
        (Metric::RecordsReadAgain, counts.read_again),
        (Metric::RecordsRetried, retried),
    ] {
        metrics.record(metric, count);
    }
    for error in &outcome.failures {
        let error = logging::error_chain(error);
        tracing::warn!(error, retried, "{retried} records will be retried: {error}");
    }
    for error in &outcome.refused {
        let error = logging::error_chain(error);
        tracing::error!(error, "an alert or a checkpoint is refused, and not retried: {error}");
    }
}
