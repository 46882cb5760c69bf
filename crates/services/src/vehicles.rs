//! Vehicles: the registry, and which vehicles bulk files assign to a fleet.

pub mod fleet_vehicles;
pub mod registry;
