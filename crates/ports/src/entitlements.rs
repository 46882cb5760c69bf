//! Entitlements: which fleet may see what of which vehicle.

use std::future::Future;

use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;

use crate::PortError;

/// Reads entitlements. They contain the grants of active and suspended subscriptions, whatever their validity: the
/// validity is checked at each use, so that expiry needs no job.
pub trait Entitlements: Send + Sync {
    /// Returns the entitlements of all fleets to one vehicle.
    fn list_by_vehicle(&self, vid: &VehicleId) -> impl Future<Output = Result<Vec<Entitlement>, PortError>> + Send;

    /// Returns the entitlement of a fleet to a vehicle. `None`, or an entitlement without grants, if the fleet has none.
    fn entitlement(
        &self,
        fleet_id: &FleetId,
        vid: &VehicleId,
    ) -> impl Future<Output = Result<Option<Entitlement>, PortError>> + Send;

    /// Lists the entitlements of a fleet, ordered by vehicle id.
    fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entitlement>, PortError>> + Send;

    /// Returns a number that differs after every change of an entitlement or a package. A cache compares it to detect
    /// changes.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Returns all packages: the built-in and the custom ones.
    fn packages(&self) -> impl Future<Output = Result<Packages, PortError>> + Send;
}
