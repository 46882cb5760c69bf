//! The vehicle registry.

use std::collections::BTreeSet;
use std::ops::Bound;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::vehicles::{VehicleListing, VehicleNames, VehiclePage, VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;
use super::state::MemoryState;

impl Vehicles for Memory {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        let mut state = self.state();
        let owners = state.owners_of(vehicle);
        let mut owners = owners.iter();
        match (owners.next(), owners.next()) {
            (Some(vid), None) => {
                let stored = state.vehicles.get(vid).cloned();
                stored.map(|stored| VehicleRegistration::Existing(Box::new(stored))).ok_or(conflict("registering a vehicle"))
            }
            (None, _) if !state.vehicles.contains_key(&vehicle.vid) => {
                state.store_vehicle(vehicle);
                Ok(VehicleRegistration::New)
            }
            _ => Err(conflict("registering a vehicle")),
        }
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        Ok(self.state().vehicles.get(vid).cloned())
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        let mut state = self.state();
        let is_next_version =
            state.vehicles.get(&vehicle.vid).is_some_and(|stored| stored.version.checked_add(1) == Some(vehicle.version));
        let names_are_free = state.owners_of(vehicle).iter().all(|owner| *owner == vehicle.vid);
        if !is_next_version || !names_are_free {
            return Err(conflict("replacing a vehicle"));
        }
        state.vids_by_name.retain(|_, vid| *vid != vehicle.vid);
        state.store_vehicle(vehicle);
        Ok(())
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        let state = self.state();
        Ok(match subject {
            Subject::Vid(vid) => {
                state.vehicles.get(vid).filter(|stored| stored.retired_at.is_none()).map(|stored| stored.vid.clone())
            }
            Subject::Vin(_) | Subject::External(_) => state.vids_by_name.get(subject).cloned(),
        })
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        let state = self.state();
        let after = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut listed = state
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
    async fn resolve_all(&self, names: &[VehicleName]) -> Result<Vec<Option<VehicleId>>, PortError> {
        let state = self.state();
        Ok(names.iter().map(|name| state.vids_by_name.get(&Subject::from(name.clone())).cloned()).collect())
    }
}

impl MemoryState {
    fn owners_of(&self, vehicle: &Vehicle) -> BTreeSet<VehicleId> {
        vehicle.names().filter_map(|name| self.vids_by_name.get(&Subject::from(name)).cloned()).collect()
    }

    fn store_vehicle(&mut self, vehicle: &Vehicle) {
        self.vids_by_name.extend(vehicle.names().map(|name| (Subject::from(name), vehicle.vid.clone())));
        self.vehicles.insert(vehicle.vid.clone(), vehicle.clone());
    }
}

fn conflict(context: &'static str) -> PortError {
    PortError::new(PortErrorKind::Conflict, context)
}
