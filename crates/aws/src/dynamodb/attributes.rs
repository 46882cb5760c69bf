//! Attributes that more than one module of the `reference` table reads or writes.

/// The number of a record's version, and on the counters the number of changes so far. Conditions read it.
pub(crate) const VERSION: &str = "version";
/// The consent epoch of a fleet–vehicle pair. It is on an item of its own, so that writing a grant again never resets it.
pub(crate) const EPOCH: &str = "epoch";
/// The fleet of a grant or an epoch.
pub(crate) const GRANT_FLEET: &str = "fleetId";
/// The vehicle of a grant or an epoch.
pub(crate) const GRANT_VEHICLE: &str = "vid";
/// Present if the fleet is being offboarded or was offboarded. Writes that add something to a fleet require its absence.
pub(crate) const OFFBOARDING: &str = "offboarding";
