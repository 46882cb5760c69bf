//! Metrics and logs of a batch.

use roadcast_lambda_kit::kinesis::Batch;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_services::stream::BatchOutcome;

/// Records the metrics of a batch, and logs failures and quarantined samples.
pub(crate) fn record_outcome(metrics: &Metrics, batch: &Batch, outcome: &BatchOutcome) {
    let counts = &outcome.counts;
    let quarantined: usize = counts.samples_quarantined.values().sum();
    let rejected: usize = counts.signals_rejected.values().sum();
    let retried = outcome.retry_from.map_or(0, |index| batch.records.len() - index);
    for (metric, count) in [
        (Metric::SamplesReceived, counts.samples_received),
        (Metric::SamplesStored, counts.samples_stored),
        (Metric::SamplesQuarantined, quarantined),
        (Metric::SignalsRejected, rejected),
        (Metric::SamplesErased, counts.samples_erased),
        (Metric::EventsDeduplicated, counts.events_deduplicated),
        (Metric::EntriesPublished, counts.entries_published),
        (Metric::RecordsUnreadable, batch.unreadable),
        (Metric::RecordsRetried, retried),
    ] {
        metrics.record(metric, count);
    }
    for error in &outcome.failures {
        let error = logging::error_chain(error);
        tracing::warn!(error, retried, "{retried} records will be retried: {error}");
    }
    for error in &outcome.quarantine_causes {
        let error = logging::error_chain(error);
        tracing::warn!(error, "an event is quarantined: {error}");
    }
    if let Some(redrive_id) = &batch.redrive_id {
        let records = batch.records.len();
        tracing::info!(redrive_id, records, "redrive {redrive_id}: {records} records were processed");
    }
    if quarantined > 0 {
        let reasons: Vec<String> = counts.samples_quarantined.iter().map(|(reason, n)| format!("{reason}: {n}")).collect();
        let reasons = reasons.join(", ");
        tracing::info!(quarantined, reasons, "{quarantined} samples were quarantined ({reasons})");
    }
}
