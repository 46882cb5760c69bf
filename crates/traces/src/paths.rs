//! Signal paths that several readers and the simulator produce.

pub(crate) const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";
pub(crate) const LONGITUDE: &str = "Vehicle.CurrentLocation.Longitude";
pub(crate) const SPEED: &str = "Vehicle.Speed";

#[cfg(test)]
pub(crate) mod tests;
