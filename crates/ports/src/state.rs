//! The last-known values of each vehicle.

use std::future::Future;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;

use crate::PortError;

/// Storage of last-known values. Merges follow [`VehicleState::merge`], even if several callers merge concurrently.
pub trait StateStore: Send + Sync {
    /// Returns the state of a vehicle; an empty one if none is stored.
    fn read(&self, vid: &VehicleId) -> impl Future<Output = Result<StoredState, PortError>> + Send;

    /// Merges newer readings. `stored` is the state that the caller read before. If another caller has merged since, the
    /// state is read and merged again. Fails with
    /// `Throttled` if that is not successful after several attempts, and with `Rejected` if the merged state is too large to
    /// be stored.
    fn merge(
        &self,
        vid: &VehicleId,
        stored: StoredState,
        readings: &VehicleState,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A vehicle's state, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredState {
    /// The state.
    pub state: VehicleState,
    /// Number of changes so far; 0 if nothing is stored.
    pub revision: u64,
}
