//! Who may see what.

use std::future::Future;

use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;

use crate::PortError;

/// What fleets may see. Answers hold the grants of active and suspended subscriptions, whatever their validity: that is
/// compared at each use, so that expiry needs no job.
pub trait Entitlements: Send + Sync {
    /// Every fleet's entitlement to one vehicle.
    fn to_vehicle(&self, vid: &VehicleId) -> impl Future<Output = Result<Vec<Entitlement>, PortError>> + Send;

    /// One fleet's entitlement to one vehicle.
    fn of_fleet_to_vehicle(
        &self,
        fleet_id: &FleetId,
        vid: &VehicleId,
    ) -> impl Future<Output = Result<Option<Entitlement>, PortError>> + Send;

    /// One fleet's entitlements, by vehicle id, after one; at most `limit`.
    fn of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entitlement>, PortError>> + Send;

    /// A number that is another after every change to what any fleet may see. Who remembers answers asks for it first.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// The packages there are.
    fn packages(&self) -> impl Future<Output = Result<Packages, PortError>> + Send;
}
