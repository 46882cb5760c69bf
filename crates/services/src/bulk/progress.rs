//! The progress of an import, and its report.

use roadcast_domain::Timestamp;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, Checkpoint, RowCounts};
use serde::Serialize;

use super::reader::{FileRefusal, RowWindow};
use super::row_outcome::{MappingOutcome, RowOutcome};

/// The progress of an import.
pub(super) struct Progress {
    /// The checkpoint to save, except for its elapsed time.
    pub(super) checkpoint: Checkpoint,
    /// Lines of the report that are not stored yet.
    report: Vec<u8>,
    /// The checkpoint from which this run started.
    started_from: Checkpoint,
    started_at: Timestamp,
}

/// The summary of an import.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The numbers of rows by outcome.
    #[serde(flatten)]
    pub counts: RowCounts,
    /// The duration of all runs, in seconds.
    pub seconds: f64,
    /// The version of the file; newer files have greater versions.
    pub version: FileVersion,
    /// The object's version, if the bucket is versioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
    /// The object's entity tag, which is equal for equal content.
    pub content: String,
    /// Why the file was not loaded, or only in part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedFile>,
}

/// Why a file was not loaded, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedFile {
    /// The last line that was read.
    pub line: u64,
    /// The reason.
    pub detail: String,
}

/// A line of the report: a fault of a row.
#[derive(Serialize)]
struct ReportLine<'l> {
    line: u64,
    pointer: &'l str,
    reason: &'l str,
    detail: &'l str,
}

impl Progress {
    /// Starts a run from `checkpoint`.
    pub(super) fn resume(checkpoint: Checkpoint, now: Timestamp) -> Self {
        Self { started_from: checkpoint.clone(), checkpoint, report: Vec::new(), started_at: now }
    }

    /// Counts the outcome of a row. Returns its faults if it is invalid.
    pub(super) fn count<'f, Fault>(&mut self, outcome: &'f RowOutcome<Fault>) -> Option<&'f Fault> {
        let counts = &mut self.checkpoint.counts;
        counts.rows += 1;
        match outcome {
            RowOutcome::Loaded => counts.loaded += 1,
            RowOutcome::Unchanged => counts.unchanged += 1,
            RowOutcome::Superseded => counts.superseded += 1,
            RowOutcome::Invalid(fault) => {
                counts.wrong += 1;
                return Some(fault);
            }
        }
        None
    }

    /// Records the outcomes of a window's rows.
    pub(super) fn record_window(&mut self, window: &RowWindow, outcomes: &[MappingOutcome]) {
        for (row, outcome) in window.rows.iter().zip(outcomes) {
            if let Some(invalid) = self.count(outcome) {
                let line = row.as_ref().map_or_else(|(line, _)| *line, |row| row.line);
                self.record_fault(line, invalid.pointer().as_str(), invalid.fault.code(), &invalid.fault.to_string());
            }
        }
        (self.checkpoint.line, self.checkpoint.offset) = (window.line, window.offset);
        self.checkpoint.columns.clone_from(&window.columns);
    }

    /// Adds a line to the report.
    pub(super) fn record_fault(&mut self, line: u64, pointer: &str, reason: &str, detail: &str) {
        let line = ReportLine { line, pointer, reason, detail };
        // Serialising numbers and texts cannot fail.
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            self.report.extend(text);
        }
    }

    /// Whether this run has processed any line.
    pub(super) fn has_advanced(&self) -> bool {
        self.checkpoint.line > self.started_from.line
    }

    /// Returns the checkpoint to save at `now`.
    pub(super) fn checkpoint_at(&self, now: Timestamp) -> Checkpoint {
        let elapsed_ms = self.started_from.elapsed_ms + now.ms_since(self.started_at).max(0);
        Checkpoint { elapsed_ms, ..self.checkpoint.clone() }
    }

    /// Returns the counts of this run.
    pub(super) fn counts_of_run(&self) -> RowCounts {
        let (now, before) = (&self.checkpoint.counts, &self.started_from.counts);
        RowCounts {
            rows: now.rows - before.rows,
            loaded: now.loaded - before.loaded,
            unchanged: now.unchanged - before.unchanged,
            superseded: now.superseded - before.superseded,
            wrong: now.wrong - before.wrong,
        }
    }

    /// Removes and returns the lines of the report that are not stored yet.
    pub(super) fn take_report_lines(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.report)
    }

    /// Returns the summary at `now`.
    pub(super) fn summary(&self, file: &BulkFile, refused: Option<FileRefusal>, now: Timestamp) -> Summary {
        let line = self.checkpoint.line;
        // Exact for any realistic duration.
        #[allow(clippy::cast_precision_loss)]
        let seconds = self.checkpoint_at(now).elapsed_ms as f64 / 1000.0;
        Summary {
            counts: self.checkpoint.counts,
            seconds,
            version: file.version.clone(),
            object_version: file.object_version.clone(),
            content: file.content.clone(),
            refused: refused.map(|refused| RefusedFile { line, detail: refused.to_string() }),
        }
    }
}
