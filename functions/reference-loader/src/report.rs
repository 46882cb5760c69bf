//! What a run tells the metrics and the log. A file is named by its version: its key may hold anything.

use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_ports::bulk::RowCounts;
use roadcast_services::bulk::ImportOutcome;

/// Counts what became of rows, and logs what became of the file.
pub(crate) fn tell(metrics: &Metrics, outcome: &ImportOutcome) {
    match outcome {
        ImportOutcome::Loaded(summary, counts) => {
            count(metrics, counts);
            let (version, rows, wrong) = (summary.version.as_str(), summary.counts.rows, summary.counts.wrong);
            let seconds = summary.seconds;
            tracing::info!(version, rows, wrong, seconds, "file {version} is loaded: {rows} rows, {wrong} of them wrong");
            if let Some(refused) = &summary.refused {
                let (line, detail) = (refused.line, refused.detail.as_str());
                tracing::warn!(version, line, detail, "file {version} was read up to line {line} only: {detail}");
            }
        }
        ImportOutcome::Resumes(counts) => {
            count(metrics, counts);
            let rows = counts.rows;
            tracing::info!(rows, "{rows} rows are loaded, and the file goes on");
        }
        ImportOutcome::Known => tracing::info!("the file was loaded before"),
        ImportOutcome::Replaced => tracing::info!("another file took this one's place"),
    }
}

/// Logs that nobody knows what an object is.
pub(crate) fn tell_unknown() {
    tracing::warn!("an object arrived under a prefix that says nothing, or without a time");
}

fn count(metrics: &Metrics, counts: &RowCounts) {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    metrics.record(Metric::BulkRowsLoaded, number(counts.loaded));
    metrics.record(Metric::BulkRowsWrong, number(counts.wrong));
}
