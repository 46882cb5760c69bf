//! Vehicles: the registry, and the vehicles that bulk files assign to a fleet.

pub mod fleet_vehicles;
pub mod listing;
pub mod registry;
