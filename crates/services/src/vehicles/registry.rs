//! The vehicle registry: registers, reads, replaces and retires vehicles.

use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::{VehicleRegistration, Vehicles};

use crate::authz::{AnyClient, Sender};
use crate::{InvalidField, ServiceError, VersionCondition};

/// The package that includes a vehicle's VIN.
const IDENTIFICATION: &str = "identification";

/// Manages the vehicle registry.
pub struct VehicleRegistry<Ports: PortSet> {
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The fleets' entitlements.
    pub entitlements: Ports::Entitlements,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of random ids.
    pub randomness: Ports::Randomness,
}

impl<Ports: PortSet> VehicleRegistry<Ports> {
    /// Registers a vehicle, or returns the registered vehicle with the same VIN or an external id of it. Also returns
    /// whether the vehicle is new. Fails with `Conflict` if that vehicle has another VIN or was registered by another
    /// client, or if the VIN and the external ids belong to different vehicles.
    pub async fn register(&self, sender: &Sender, details: VehicleDetails) -> Result<(Vehicle, bool), ServiceError> {
        check(&details)?;
        let owner = sender.owner();
        let now = self.clock.now();
        let vid = VehicleId::from_random_bits(self.randomness.bits());
        let vehicle = Vehicle { vid, details, version: 1, owner, retired_at: None, created_at: now, updated_at: now };
        match self.vehicles.register(&vehicle).await {
            Ok(VehicleRegistration::New) => Ok((vehicle, true)),
            Ok(VehicleRegistration::Existing(registered)) if sender.owns(&registered) => {
                if let (Some(vin), Some(other)) = (&vehicle.details.vin, &registered.details.vin)
                    && vin != other
                {
                    return Err(ServiceError::Conflict("the vehicle with this external id has a different vin"));
                }
                Ok((*registered, false))
            }
            Ok(VehicleRegistration::Existing(_)) => {
                Err(ServiceError::Conflict("the vehicle is registered by another client"))
            }
            Err(error) => Err(ServiceError::or_conflict(error, "the vin and external ids belong to different vehicles")),
        }
    }

    /// Returns the vehicle, redacted to what the caller may see. Reads the same items whether the vehicle does not exist or the
    /// caller may not see it: otherwise the duration would reveal that it exists.
    pub async fn get(&self, caller: &AnyClient, vid: &VehicleId) -> Result<Vehicle, ServiceError> {
        let vehicle = self.vehicles.get(vid).await?;
        let visible = match caller {
            AnyClient::Fleet(owner) => {
                let entitlement = self.entitlements.entitlement(owner.fleet_id(), vid).await?;
                vehicle.zip(entitlement).and_then(|(vehicle, entitlement)| self.redact_for_fleet(vehicle, &entitlement))
            }
            AnyClient::Admin(_) => vehicle,
            AnyClient::Ingest(client) => vehicle.filter(|vehicle| client.owns(vehicle)),
        };
        visible.ok_or(ServiceError::NotFound)
    }

    /// Replaces a vehicle's details. Fails with `Stale` unless its version satisfies `condition`, and with `Conflict` if it
    /// is retired or if the VIN or an external id belongs to another vehicle.
    pub async fn replace(
        &self,
        sender: &Sender,
        vid: &VehicleId,
        details: VehicleDetails,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<Vehicle, ServiceError> {
        let registered =
            self.vehicles.get(vid).await?.filter(|registered| sender.owns(registered)).ok_or(ServiceError::NotFound)?;
        if registered.retired_at.is_some() {
            return Err(ServiceError::Conflict("the vehicle is retired; register it again to use it"));
        }
        let version = registered.version;
        if !condition.into().allows(version) {
            return Err(ServiceError::Stale);
        }
        check(&details)?;
        let changed = Vehicle { details, version: version + 1, updated_at: self.clock.now(), ..registered };
        if let Err(error) = self.vehicles.replace(&changed).await {
            // A conflict is a concurrent update, or a unique attribute of another vehicle: the version distinguishes them.
            let was_modified = self.vehicles.get(vid).await?.is_none_or(|current| current.version != version);
            return Err(if was_modified && error.kind() == PortErrorKind::Conflict {
                ServiceError::Stale
            } else {
                ServiceError::or_conflict(error, "the vin or an external id belongs to another vehicle")
            });
        }
        Ok(changed)
    }

    /// Retires a vehicle. Idempotent. Fails with `Stale` unless the version of the vehicle satisfies `condition`.
    pub async fn retire(&self, sender: &Sender, vid: &VehicleId, condition: &VersionCondition) -> Result<(), ServiceError> {
        let registered =
            self.vehicles.get(vid).await?.filter(|registered| sender.owns(registered)).ok_or(ServiceError::NotFound)?;
        if !condition.allows(registered.version) {
            return Err(ServiceError::Stale);
        }
        if registered.retired_at.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let retired = Vehicle { version: registered.version + 1, retired_at: Some(now), updated_at: now, ..registered };
        self.vehicles.replace(&retired).await.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::Stale,
            _ => error.into(),
        })
    }

    /// Returns the vehicle without its owner, and without its VIN unless the entitlement includes the package
    /// `identification`; `None` if the entitlement is not live.
    pub(super) fn redact_for_fleet(&self, mut vehicle: Vehicle, entitlement: &Entitlement) -> Option<Vehicle> {
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

fn check(details: &VehicleDetails) -> Result<(), ServiceError> {
    details.check().map_err(|faults| {
        ServiceError::Invalid(faults.into_iter().map(|f| InvalidField::new(f.pointer(), f.detail)).collect())
    })
}
