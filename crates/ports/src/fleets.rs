//! Fleets.

use std::future::Future;

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;

use crate::PortError;

/// The fleets.
pub trait Fleets: Send + Sync {
    /// Keeps a new fleet; a conflict where its id is taken.
    fn create(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The fleet of that id.
    fn get(&self, fleet_id: &FleetId) -> impl Future<Output = Result<Option<Fleet>, PortError>> + Send;

    /// Fleets by id, after one; at most `limit`.
    fn list(&self, after: Option<&FleetId>, limit: usize) -> impl Future<Output = Result<Vec<Fleet>, PortError>> + Send;
}
