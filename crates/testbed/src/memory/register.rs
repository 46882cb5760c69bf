//! The register of vehicles.

use std::collections::BTreeSet;
use std::ops::Bound;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::vehicles::{VehicleListing, VehicleNames, VehiclePage, VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::{Memory, World};

impl Vehicles for Memory {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        let mut world = self.world();
        let owners = world.owners_of(vehicle);
        let mut owners = owners.iter();
        match (owners.next(), owners.next()) {
            (Some(vid), None) => {
                let known = world.vehicles.get(vid).cloned();
                known.map(|known| VehicleRegistration::Existing(Box::new(known))).ok_or(conflict("registering a vehicle"))
            }
            (None, _) if !world.vehicles.contains_key(&vehicle.vid) => {
                world.keep(vehicle);
                Ok(VehicleRegistration::New)
            }
            _ => Err(conflict("registering a vehicle")),
        }
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        Ok(self.world().vehicles.get(vid).cloned())
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        let mut world = self.world();
        let follows =
            world.vehicles.get(&vehicle.vid).is_some_and(|kept| kept.version.checked_add(1) == Some(vehicle.version));
        let free = world.owners_of(vehicle).iter().all(|owner| *owner == vehicle.vid);
        if !follows || !free {
            return Err(conflict("replacing a vehicle"));
        }
        world.named.retain(|_, vid| *vid != vehicle.vid);
        world.keep(vehicle);
        Ok(())
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        let world = self.world();
        Ok(match subject {
            Subject::Vid(vid) => {
                world.vehicles.get(vid).filter(|kept| kept.retired_at.is_none()).map(|kept| kept.vid.clone())
            }
            Subject::Vin(_) | Subject::External(_) => world.named.get(subject).cloned(),
        })
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        let world = self.world();
        let after = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut listed = world
            .vehicles
            .range((after, Bound::Unbounded))
            .map(|(_, vehicle)| vehicle)
            .filter(|vehicle| page.owner.is_none() || vehicle.owner == page.owner);
        let vehicles: Vec<Vehicle> = listed.by_ref().take(page.limit.max(1)).cloned().collect();
        let more = listed.next().is_some();
        let next = vehicles.last().filter(|_| more).map(|last| last.vid.clone());
        Ok(VehiclePage { vehicles, next })
    }
}

impl VehicleNames for Memory {
    async fn resolve_all(&self, names: &[Subject]) -> Result<Vec<Option<VehicleId>>, PortError> {
        let world = self.world();
        let vid = |name: &Subject| match name {
            Subject::Vid(vid) => Some(vid.clone()),
            Subject::Vin(_) | Subject::External(_) => world.named.get(name).cloned(),
        };
        Ok(names.iter().map(vid).collect())
    }
}

impl World {
    fn owners_of(&self, vehicle: &Vehicle) -> BTreeSet<VehicleId> {
        vehicle.names().filter_map(|name| self.named.get(&name).cloned()).collect()
    }

    fn keep(&mut self, vehicle: &Vehicle) {
        self.named.extend(vehicle.names().map(|name| (name, vehicle.vid.clone())));
        self.vehicles.insert(vehicle.vid.clone(), vehicle.clone());
    }
}

fn conflict(context: &'static str) -> PortError {
    PortError::new(PortErrorKind::Conflict, context)
}
