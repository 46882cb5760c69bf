//! A run of an import, for every kind of file: saves checkpoints and reports.

use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress, RowCounts};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::progress::{Progress, Summary};
use super::reader::{FileRefusal, MAX_RUNS};

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportOutcome {
    /// The file is loaded and its report is stored. The counts are those of this run alone.
    Loaded(Box<Summary>, RowCounts),
    /// The file is loaded in part, and its import resumes in another run. The counts are those of this run alone.
    Resumes(RowCounts),
    /// The file was loaded before.
    AlreadyLoaded,
    /// Another file replaced this one before it was read completely; the other file applies.
    Replaced,
}

/// Why a run ends.
pub(super) enum EndOfRun {
    /// The file is read completely, or cannot be read further.
    FileEnd(Option<FileRefusal>),
    /// The run's deadline has passed, or a port failed after the run had advanced: another run is required.
    Interrupted,
}

impl EndOfRun {
    /// Returns the end of a run in which a port failed. Fails with the port's error if the run has not advanced.
    pub(super) fn after(error: PortError, progress: &Progress) -> Result<Self, PortError> {
        if !progress.has_advanced() {
            return Err(error);
        }
        tracing::warn!(error = %error, "the run failed; another run resumes the import: {error}");
        Ok(Self::Interrupted)
    }

    /// Ends the import instead of requesting another run if it had as many as it may have.
    pub(super) fn limited(self, progress: &Progress) -> Self {
        match self {
            Self::Interrupted if progress.checkpoint.runs + 1 >= MAX_RUNS => Self::FileEnd(Some(FileRefusal::TooManyRuns)),
            end => end,
        }
    }
}

/// A run of the import of a file.
pub(super) struct ImportRun<'r, Ports: PortSet> {
    pub(super) files: &'r Ports::BulkFiles,
    pub(super) progress: &'r Ports::ImportProgress,
    pub(super) clock: &'r Ports::Clock,
    pub(super) file: &'r BulkFile,
}

impl<Ports: PortSet> ImportRun<'_, Ports> {
    /// Saves the progress. The report first: lines before the checkpoint are never read again.
    pub(super) async fn save(&self, progress: &mut Progress) -> Result<(), PortError> {
        let lines = progress.take_report_lines();
        if !lines.is_empty() {
            self.files.store_report_part(self.file, progress.checkpoint.parts, lines).await?;
            progress.checkpoint.parts += 1;
        }
        self.progress.save_checkpoint(self.file, &progress.checkpoint_at(self.clock.now())).await
    }

    /// Saves the progress, and requests another run.
    pub(super) async fn pause(&self, mut progress: Progress) -> Result<ImportOutcome, PortError> {
        progress.checkpoint.runs += 1;
        self.save(&mut progress).await?;
        self.files.request_resume(self.file).await?;
        Ok(ImportOutcome::Resumes(progress.counts_of_run()))
    }

    /// Stores the report and the summary.
    pub(super) async fn store_report(
        &self,
        progress: &mut Progress,
        refused: Option<FileRefusal>,
    ) -> Result<Summary, PortError> {
        let summary = progress.summary(self.file, refused, self.clock.now());
        let text = serde_json::to_vec_pretty(&summary).map_err(summary_error)?;
        self.files.store_report(self.file, progress.checkpoint.parts, progress.take_report_lines(), text).await?;
        Ok(summary)
    }

    /// Marks the file as loaded.
    pub(super) async fn complete(&self, mut progress: Progress, summary: Summary) -> Result<ImportOutcome, PortError> {
        progress.checkpoint.done = true;
        self.progress.save_checkpoint(self.file, &progress.checkpoint).await?;
        Ok(ImportOutcome::Loaded(Box::new(summary), progress.counts_of_run()))
    }
}

fn summary_error(error: serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Rejected, "write a summary").caused_by(error)
}
