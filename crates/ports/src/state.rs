//! The last-known values of each vehicle.

use std::future::Future;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;

use crate::PortError;

/// Last-known values. Merging follows [`VehicleState::merge`], whoever else merges at the same time.
pub trait StateStore: Send + Sync {
    /// Takes in newer readings.
    fn merge(&self, vid: &VehicleId, readings: &VehicleState) -> impl Future<Output = Result<(), PortError>> + Send;

    /// What is known of a vehicle; empty where nothing is. Reads what was merged just before.
    fn read(&self, vid: &VehicleId) -> impl Future<Output = Result<VehicleState, PortError>> + Send;
}
