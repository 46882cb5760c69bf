//! Imports files that assign vehicles to fleets.
//!
//! A file is read line by line and loaded window by window. Repeated, late or interrupted imports result in the same
//! mappings as importing each row once, from the newest file that contains it.

use roadcast_domain::Timestamp;
use roadcast_domain::vehicle_mapping::{ConfirmedVersions, ImportLedger};
use roadcast_ports::bulk::{BulkFile, ImportProgress};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::progress::Progress;
use super::reader::{FileRefusal, RowReader, RowWindow};
use super::row_outcome::MappingOutcome;
use super::run::{EndOfRun, ImportOutcome, ImportRun};
use crate::cache::CachedFleets;

/// The default of [`VehicleImport::window_rows`]: enough to keep the stores busy while the first results are read.
pub const DEFAULT_WINDOW_ROWS: usize = 2000;
/// Rows between two checkpoints.
const ROWS_PER_CHECKPOINT: usize = 10_000;
/// Attempts to update the ledger, which other runs may update concurrently.
const LEDGER_ATTEMPTS: usize = 10;

/// Imports files that assign vehicles to fleets.
pub struct VehicleImport<Ports: PortSet> {
    /// The files.
    pub files: Ports::BulkFiles,
    /// The mappings that the files are loaded into.
    pub mappings: Ports::VehicleMappings,
    /// The checkpoints of imports and the ledger of files.
    pub progress: Ports::ImportProgress,
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The names of the registered vehicles.
    pub vehicle_names: Ports::VehicleNames,
    /// The fleets.
    pub fleets: CachedFleets<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of random ids.
    pub randomness: Ports::Randomness,
    /// Rows per window, which are looked up and written together. At least 1; usually [`DEFAULT_WINDOW_ROWS`].
    pub window_rows: usize,
}

impl<Ports: PortSet> VehicleImport<Ports> {
    /// Imports a file from its checkpoint to its end or until `deadline`; then another run resumes the import. Another run
    /// also resumes it if a port fails after this run has loaded rows; if it has loaded none, the port's error is returned.
    /// After a thousand runs, the import ends, and its summary states the line.
    pub async fn import(&self, file: &BulkFile, deadline: Timestamp) -> Result<ImportOutcome, PortError> {
        let checkpoint = self.progress.checkpoint(file).await?.unwrap_or_default();
        if checkpoint.done {
            return Ok(ImportOutcome::AlreadyLoaded);
        }
        let now = self.clock.now();
        let confirmed = self.update_ledger(|ledger| ledger.begin(&file.version, &file.content, now)).await?;
        let mut progress = Progress::resume(checkpoint, now);
        let end = match self.import_rows(file, &confirmed, &mut progress, deadline).await {
            Ok(end) => end,
            Err(error) if error.kind() == PortErrorKind::Conflict => {
                self.update_ledger(|ledger| ledger.end(&file.version)).await?;
                return Ok(ImportOutcome::Replaced);
            }
            Err(error) => EndOfRun::after(error, &progress)?,
        };
        match end.limited(&progress) {
            EndOfRun::FileEnd(refused) => self.finish(file, progress, refused).await,
            EndOfRun::Interrupted => self.run(file).pause(progress).await,
        }
    }

    /// Imports rows until the end of the file or the deadline.
    async fn import_rows(
        &self,
        file: &BulkFile,
        confirmed: &ConfirmedVersions,
        progress: &mut Progress,
        deadline: Timestamp,
    ) -> Result<EndOfRun, PortError> {
        let mut reader = match RowReader::open(&self.files, file, &progress.checkpoint).await {
            Ok(reader) => reader,
            Err(error) => return Ok(EndOfRun::FileEnd(Some(error.into_refusal()?))),
        };
        let windows_per_checkpoint = (ROWS_PER_CHECKPOINT / self.window_rows).max(1);
        for windows in 1.. {
            let window = reader.window(self.window_rows).await?;
            let outcomes = self.import_window(file, confirmed, &window).await?;
            progress.record_window(&window, &outcomes);
            if window.is_last {
                return Ok(EndOfRun::FileEnd(window.refused));
            }
            if self.clock.now() >= deadline {
                break;
            }
            if windows % windows_per_checkpoint == 0 {
                self.run(file).save(progress).await?;
            }
        }
        Ok(EndOfRun::Interrupted)
    }

    /// Imports a window of rows: reads the stored mappings, plans each row, and writes what is new. Returns the outcomes in
    /// order.
    async fn import_window(
        &self,
        file: &BulkFile,
        confirmed: &ConfirmedVersions,
        window: &RowWindow,
    ) -> Result<Vec<MappingOutcome>, PortError> {
        let plans = self.plan_rows(file, confirmed, window).await?;
        self.execute_plans(file, confirmed, plans).await
    }

    /// Stores the report, and marks the file as loaded.
    async fn finish(
        &self,
        file: &BulkFile,
        mut progress: Progress,
        refused: Option<FileRefusal>,
    ) -> Result<ImportOutcome, PortError> {
        let summary = self.run(file).store_report(&mut progress, refused).await?;
        self.update_ledger(|ledger| ledger.end(&file.version)).await?;
        self.run(file).complete(progress, summary).await
    }

    fn run<'r>(&'r self, file: &'r BulkFile) -> ImportRun<'r, Ports> {
        ImportRun { files: &self.files, progress: &self.progress, clock: &self.clock, file }
    }

    /// Applies `update` to the ledger, and retries it after concurrent updates.
    async fn update_ledger<T: Send>(&self, update: impl Fn(&mut ImportLedger) -> T + Send + Sync) -> Result<T, PortError> {
        let mut attempts = 0;
        loop {
            let mut ledger = self.progress.ledger().await?;
            let result = update(&mut ledger);
            attempts += 1;
            match self.progress.replace_ledger(&ledger).await {
                Ok(()) => return Ok(result),
                Err(error) if error.kind() == PortErrorKind::Conflict && attempts < LEDGER_ATTEMPTS => {}
                // Not returned as a conflict, which would mean that the file was replaced.
                Err(error) if error.kind() == PortErrorKind::Conflict => {
                    return Err(PortError::new(PortErrorKind::Unavailable, "update the ledger of files").caused_by(error));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
