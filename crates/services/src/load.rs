//! Loading bulk data: files that say which customer has which vehicle, and [files of schemas](LoadSchemas).
//!
//! A file is read line by line and loaded window by window. Whatever comes twice, late or in part leaves the mappings as if
//! each row had been said once, by the newest file that says it.

mod judge;
mod progress;
mod reading;
mod run;
mod schemas;
mod writing;

use roadcast_domain::Timestamp;
use roadcast_domain::mapping::{Affirmed, Ledger};
use roadcast_ports::bulk::{BulkFile, BulkFiles, Counts, Loads, VehicleMap};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::{Names, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use crate::cached::CachedFleets;
use judge::Fate;
use progress::Progress;
use reading::{Reading, Refused, Window};
use run::Run;

pub use progress::Summary;
pub use schemas::LoadSchemas;

/// Rows that are looked up together, and written together: enough for the stores to have the next ones while the answers to
/// the first are read. What is tested across windows would take long with such large ones.
const WINDOW: usize = if cfg!(test) { 500 } else { 2000 };
/// Windows after which it is kept how far the file is loaded.
const WINDOWS_PER_CHECKPOINT: usize = 10_000 / WINDOW;
/// Tries to change the ledger, which others may be changing.
const LEDGER_TRIES: usize = 10;

/// Loads files of bulk data.
pub struct Load<B, M, L, V, F, K, R> {
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

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is loaded, and the report lies beside it. The counts are of this run alone.
    Loaded(Box<Summary>, Counts),
    /// It is not at its end, and comes again.
    GoesOn(Counts),
    /// It was loaded before.
    Known,
    /// Another file took its place before it was read to its end: that one counts.
    Replaced,
}

impl<B: BulkFiles, M: VehicleMap, L: Loads, V: Vehicles + Names, F: Fleets, K: Clock, R: Randomness>
    Load<B, M, L, V, F, K, R>
{
    /// Loads a file from where it was left, to its end or until that time; then it comes again. So it does where something
    /// fails after some of it was loaded; where nothing could be loaded, the failure is answered.
    pub async fn vin_map(&self, file: &BulkFile, until: Timestamp) -> Result<Outcome, PortError> {
        let checkpoint = self.loads.checkpoint(file).await?.unwrap_or_default();
        if checkpoint.done {
            return Ok(Outcome::Known);
        }
        let now = self.clock.now();
        let affirmed = self.change_ledger(|ledger| ledger.begin(&file.version, &file.content, now)).await?;
        let mut progress = Progress::after(checkpoint, now);
        let end = self.rows(file, &affirmed, &mut progress, until).await;
        match end {
            Ok(End::OfFile(refused)) => self.finish(file, progress, refused).await,
            Ok(End::OfTime) => self.pause(file, progress).await,
            Err(error) if error.kind() == PortErrorKind::Conflict => {
                self.change_ledger(|ledger| ledger.end(&file.version)).await?;
                Ok(Outcome::Replaced)
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
        affirmed: &Affirmed,
        progress: &mut Progress,
        until: Timestamp,
    ) -> Result<End, PortError> {
        let mut reading = match Reading::open(&self.files, file, &progress.checkpoint).await? {
            Ok(reading) => reading,
            Err(refused) => return Ok(End::OfFile(Some(refused))),
        };
        for windows in 1.. {
            let window = reading.window(WINDOW).await?;
            let fates = self.window(file, affirmed, &window).await?;
            progress.add(&window, &fates);
            if window.is_last {
                return Ok(End::OfFile(window.refused));
            }
            if self.clock.now() >= until {
                break;
            }
            if windows % WINDOWS_PER_CHECKPOINT == 0 {
                self.run(file).keep(progress).await?;
            }
        }
        Ok(End::OfTime)
    }

    /// Loads a window of rows: looks all of them up, decides about each, and writes what is new. Answers in their order.
    async fn window(&self, file: &BulkFile, affirmed: &Affirmed, window: &Window) -> Result<Vec<Fate>, PortError> {
        let plans = self.plans(file, affirmed, window).await?;
        self.carry_out(file, affirmed, plans).await
    }

    /// Puts the report beside the file; then it is done with.
    async fn finish(&self, file: &BulkFile, mut progress: Progress, refused: Option<Refused>) -> Result<Outcome, PortError> {
        let summary = self.run(file).report(&mut progress, refused).await?;
        self.change_ledger(|ledger| ledger.end(&file.version)).await?;
        self.run(file).done(progress, summary).await
    }

    /// Keeps how far it is, and has the file come again.
    async fn pause(&self, file: &BulkFile, progress: Progress) -> Result<Outcome, PortError> {
        self.run(file).pause(progress).await
    }

    fn run<'r>(&'r self, file: &'r BulkFile) -> Run<'r, B, L, K> {
        Run { files: &self.files, loads: &self.loads, clock: &self.clock, file }
    }

    async fn change_ledger<T: Send>(&self, change: impl Fn(&mut Ledger) -> T + Send + Sync) -> Result<T, PortError> {
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

/// Where a run ends.
enum End {
    /// At the file's end, or where it cannot be read any further.
    OfFile(Option<Refused>),
    /// Somewhere in the file.
    OfTime,
}

#[cfg(test)]
mod tests;
