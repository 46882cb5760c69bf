//! Reads of a vehicle that depend on what the caller may see.

use roadcast_domain::ids::VehicleId;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles;

use super::visibility::Visibility;
use crate::ServiceError;
use crate::authz::Reader;
use crate::cache::CachedEntitlements;

/// How often a read starts, at most. It starts again if the entitlement changed while it ran.
const MAX_STARTS: usize = 2;

/// Queries a vehicle's events and history.
pub struct VehicleQueries<Ports: PortSet> {
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The event log.
    pub log: Ports::EventLog,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Runs `read` with what the caller may see of the vehicle, and returns its result if that is still the same afterwards.
    /// Otherwise a long read would return what was revoked while it ran: aggregates cannot be redacted again. Fails with
    /// `NotFound` if the caller must not learn that the vehicle exists, and with `EntitlementChanged` if the entitlement
    /// changes again while `read` runs again.
    pub(super) async fn with_visibility<Output, Reading>(
        &self,
        reader: &Reader,
        vid: &VehicleId,
        read: impl Fn(Visibility) -> Reading + Send + Sync,
    ) -> Result<Output, ServiceError>
    where
        Output: Send,
        Reading: Future<Output = Result<Output, ServiceError>> + Send,
    {
        let mut visibility = self.visibility(reader, vid).await?;
        for _ in 0..MAX_STARTS {
            let output = read(visibility.clone()).await?;
            if visibility.is_everything() {
                return Ok(output);
            }
            let current = self.visibility(reader, vid).await?;
            if current == visibility {
                return Ok(output);
            }
            visibility = current;
        }
        Err(ServiceError::EntitlementChanged)
    }

    async fn visibility(&self, reader: &Reader, vid: &VehicleId) -> Result<Visibility, ServiceError> {
        match reader {
            Reader::Admin(_) => {
                self.vehicles.get(vid).await?.ok_or(ServiceError::NotFound)?;
                Ok(Visibility::Everything)
            }
            Reader::Fleet(owner) => {
                let entitlement = self.entitlements.entitlement(owner.fleet_id(), vid).await?;
                let packages = self.entitlements.packages().await?;
                let now = self.clock.now();
                let entitlement = entitlement.filter(|entitlement| entitlement.is_live(now));
                Ok(Visibility::redacted(entitlement.ok_or(ServiceError::NotFound)?, packages, now))
            }
        }
    }
}
