//! What the checks share: the stack, and data that several of them use. Each part is created when the first check needs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::offboarding::DrainingFleet;
use crate::stack::{self, Stack};
use crate::trips::Trips;

/// A value that is created on first use. If this fails, every later use fails at once.
struct Lazy<T>(OnceLock<Option<T>>);

impl<T> Lazy<T> {
    const fn new() -> Self {
        Self(OnceLock::new())
    }

    fn get(&self, create: impl FnOnce() -> T) -> &T {
        let value = self.0.get_or_init(|| catch_unwind(AssertUnwindSafe(create)).ok());
        value.as_ref().expect("this part was not created: see the first failure")
    }

    /// Prevents that the value is created; waits if it is being created. Returns whether its creation was tried before.
    fn close(&self) -> bool {
        let mut was_tried = true;
        self.0.get_or_init(|| {
            was_tried = false;
            None
        });
        was_tried
    }
}

/// The parts that checks share.
pub(crate) struct Shared {
    folder: TempDir,
    stack: Lazy<Stack>,
    trips: Lazy<Trips>,
    draining: Lazy<DrainingFleet>,
    /// Whether no check is left out.
    pub(crate) runs_all_checks: bool,
}

impl Shared {
    pub(crate) fn new(runs_all_checks: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { folder, stack: Lazy::new(), trips: Lazy::new(), draining: Lazy::new(), runs_all_checks }
    }

    /// The running stack.
    pub(crate) fn stack(&self) -> &Stack {
        self.stack.get(|| Stack::up(self.folder.path()))
    }

    /// The file of the calls that functions have made so far.
    pub(crate) fn recorded_calls(&self) -> PathBuf {
        self.stack();
        stack::recorded_calls(self.folder.path())
    }

    /// Two vehicles whose recorded trips are stored, and two fleets.
    pub(crate) fn trips(&self) -> &Trips {
        self.trips.get(|| Trips::store(self.stack()))
    }

    /// A fleet that is being offboarded and may drain its feed.
    pub(crate) fn draining(&self) -> &DrainingFleet {
        self.draining.get(|| DrainingFleet::start(self.stack()))
    }

    /// Stops the stack if it was started, also in part. No stack starts afterwards.
    pub(crate) fn stop(&self) -> Result<(), String> {
        if !self.stack.close() {
            return Ok(());
        }
        let stopped = stack::down(self.folder.path());
        // A process that exits by a signal drops nothing.
        let _ = std::fs::remove_dir_all(self.folder.path());
        stopped?;
        let is_running = self.stack.0.get().and_then(Option::as_ref).is_some_and(Stack::is_running);
        if is_running { Err("its endpoint is still running".to_owned()) } else { Ok(()) }
    }
}
