//! Metrics and logs of an import. Logs name a file by its version, because its key may contain personal data.

use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_ports::bulk::RowCounts;
use roadcast_services::bulk::ImportOutcome;

/// Records the row counts as metrics, and logs the outcome of the file.
pub(crate) fn record_outcome(metrics: &Metrics, outcome: &ImportOutcome) {
    match outcome {
        ImportOutcome::Loaded(summary, counts) => {
            record_counts(metrics, counts);
            let (version, rows, invalid) = (summary.version.as_str(), summary.counts.rows, summary.counts.wrong);
            let seconds = summary.seconds;
            tracing::info!(
                version,
                rows,
                invalid,
                seconds,
                "file {version} was imported: {rows} rows, {invalid} of them invalid"
            );
            if let Some(refused) = &summary.refused {
                let (line, detail) = (refused.line, refused.detail.as_str());
                tracing::warn!(version, line, detail, "file {version} was imported only up to line {line}: {detail}");
            }
        }
        ImportOutcome::Resumes(counts) => {
            record_counts(metrics, counts);
            let rows = counts.rows;
            tracing::info!(rows, "{rows} rows were imported; the import of the file will be resumed");
        }
        ImportOutcome::AlreadyLoaded => tracing::info!("the file was already imported"),
        ImportOutcome::Replaced => tracing::info!("the file was replaced by another file"),
    }
}

/// Logs an object that has no task.
pub(crate) fn log_unknown_object() {
    tracing::warn!("an object was ignored: its prefix is unknown, or its notification has no time");
}

fn record_counts(metrics: &Metrics, counts: &RowCounts) {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    metrics.record(Metric::BulkRowsLoaded, number(counts.loaded));
    metrics.record(Metric::BulkRowsInvalid, number(counts.wrong));
}
