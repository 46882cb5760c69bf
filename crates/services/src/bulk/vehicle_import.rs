//! Loading bulk data: files that say which customer has which vehicle, and [files of schemas](SchemaImport).
//!
//! A file is read line by line and loaded window by window. Whatever comes twice, late or in part leaves the mappings as if
//! each row had been said once, by the newest file that says it.

use roadcast_domain::Timestamp;
use roadcast_domain::vehicle_mapping::{AffirmedVersions, ImportLedger};
use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress, VehicleMappings};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::{VehicleNames, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::progress::Progress;
use super::reader::{FileRefusal, RowReader, RowWindow};
use super::row_outcome::RowOutcome;
use super::run::{EndOfRun, ImportOutcome, ImportRun};
use crate::cache::CachedFleets;

/// Rows that are looked up together, and written together: enough for the stores to have the next ones while the answers to
/// the first are read. What is tested across windows would take long with such large ones.
const WINDOW: usize = if cfg!(test) { 500 } else { 2000 };
/// Windows after which it is kept how far the file is loaded.
const WINDOWS_PER_CHECKPOINT: usize = 10_000 / WINDOW;
/// Tries to change the ledger, which others may be changing.
const LEDGER_TRIES: usize = 10;

/// Loads files of bulk data.
pub struct VehicleImport<B, M, L, V, F, K, R> {
    /// The files.
    pub files: B,
    /// What they are loaded into.
    pub map: M,
    /// How far they are loaded.
    pub loads: L,
    /// The register of vehicles.
    pub vehicles: V,
    /// The fleets.
    pub fleets: CachedFleets<F, K>,
    /// The time.
    pub clock: K,
    /// Where ids come from.
    pub randomness: R,
}

impl<B: BulkFiles, M: VehicleMappings, L: ImportProgress, V: Vehicles + VehicleNames, F: Fleets, K: Clock, R: Randomness>
    VehicleImport<B, M, L, V, F, K, R>
{
    /// Loads a file from where it was left, to its end or until that time; then it comes again. So it does where something
    /// fails after some of it was loaded; where nothing could be loaded, the failure is answered.
    pub async fn vin_map(&self, file: &BulkFile, until: Timestamp) -> Result<ImportOutcome, PortError> {
        let checkpoint = self.loads.checkpoint(file).await?.unwrap_or_default();
        if checkpoint.done {
            return Ok(ImportOutcome::Known);
        }
        let now = self.clock.now();
        let affirmed = self.change_ledger(|ledger| ledger.begin(&file.version, &file.content, now)).await?;
        let mut progress = Progress::after(checkpoint, now);
        let end = self.rows(file, &affirmed, &mut progress, until).await;
        match end {
            Ok(EndOfRun::OfFile(refused)) => self.finish(file, progress, refused).await,
            Ok(EndOfRun::OfTime) => self.pause(file, progress).await,
            Err(error) if error.kind() == PortErrorKind::Conflict => {
                self.change_ledger(|ledger| ledger.end(&file.version)).await?;
                Ok(ImportOutcome::Replaced)
            }
            Err(error) if progress.has_moved() => {
                tracing::warn!(error = %error, "the file goes on later: {error}");
                self.pause(file, progress).await
            }
            Err(error) => Err(error),
        }
    }

    /// Loads rows until the file or the time is at its end.
    async fn rows(
        &self,
        file: &BulkFile,
        affirmed: &AffirmedVersions,
        progress: &mut Progress,
        until: Timestamp,
    ) -> Result<EndOfRun, PortError> {
        let mut reader = match RowReader::open(&self.files, file, &progress.checkpoint).await? {
            Ok(reader) => reader,
            Err(refused) => return Ok(EndOfRun::OfFile(Some(refused))),
        };
        for windows in 1.. {
            let window = reader.window(WINDOW).await?;
            let outcomes = self.window(file, affirmed, &window).await?;
            progress.add(&window, &outcomes);
            if window.is_last {
                return Ok(EndOfRun::OfFile(window.refused));
            }
            if self.clock.now() >= until {
                break;
            }
            if windows % WINDOWS_PER_CHECKPOINT == 0 {
                self.run(file).keep(progress).await?;
            }
        }
        Ok(EndOfRun::OfTime)
    }

    /// Loads a window of rows: looks all of them up, decides about each, and writes what is new. Answers in their order.
    async fn window(
        &self,
        file: &BulkFile,
        affirmed: &AffirmedVersions,
        window: &RowWindow,
    ) -> Result<Vec<RowOutcome>, PortError> {
        let plans = self.plans(file, affirmed, window).await?;
        self.execute(file, affirmed, plans).await
    }

    /// Puts the report beside the file; then it is done with.
    async fn finish(
        &self,
        file: &BulkFile,
        mut progress: Progress,
        refused: Option<FileRefusal>,
    ) -> Result<ImportOutcome, PortError> {
        let summary = self.run(file).report(&mut progress, refused).await?;
        self.change_ledger(|ledger| ledger.end(&file.version)).await?;
        self.run(file).done(progress, summary).await
    }

    /// Keeps how far it is, and has the file come again.
    async fn pause(&self, file: &BulkFile, progress: Progress) -> Result<ImportOutcome, PortError> {
        self.run(file).pause(progress).await
    }

    fn run<'r>(&'r self, file: &'r BulkFile) -> ImportRun<'r, B, L, K> {
        ImportRun { files: &self.files, loads: &self.loads, clock: &self.clock, file }
    }

    async fn change_ledger<T: Send>(&self, change: impl Fn(&mut ImportLedger) -> T + Send + Sync) -> Result<T, PortError> {
        let mut tries = 0;
        loop {
            let mut ledger = self.loads.ledger().await?;
            let answer = change(&mut ledger);
            tries += 1;
            match self.loads.replace_ledger(&ledger).await {
                Ok(()) => return Ok(answer),
                Err(error) if error.kind() == PortErrorKind::Conflict && tries < LEDGER_TRIES => {}
                // A conflict would be taken for a file that was replaced.
                Err(error) if error.kind() == PortErrorKind::Conflict => {
                    return Err(PortError::new(PortErrorKind::Unavailable, "changing the ledger of files").caused_by(error));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
