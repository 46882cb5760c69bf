use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::stream::{self, StreamExt as _};
use lru::LruCache;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;

use super::{CAPACITY, TTL_MS, TtlCache};
use crate::CONCURRENT_READS;

/// Caches the entitlements to each vehicle until the version of all entitlements changes.
pub struct CachedEntitlements<Ports: PortSet> {
    entitlements: Ports::Entitlements,
    clock: Ports::Clock,
    version: TtlCache<(), u64>,
    by_vehicle: Mutex<VersionedEntitlements>,
    packages: TtlCache<(), Packages>,
}

/// The entitlements that were read under one version.
struct VersionedEntitlements {
    version: u64,
    by_vehicle: LruCache<VehicleId, Vec<Entitlement>>,
}

impl VersionedEntitlements {
    fn new(version: u64) -> Self {
        Self { version, by_vehicle: LruCache::sparse(CAPACITY) }
    }
}

impl<Ports: PortSet> CachedEntitlements<Ports> {
    /// An empty cache over `entitlements`.
    pub fn new(entitlements: Ports::Entitlements, clock: Ports::Clock) -> Self {
        Self {
            entitlements,
            clock,
            version: TtlCache::new(TTL_MS),
            by_vehicle: Mutex::new(VersionedEntitlements::new(0)),
            packages: TtlCache::new(TTL_MS),
        }
    }

    /// Returns the entitlements to each of these vehicles. Reads the vehicles concurrently.
    pub(crate) async fn list_by_vehicles(
        &self,
        vids: BTreeSet<VehicleId>,
    ) -> BTreeMap<VehicleId, Result<Vec<Entitlement>, PortError>> {
        // Read in advance, otherwise each of the first concurrent look-ups would read it.
        if let Err(error) = self.version().await {
            return vids.into_iter().map(|vid| (vid, Err(error.clone()))).collect();
        }
        let look_ups = vids.into_iter().map(|vid| async move {
            let entitlements = self.list_by_vehicle(&vid).await;
            (vid, entitlements)
        });
        stream::iter(look_ups).buffer_unordered(CONCURRENT_READS).collect().await
    }
}

impl<Ports: PortSet> Entitlements for CachedEntitlements<Ports> {
    async fn list_by_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        let version = self.version().await?;
        {
            let mut cached = self.by_vehicle.lock().unwrap_or_else(PoisonError::into_inner);
            if cached.version != version {
                *cached = VersionedEntitlements::new(version);
            }
            if let Some(entitlements) = cached.by_vehicle.get(vid) {
                return Ok(entitlements.clone());
            }
        }
        let entitlements = self.entitlements.list_by_vehicle(vid).await?;
        let mut cached = self.by_vehicle.lock().unwrap_or_else(PoisonError::into_inner);
        // If the version changed during the read, the entitlements may be outdated.
        if cached.version == version {
            cached.by_vehicle.put(vid.clone(), entitlements.clone());
        }
        Ok(entitlements)
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.version.get_or_load(&(), self.clock.now(), || self.entitlements.version()).await
    }

    async fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        let all = self.list_by_vehicle(vid).await?;
        Ok(all.into_iter().find(|entitlement| entitlement.fleet_id == *fleet_id))
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        self.entitlements.list_by_fleet(fleet_id, after, limit).await
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        self.packages.get_or_load(&(), self.clock.now(), || self.entitlements.packages()).await
    }
}
