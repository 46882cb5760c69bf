//! Metrics and logs of a batch.

use std::sync::{Mutex, PoisonError};

use roadcast_lambda_kit::kinesis::Batch;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_services::alerts::evaluator::{EvaluationCounts, EvaluationOutcome};

/// How long counts of batches in which nothing happened are summed. There is a batch each second, and each line costs as much as
/// the invocation.
const SUMMED_MS: i64 = 60 * 1000;

/// The counts that are not in the log yet. Those of the last minute of an instance are lost.
#[derive(Debug, Default)]
pub(crate) struct Report(Mutex<Summed>);

#[derive(Debug, Default)]
struct Summed {
    counts: EvaluationCounts,
    /// When counts were written, in milliseconds since 1970.
    written_at_ms: Option<i64>,
}

impl Summed {
    /// Adds the counts of a batch. Returns the counts to write, if something happened or a minute has passed.
    fn add(&mut self, counts: EvaluationCounts, retried: usize, now_ms: i64) -> Option<EvaluationCounts> {
        self.counts.add(counts);
        let nothing = EvaluationCounts { samples: counts.samples, ..EvaluationCounts::default() };
        let is_recent = self.written_at_ms.is_some_and(|written_at_ms| now_ms - written_at_ms < SUMMED_MS);
        if retried == 0 && counts == nothing && is_recent {
            return None;
        }
        self.written_at_ms = Some(now_ms);
        Some(std::mem::take(&mut self.counts))
    }
}

/// Records the metrics of a batch, and logs failures.
pub(crate) fn record_outcome(metrics: &Metrics, report: &Report, batch: &Batch, outcome: &EvaluationOutcome, now_ms: i64) {
    let retried = outcome.retry_from.map_or(0, |index| batch.records.len() - index);
    let summed = report.0.lock().unwrap_or_else(PoisonError::into_inner).add(outcome.counts, retried, now_ms);
    if let Some(counts) = summed {
        for (metric, count) in [
            (Metric::SamplesEvaluated, counts.samples),
            (Metric::AlertsPublished, counts.alerts),
            (Metric::AlertsRaised, counts.raised),
            (Metric::AlertsWithdrawn, counts.withdrawn),
            (Metric::AlertsLate, counts.late),
            (Metric::AlertsHidden, counts.hidden),
            (Metric::SamplesTooLate, counts.too_late),
            (Metric::EvaluationsRestored, counts.restored),
            (Metric::RecordsReadAgain, counts.read_again),
            (Metric::RecordsRetried, retried),
        ] {
            metrics.record(metric, count);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_in_which_nothing_happened_are_summed_for_a_minute() {
        let mut summed = Summed::default();
        let samples = |samples| EvaluationCounts { samples, ..EvaluationCounts::default() };
        assert_eq!(summed.add(samples(1), 0, 0), Some(samples(1)));
        assert_eq!(summed.add(samples(2), 0, SUMMED_MS - 1), None);
        assert_eq!(summed.add(samples(3), 0, SUMMED_MS), Some(samples(5)));
        let alert = EvaluationCounts { alerts: 1, ..samples(4) };
        assert_eq!(summed.add(alert, 0, SUMMED_MS + 1), Some(alert));
        assert_eq!(summed.add(samples(5), 1, SUMMED_MS + 2), Some(samples(5)));
    }
}
