//! The vehicle registry.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::NameHistory;
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
                state.take_names(vehicle);
                state.vehicles.insert(vehicle.vid.clone(), vehicle.clone());
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
        let before = state.vehicles.get(&vehicle.vid).cloned().ok_or(conflict("replacing a vehicle"))?;
        let is_next_version = before.version.checked_add(1) == Some(vehicle.version);
        let names_are_free = state.owners_of(vehicle).iter().all(|owner| *owner == vehicle.vid);
        if !is_next_version || !names_are_free {
            return Err(conflict("replacing a vehicle"));
        }
        let kept: HashSet<VehicleName> = vehicle.names().collect();
        for name in before.names().filter(|name| !kept.contains(name)) {
            let history = state.names.entry(name).or_default();
            if let Some(released) = history.released_by(&vehicle.vid, vehicle.updated_at) {
                *history = released;
            }
        }
        state.take_names(vehicle);
        state.vehicles_version += u64::from(!vehicle.resolves_like(&before));
        state.vehicles.insert(vehicle.vid.clone(), vehicle.clone());
        Ok(())
    }

    async fn history(&self, subject: &Subject) -> Result<Option<NameHistory>, PortError> {
        let state = self.state();
        let name = match subject.clone() {
            Subject::Vid(vid) if state.erased_vehicles.contains(&vid) => {
                return Ok(Some(NameHistory::of_erased_vehicle_id(vid)));
            }
            Subject::Vid(vid) => {
                let vehicle = state.vehicles.get(&vid);
                return Ok(vehicle.map(|vehicle| NameHistory::of_vehicle_id(vid, vehicle.retired_at)));
            }
            Subject::Vin(vin) => VehicleName::Vin(vin),
            Subject::External(id) => VehicleName::External(id),
        };
        Ok(state.names.get(&name).cloned())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(self.state().vehicles_version)
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
        Ok(names.iter().map(|name| state.holder(name).cloned()).collect())
    }
}

impl MemoryState {
    fn holder(&self, name: &VehicleName) -> Option<&VehicleId> {
        self.names.get(name).and_then(NameHistory::current)
    }

    fn owners_of(&self, vehicle: &Vehicle) -> BTreeSet<VehicleId> {
        vehicle.names().filter_map(|name| self.holder(&name).cloned()).collect()
    }

    /// Makes the vehicle the holder of its names, which no other vehicle may have.
    fn take_names(&mut self, vehicle: &Vehicle) {
        for name in vehicle.names() {
            let history = self.names.entry(name).or_default();
            if let Some(held) = history.held_by(&vehicle.vid, vehicle.updated_at) {
                *history = held;
            }
        }
    }
}

fn conflict(context: &'static str) -> PortError {
    PortError::new(PortErrorKind::Conflict, context)
}
