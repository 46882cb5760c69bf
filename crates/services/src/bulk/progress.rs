//! How far a file is loaded, and what its report says.

use roadcast_domain::Timestamp;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, Checkpoint, RowCounts};
use serde::Serialize;

use super::reader::{FileRefusal, RowWindow};
use super::row_outcome;

/// How far a file is loaded.
pub(super) struct Progress {
    /// As it would be kept now, but for the time.
    pub(super) checkpoint: Checkpoint,
    /// Lines of the report that are in no part yet.
    report: Vec<u8>,
    began: Checkpoint,
    began_at: Timestamp,
}

/// What a report says of a file, once it is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What became of its rows.
    #[serde(flatten)]
    pub counts: RowCounts,
    /// How long it took, over all runs.
    pub seconds: f64,
    /// Which of two files is newer.
    pub version: FileVersion,
    /// The object's version in the bucket, where the bucket keeps versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
    /// The same for the same bytes: the object's entity tag.
    pub content: String,
    /// Why the file was not loaded, or not to its end; the last line that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedFile>,
}

/// Why a file as a whole was not loaded, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedFile {
    /// The last line that was read.
    pub line: u64,
    /// Why.
    pub detail: String,
}

/// A line of the report.
#[derive(Serialize)]
struct WrongLine<'l> {
    line: u64,
    pointer: &'l str,
    reason: &'l str,
    detail: &'l str,
}

/// What became of a row of a file; each kind of file says in its own way what is wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum RowOutcome<W> {
    Loaded,
    Unchanged,
    Superseded,
    InvalidField(W),
}

impl Progress {
    /// Goes on from there.
    pub(super) fn after(checkpoint: Checkpoint, now: Timestamp) -> Self {
        Self { began: checkpoint.clone(), checkpoint, report: Vec::new(), began_at: now }
    }

    /// Counts what became of a row, and answers what is wrong with it, if anything is.
    pub(super) fn count<'f, W>(&mut self, outcome: &'f RowOutcome<W>) -> Option<&'f W> {
        let counts = &mut self.checkpoint.counts;
        counts.rows += 1;
        match outcome {
            RowOutcome::Loaded => counts.loaded += 1,
            RowOutcome::Unchanged => counts.unchanged += 1,
            RowOutcome::Superseded => counts.superseded += 1,
            RowOutcome::InvalidField(wrong) => {
                counts.wrong += 1;
                return Some(wrong);
            }
        }
        None
    }

    /// A window is loaded.
    pub(super) fn add(&mut self, window: &RowWindow, outcomes: &[row_outcome::RowOutcome]) {
        for (row, outcome) in window.rows.iter().zip(outcomes) {
            if let Some(wrong) = self.count(outcome) {
                let line = row.as_ref().map_or_else(|(line, _)| *line, |row| row.line);
                self.record_outcome(line, wrong.pointer, wrong.fault.code(), &wrong.fault.to_string());
            }
        }
        (self.checkpoint.line, self.checkpoint.offset) = (window.line, window.offset);
        self.checkpoint.columns.clone_from(&window.columns);
    }

    /// Puts a line into the report.
    pub(super) fn record_outcome(&mut self, line: u64, pointer: &str, reason: &str, detail: &str) {
        let line = WrongLine { line, pointer, reason, detail };
        // Numbers and texts always serialise.
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            self.report.extend(text);
        }
    }

    /// Whether anything was loaded since it went on.
    pub(super) fn has_moved(&self) -> bool {
        self.checkpoint.line > self.began.line
    }

    /// The checkpoint at that time.
    pub(super) fn at(&self, now: Timestamp) -> Checkpoint {
        let elapsed_ms = self.began.elapsed_ms + now.ms_since(self.began_at).max(0);
        Checkpoint { elapsed_ms, ..self.checkpoint.clone() }
    }

    /// What became of the rows since it went on.
    pub(super) fn of_this_run(&self) -> RowCounts {
        let (now, then) = (&self.checkpoint.counts, &self.began.counts);
        RowCounts {
            rows: now.rows - then.rows,
            loaded: now.loaded - then.loaded,
            unchanged: now.unchanged - then.unchanged,
            superseded: now.superseded - then.superseded,
            wrong: now.wrong - then.wrong,
        }
    }

    /// The lines of the report that are in no part yet.
    pub(super) fn take_report(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.report)
    }

    /// What the report says.
    pub(super) fn summary(&self, file: &BulkFile, refused: Option<FileRefusal>, now: Timestamp) -> Summary {
        let line = self.checkpoint.line;
        // Exact for any file that ends conflicts ages.
        #[allow(clippy::cast_precision_loss)]
        let seconds = self.at(now).elapsed_ms as f64 / 1000.0;
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
