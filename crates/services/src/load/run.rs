//! A run over a file: what is kept of it on the way and at its end, whatever the file says.

use roadcast_ports::bulk::{BulkFile, BulkFiles, Loads};
use roadcast_ports::clock::Clock;
use roadcast_ports::{PortError, PortErrorKind};

use super::Outcome;
use super::progress::{Progress, Summary};
use super::reading::Refused;

/// A run over a file.
pub(super) struct Run<'r, B, L, K> {
    pub(super) files: &'r B,
    pub(super) loads: &'r L,
    pub(super) clock: &'r K,
    pub(super) file: &'r BulkFile,
}

impl<B: BulkFiles, L: Loads, K: Clock> Run<'_, B, L, K> {
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
    pub(super) async fn pause(&self, mut progress: Progress) -> Result<Outcome, PortError> {
        self.keep(&mut progress).await?;
        self.files.go_on(self.file).await?;
        Ok(Outcome::GoesOn(progress.of_this_run()))
    }

    /// Puts the report beside the file.
    pub(super) async fn report(&self, progress: &mut Progress, refused: Option<Refused>) -> Result<Summary, PortError> {
        let summary = progress.summary(self.file, refused, self.clock.now());
        let text = serde_json::to_vec_pretty(&summary).map_err(unwritable)?;
        self.files.report(self.file, progress.checkpoint.parts, progress.take_report(), text).await?;
        Ok(summary)
    }

    /// Nothing more is to be done for the file.
    pub(super) async fn done(&self, mut progress: Progress, summary: Summary) -> Result<Outcome, PortError> {
        progress.checkpoint.done = true;
        self.loads.keep_checkpoint(self.file, &progress.checkpoint).await?;
        Ok(Outcome::Loaded(Box::new(summary), progress.of_this_run()))
    }
}

fn unwritable(error: serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Rejected, "writing a summary").caused_by(error)
}
