//! The last-known values of each vehicle.

use std::future::Future;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;

use crate::PortError;

/// Last-known values. Merging follows [`VehicleState::merge`], whoever else merges at the same time.
pub trait StateStore: Send + Sync {
    /// What is known of a vehicle; empty where nothing is. Reads what was merged just before.
    fn read(&self, vid: &VehicleId) -> impl Future<Output = Result<StoredState, PortError>> + Send;

    /// Takes in newer readings. `known` is what was read before: where somebody else merged meanwhile, it is read again.
    fn merge(
        &self,
        vid: &VehicleId,
        known: StoredState,
        readings: &VehicleState,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A vehicle's state as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredState {
    /// The state.
    pub state: VehicleState,
    /// How often it was changed before; 0 where nothing is known.
    pub revision: u64,
}
