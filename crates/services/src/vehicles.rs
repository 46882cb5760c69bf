//! The register of vehicles: registering, reading and changing what is known of them.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::vehicles::{Registered, VehicleListing, Vehicles};

use crate::{ServiceError, Wrong};

/// The package under which a fleet sees a vehicle's VIN.
const IDENTIFICATION: &str = "identification";
/// Vehicles read at the same time.
const CONCURRENCY: usize = 16;

/// Keeps the register.
pub struct Register<V, E, K, R> {
    /// The register's store.
    pub vehicles: V,
    /// Who may see what.
    pub entitlements: E,
    /// The time.
    pub clock: K,
    /// Where ids come from.
    pub randomness: R,
}

/// A page of vehicles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleList {
    /// The vehicles, as the caller may see them.
    pub vehicles: Vec<Vehicle>,
    /// After which the next page goes on, if there may be more.
    pub next: Option<VehicleId>,
}

impl<V: Vehicles, E: Entitlements, K: Clock, R: Randomness> Register<V, E, K, R> {
    /// Registers a vehicle, or finds the one that has its VIN or an external id of its; says whether it is new.
    pub async fn register(&self, caller: &Caller, details: VehicleDetails) -> Result<(Vehicle, bool), ServiceError> {
        let owner = registrar(caller)?;
        check(&details)?;
        let now = self.clock.now();
        let vid = VehicleId::from_random(self.randomness.bits());
        let vehicle = Vehicle { vid, details, version: 1, owner, created_at: now, updated_at: now };
        match self.vehicles.register(&vehicle).await {
            Ok(Registered::New) => Ok((vehicle, true)),
            Ok(Registered::Known(known)) if owns(caller, &known) => Ok((*known, false)),
            Ok(Registered::Known(_)) => Err(ServiceError::Conflict("the vehicle is registered by another client")),
            Err(error) => Err(ServiceError::or_conflict(error, "the vin and external ids belong to different vehicles")),
        }
    }

    /// The vehicle, as the caller may see it.
    pub async fn get(&self, caller: &Caller, vid: &VehicleId) -> Result<Vehicle, ServiceError> {
        let vehicle = self.vehicles.get(vid).await?.ok_or(ServiceError::NotFound)?;
        match caller {
            Caller::Fleet(fleet_id) => {
                let entitlement = self.entitlements.of_fleet_to_vehicle(fleet_id, vid).await?;
                entitlement.and_then(|entitlement| self.seen_by_fleet(vehicle, &entitlement)).ok_or(ServiceError::NotFound)
            }
            Caller::Admin(_) | Caller::Ingest(_) => owns(caller, &vehicle).then_some(vehicle).ok_or(ServiceError::NotFound),
        }
    }

    /// Changes what is known of a vehicle, if it is still at `version`.
    pub async fn replace(
        &self,
        caller: &Caller,
        vid: &VehicleId,
        details: VehicleDetails,
        version: u64,
    ) -> Result<Vehicle, ServiceError> {
        registrar(caller)?;
        let known = self.vehicles.get(vid).await?.filter(|known| owns(caller, known)).ok_or(ServiceError::NotFound)?;
        if known.version != version {
            return Err(ServiceError::Stale);
        }
        check(&details)?;
        let changed = Vehicle { details, version: version + 1, updated_at: self.clock.now(), ..known };
        if let Err(error) = self.vehicles.replace(&changed).await {
            // A conflict is a lost race, or an attribute that is another vehicle's: the version tells which.
            let lost = self.vehicles.get(vid).await?.is_none_or(|now| now.version != version);
            return Err(if lost && error.kind() == roadcast_ports::PortErrorKind::Conflict {
                ServiceError::Stale
            } else {
                ServiceError::or_conflict(error, "the vin or an external id belongs to another vehicle")
            });
        }
        Ok(changed)
    }

    /// A page of the vehicles that the caller may see.
    pub async fn list(&self, caller: &Caller, after: Option<VehicleId>, limit: usize) -> Result<VehicleList, ServiceError> {
        let owner = match caller {
            Caller::Fleet(fleet_id) => return self.list_of_fleet(fleet_id, after, limit).await,
            Caller::Admin(_) => None,
            Caller::Ingest(client_id) => Some(client_id.clone()),
        };
        let page = self.vehicles.list(&VehicleListing { owner, after, limit }).await?;
        Ok(VehicleList { vehicles: page.vehicles, next: page.next })
    }

    async fn list_of_fleet(
        &self,
        fleet_id: &roadcast_domain::ids::FleetId,
        after: Option<VehicleId>,
        limit: usize,
    ) -> Result<VehicleList, ServiceError> {
        let entitlements = self.entitlements.of_fleet(fleet_id, after.as_ref(), limit).await?;
        let next = entitlements.last().filter(|_| entitlements.len() == limit).map(|last| last.vid.clone());
        let vehicles: Vec<Option<Vehicle>> = stream::iter(entitlements.into_iter().map(|entitlement| async move {
            let vehicle = self.vehicles.get(&entitlement.vid).await?;
            Ok::<_, ServiceError>(vehicle.and_then(|vehicle| self.seen_by_fleet(vehicle, &entitlement)))
        }))
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
        Ok(VehicleList { vehicles: vehicles.into_iter().flatten().collect(), next })
    }

    /// The vehicle without what the fleet may not see of it: the VIN but under `identification`, and who registered it.
    fn seen_by_fleet(&self, mut vehicle: Vehicle, entitlement: &Entitlement) -> Option<Vehicle> {
        let now = self.clock.now();
        if !entitlement.is_live(now) {
            return None;
        }
        if !entitlement.has_package(IDENTIFICATION, now) {
            vehicle.details.vin = None;
        }
        vehicle.owner = None;
        Some(vehicle)
    }
}

/// Whether the caller may register vehicles, and as whose.
fn registrar(caller: &Caller) -> Result<Option<ClientId>, ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(None),
        Caller::Ingest(client_id) => Ok(Some(client_id.clone())),
        Caller::Fleet(_) => Err(ServiceError::Forbidden("fleets read vehicles; admins and ingest clients register them")),
    }
}

fn owns(caller: &Caller, vehicle: &Vehicle) -> bool {
    match caller {
        Caller::Admin(_) => true,
        Caller::Ingest(client_id) => vehicle.owner.as_ref() == Some(client_id),
        Caller::Fleet(_) => false,
    }
}

fn check(details: &VehicleDetails) -> Result<(), ServiceError> {
    details
        .check()
        .map_err(|wrong| ServiceError::Invalid(wrong.into_iter().map(|w| Wrong::new(w.pointer, w.detail)).collect()))
}
