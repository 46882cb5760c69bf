//! Erasures: requests of an admin to erase everything that is stored about vehicles.
//!
//! An erasure runs in two passes over the stores. The first one starts with hiding the vehicles: from then on they do not exist
//! for callers, and what arrives about them is dropped. The second one starts when nothing that was received before can still be
//! in the stream, and erases what was written while the first one ran.

mod progress;
mod scope;

use std::collections::BTreeMap;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, ErasureId, VehicleId};

pub use progress::{ErasureProgress, ErasureStep, Pass};
pub use scope::{ErasedName, ErasureScope};

/// How long after the vehicles are hidden the second pass starts, in milliseconds: longer than the stream keeps an event, which is
/// 24 hours, and a batch that was read before is processed.
pub const SECOND_PASS_AFTER_MS: i64 = 25 * 60 * 60 * 1000;

/// The maximum number of vehicles of one erasure. They share one walk through the archive.
pub const MAX_VEHICLES: usize = 25;

/// The maximum number of former names of one erasure.
pub const MAX_FORMER_NAMES: usize = 50;

/// An erasure. It stays as the record that the vehicles were erased, without their names once it is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// The id.
    pub erasure_id: ErasureId,
    /// The vehicles. Their ids refer to nothing once they are hidden.
    pub vehicles: Vec<VehicleId>,
    /// The names under which data of the vehicles was received. Removed when the erasure is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ErasedName>,
    /// The earliest registration of a vehicle. Nothing is stored about them from before.
    pub registered_at: Timestamp,
    /// When all vehicles were hidden; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<Timestamp>,
    /// When the second pass starts; absent before the vehicles are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_pass_at: Option<Timestamp>,
    /// The state.
    pub state: ErasureState,
    /// What is done next.
    pub progress: ErasureProgress,
    /// What was found and erased, by store, in both passes.
    #[serde(default)]
    pub stores: BTreeMap<ErasedStore, StoreCounts>,
    /// The number of runs of the workflow, from 1.
    pub attempt: u32,
    /// Why the last run failed; absent if it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The admin's machine client that requested it.
    pub requested_by: ClientId,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// When it was completed; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Incremented by each change.
    pub revision: u64,
}

/// The state of an erasure.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErasureState {
    /// The workflow runs, or waits for the second pass.
    Running,
    /// A run failed. Another one continues from there.
    Failed,
    /// Nothing is stored about the vehicles any more.
    Complete,
}

/// A store that an erasure walks through.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErasedStore {
    /// Grants and consent epochs of the vehicles.
    Grants,
    /// Which fleets have the vehicles, by bulk files.
    Mappings,
    /// The event log.
    Events,
    /// The last-known values.
    States,
    /// What the alert evaluator stores: checkpoints, and which vehicles it watches.
    AlertState,
    /// Pointers of the feed index.
    FeedIndex,
    /// Webhook deliveries, their attempts and what waits.
    Deliveries,
    /// The raw records of the archive.
    Archive,
    /// Quarantined events and samples.
    Quarantine,
    /// Dead letters and their bytes.
    DeadLetters,
}

impl ErasedStore {
    /// All stores, in the order in which they are erased. The dead letters are last, because those whose bytes are gone are
    /// removed.
    pub const ALL: [Self; 10] = [
        Self::Grants,
        Self::Mappings,
        Self::Events,
        Self::States,
        Self::AlertState,
        Self::FeedIndex,
        Self::Deliveries,
        Self::Archive,
        Self::Quarantine,
        Self::DeadLetters,
    ];
}

/// What was found in a store, and what was done. Items are those of the store: items of a table, or objects.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreCounts {
    /// Items that were read.
    pub examined: u64,
    /// Items that were removed.
    pub removed: u64,
    /// Items that were written again without what concerns the vehicles.
    pub rewritten: u64,
}

impl StoreCounts {
    /// Adds the counts of a part of the store.
    pub const fn add(&mut self, part: Self) {
        self.examined += part.examined;
        self.removed += part.removed;
        self.rewritten += part.rewritten;
    }
}

impl Erasure {
    /// Returns what belongs to the vehicles, in the pass that is in progress.
    pub fn scope(&self) -> ErasureScope {
        let since = match (self.progress.pass, self.hidden_at) {
            (Pass::Second, Some(hidden_at)) => hidden_at.plus_ms(-SECOND_PASS_AFTER_MS).max(self.registered_at),
            (Pass::First | Pass::Second, _) => self.registered_at,
        };
        ErasureScope::new(self.vehicles.iter().cloned(), self.names.clone(), since)
    }
}
