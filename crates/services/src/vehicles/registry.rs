//! The register of vehicles: registering, reading and changing what is known of them.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::{ExternalId, Vehicle, VehicleDetails};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::vehicles::{VehicleListing, VehicleRegistration, Vehicles};

use crate::{InvalidField, ServiceError};

/// The package under which a fleet sees a vehicle's VIN.
const IDENTIFICATION: &str = "identification";
/// Reads of the register for one page at most.
const READS_PER_PAGE: usize = 10;
/// Vehicles read at the same time.
const CONCURRENCY: usize = 16;

/// Keeps the register.
pub struct VehicleRegistry<V, E, K, R> {
    /// The register's store.
    pub vehicles: V,
    /// Who may see what.
    pub entitlements: E,
    /// The time.
    pub clock: K,
    /// Where ids come from.
    pub randomness: R,
}

/// Which of the vehicles are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VehicleFilter {
    /// Those with this in their make, model, an external id or an attribute, in whatever case.
    pub text: Option<String>,
    /// The one of this name elsewhere.
    pub external_id: Option<ExternalId>,
    /// Those of this make, in whatever case.
    pub make: Option<String>,
    /// Those of this model, in whatever case.
    pub model: Option<String>,
    /// Those of this year.
    pub model_year: Option<u16>,
    /// Those of this fuel type, in whatever case.
    pub fuel_type: Option<String>,
    /// Retired ones in place of those in service.
    pub retired: bool,
}

impl VehicleFilter {
    fn takes(&self, vehicle: &Vehicle) -> bool {
        let details = &vehicle.details;
        let same = |asked: &Option<String>, there: &Option<String>| {
            let there = there.as_deref().unwrap_or_default().to_lowercase();
            asked.as_ref().is_none_or(|asked| asked.to_lowercase() == there)
        };
        self.retired == vehicle.retired_at.is_some()
            && same(&self.make, &details.make)
            && same(&self.model, &details.model)
            && same(&self.fuel_type, &details.fuel_type)
            && self.model_year.is_none_or(|year| details.model_year == Some(year))
            && self.text.as_ref().is_none_or(|text| has_text(details, &text.to_lowercase()))
    }
}

/// Whether the vehicle's description has that lower-case text in it. The VIN is not searched: who asks would write it into an
/// address.
fn has_text(details: &VehicleDetails, text: &str) -> bool {
    let named = [&details.make, &details.model].into_iter().flatten().map(String::as_str);
    let external = details.external_ids.iter().map(ExternalId::value);
    let attributes = details.attributes.values().map(String::as_str);
    named.chain(external).chain(attributes).any(|there| there.to_lowercase().contains(text))
}

/// A page of vehicles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleList {
    /// The vehicles, as the caller may see them.
    pub vehicles: Vec<Vehicle>,
    /// After which the next page goes on, if there may be more.
    pub next: Option<VehicleId>,
}

impl<V: Vehicles, E: Entitlements, K: Clock, R: Randomness> VehicleRegistry<V, E, K, R> {
    /// Registers a vehicle, or finds the one that has its VIN or an external id of its; says whether it is new.
    pub async fn register(&self, caller: &Caller, details: VehicleDetails) -> Result<(Vehicle, bool), ServiceError> {
        let owner = registrar(caller)?;
        check(&details)?;
        let now = self.clock.now();
        let vid = VehicleId::from_random(self.randomness.bits());
        let vehicle = Vehicle { vid, details, version: 1, owner, retired_at: None, created_at: now, updated_at: now };
        match self.vehicles.register(&vehicle).await {
            Ok(VehicleRegistration::New) => Ok((vehicle, true)),
            Ok(VehicleRegistration::Existing(known)) if owns(caller, &known) => {
                if let (Some(vin), Some(other)) = (&vehicle.details.vin, &known.details.vin)
                    && vin != other
                {
                    return Err(ServiceError::Conflict("the vehicle with this external id has another vin"));
                }
                Ok((*known, false))
            }
            Ok(VehicleRegistration::Existing(_)) => {
                Err(ServiceError::Conflict("the vehicle is registered by another client"))
            }
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
        if known.retired_at.is_some() {
            return Err(ServiceError::Conflict("the vehicle is retired; register it anew to bring it back"));
        }
        if known.version != version {
            return Err(ServiceError::Stale);
        }
        check(&details)?;
        let changed = Vehicle { details, version: version + 1, updated_at: self.clock.now(), ..known };
        if let Err(error) = self.vehicles.replace(&changed).await {
            // A conflict is a lost race, or an attribute that is another vehicle's: the version tells which.
            let lost = self.vehicles.get(vid).await?.is_none_or(|now| now.version != version);
            return Err(if lost && error.kind() == PortErrorKind::Conflict {
                ServiceError::Stale
            } else {
                ServiceError::or_conflict(error, "the vin or an external id belongs to another vehicle")
            });
        }
        Ok(changed)
    }

    /// Takes a vehicle out of service, if it is still at `version` where one is named. Doing it again changes nothing.
    pub async fn retire(&self, caller: &Caller, vid: &VehicleId, version: Option<u64>) -> Result<(), ServiceError> {
        registrar(caller)?;
        let known = self.vehicles.get(vid).await?.filter(|known| owns(caller, known)).ok_or(ServiceError::NotFound)?;
        if version.is_some_and(|version| version != known.version) {
            return Err(ServiceError::Stale);
        }
        if known.retired_at.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let retired = Vehicle { version: known.version + 1, retired_at: Some(now), updated_at: now, ..known };
        self.vehicles.replace(&retired).await.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::Stale,
            _ => error.into(),
        })
    }

    /// A page of the vehicles that the caller may see. Where few of many are asked for, a page is short and leads on.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &VehicleFilter,
        after: Option<VehicleId>,
        limit: usize,
    ) -> Result<VehicleList, ServiceError> {
        if let Some(name) = &filter.external_id {
            return self.named(caller, filter, name).await;
        }
        let mut list = VehicleList { vehicles: Vec::new(), next: after };
        for read in 0..READS_PER_PAGE {
            if list.vehicles.len() == limit || (read > 0 && list.next.is_none()) {
                break;
            }
            let page = self.page(caller, list.next, limit - list.vehicles.len()).await?;
            list.vehicles.extend(page.vehicles.into_iter().filter(|vehicle| filter.takes(vehicle)));
            list.next = page.next;
        }
        Ok(list)
    }

    /// The one vehicle of that name.
    async fn named(&self, caller: &Caller, filter: &VehicleFilter, name: &ExternalId) -> Result<VehicleList, ServiceError> {
        let vid = self.vehicles.resolve(&Subject::External(name.clone())).await?;
        let found = match vid {
            None => Err(ServiceError::NotFound),
            Some(vid) => self.get(caller, &vid).await,
        };
        match found {
            Ok(vehicle) => {
                let vehicles = Some(vehicle).filter(|vehicle| filter.takes(vehicle)).into_iter().collect();
                Ok(VehicleList { vehicles, next: None })
            }
            Err(ServiceError::NotFound) => Ok(VehicleList::default()),
            Err(error) => Err(error),
        }
    }

    async fn page(&self, caller: &Caller, after: Option<VehicleId>, limit: usize) -> Result<VehicleList, ServiceError> {
        let owner = match caller {
            Caller::Fleet(fleet_id) => return self.page_of_fleet(fleet_id, after, limit).await,
            Caller::Admin(_) => None,
            Caller::Ingest(client_id) => Some(client_id.clone()),
        };
        let page = self.vehicles.list(&VehicleListing { owner, after, limit }).await?;
        Ok(VehicleList { vehicles: page.vehicles, next: page.next })
    }

    async fn page_of_fleet(
        &self,
        fleet_id: &FleetId,
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
        .map_err(|wrong| ServiceError::Invalid(wrong.into_iter().map(|w| InvalidField::new(w.pointer, w.detail)).collect()))
}
