//! Erasures: their records, and what they do to the stores.

use std::future::Future;

use roadcast_domain::erasure::{ErasedStore, Erasure, ErasureScope, StoreCounts};
use roadcast_domain::ids::ErasureId;
use roadcast_domain::vehicle::Vehicle;
use roadcast_signals::Timestamp;

use crate::PortError;

/// Storage of the records of erasures. They stay.
pub trait Erasures: Send + Sync {
    /// Stores a new record. Fails with `Conflict` if a record with its id is stored.
    fn create(&self, erasure: &Erasure) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a record.
    fn get(&self, erasure_id: &ErasureId) -> impl Future<Output = Result<Option<Erasure>, PortError>> + Send;

    /// Returns a page of records, by id, after `after`, of at most `limit` (1 to 100).
    fn list(&self, after: Option<&ErasureId>, limit: usize) -> impl Future<Output = Result<Vec<Erasure>, PortError>> + Send;

    /// Replaces a record; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that of
    /// `erasure`.
    fn replace(&self, erasure: &Erasure) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Erases what is stored about vehicles. All methods may be repeated, also after an interruption.
pub trait VehicleErasure: Send + Sync {
    /// Hides a vehicle for good: [`Vehicles`](crate::vehicles::Vehicles) does not return it any more, its names are free, and
    /// [`history`](crate::vehicles::Vehicles::history) states that it was erased, of its id without end and of its names for
    /// [`ERASED_HOLDER_MS`](roadcast_domain::name_history::ERASED_HOLDER_MS). Increments the version of all vehicles. Succeeds
    /// without a change if the vehicle is hidden; fails with `Conflict` unless the stored version is that of `vehicle`.
    fn hide(&self, vehicle: &Vehicle, at: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Erases a part of a store, bounded by the adapter, that starts after the position `after`, or at the start of the store.
    /// What belongs to other vehicles stays as it is, in its bytes where it was not written by Roadcast.
    fn erase(
        &self,
        store: ErasedStore,
        scope: &ErasureScope,
        after: Option<&str>,
    ) -> impl Future<Output = Result<ErasedPart, PortError>> + Send;
}

/// A part of a store that was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasedPart {
    /// Pass as `after` to erase the next part; `None` after the last one. Opaque to callers.
    pub next: Option<String>,
    /// What was found and done.
    pub counts: StoreCounts,
}
