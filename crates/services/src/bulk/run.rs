//! A run over a file: what is kept of it on the way and at its end, whatever the file says.

use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress, RowCounts};
use roadcast_ports::clock::Clock;
use roadcast_ports::{PortError, PortErrorKind};

use super::progress::{Progress, Summary};
use super::reader::FileRefusal;

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportOutcome {
    /// It is loaded, and the report lies beside it. The counts are of this run alone.
    Loaded(Box<Summary>, RowCounts),
    /// It is not at its end, and comes again.
    Resumes(RowCounts),
    /// It was loaded before.
    Known,
    /// Another file took its place before it was read to its end: that one counts.
    Replaced,
}

/// Where a run ends.
pub(super) enum EndOfRun {
    /// At the file's end, or where it cannot be read any further.
    OfFile(Option<FileRefusal>),
    /// Somewhere in the file.
    OfTime,
}

/// A run over a file.
pub(super) struct ImportRun<'r, B, L, K> {
    pub(super) files: &'r B,
    pub(super) loads: &'r L,
    pub(super) clock: &'r K,
    pub(super) file: &'r BulkFile,
}

impl<B: BulkFiles, L: ImportProgress, K: Clock> ImportRun<'_, B, L, K> {
    /// Keeps how far it is. The report first: what is behind the checkpoint is never read again.
    pub(super) async fn keep(&self, progress: &mut Progress) -> Result<(), PortError> {
        let lines = progress.take_report();
        if !lines.is_empty() {
            self.files.keep_part(self.file, progress.checkpoint.parts, lines).await?;
            progress.checkpoint.parts += 1;
        }
        self.loads.keep_checkpoint(self.file, &progress.at(self.clock.now())).await
    }

    /// Keeps how far it is, and has the file come again.
    pub(super) async fn pause(&self, mut progress: Progress) -> Result<ImportOutcome, PortError> {
        self.keep(&mut progress).await?;
        self.files.request_resume(self.file).await?;
        Ok(ImportOutcome::Resumes(progress.of_this_run()))
    }

    /// Puts the report beside the file.
    pub(super) async fn report(&self, progress: &mut Progress, refused: Option<FileRefusal>) -> Result<Summary, PortError> {
        let summary = progress.summary(self.file, refused, self.clock.now());
        let text = serde_json::to_vec_pretty(&summary).map_err(unwritable)?;
        self.files.report(self.file, progress.checkpoint.parts, progress.take_report(), text).await?;
        Ok(summary)
    }

    /// Nothing more is to be done for the file.
    pub(super) async fn done(&self, mut progress: Progress, summary: Summary) -> Result<ImportOutcome, PortError> {
        progress.checkpoint.done = true;
        self.loads.keep_checkpoint(self.file, &progress.checkpoint).await?;
        Ok(ImportOutcome::Loaded(Box::new(summary), progress.of_this_run()))
    }
}

fn unwritable(error: serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Rejected, "writer a summary").caused_by(error)
}
