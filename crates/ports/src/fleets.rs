//! Fleets and their audit trail.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ChangeId, FleetId};

use crate::PortError;

/// Storage of fleets and their audit trail. A resource and its change are stored in one transaction.
pub trait Fleets: Send + Sync {
    /// Stores a new fleet and the change. Fails with `Conflict` if its id exists.
    fn create(&self, fleet: &Fleet, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces a fleet by `fleet` with the next version, and stores the change. Fails with `Conflict` if the stored
    /// version is not `fleet.version` or the fleet does not exist.
    fn update(&self, fleet: &Fleet, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the fleet with this id; `None` if it does not exist.
    fn get(&self, fleet_id: &FleetId) -> impl Future<Output = Result<Option<Fleet>, PortError>> + Send;

    /// Lists all fleets.
    fn list(&self, after: Option<&FleetId>, limit: usize) -> impl Future<Output = Result<Vec<Fleet>, PortError>> + Send;

    /// Returns at most `limit` changes of a fleet, its clients and its subscriptions, newest first, older than the change
    /// `before`.
    fn changes(
        &self,
        fleet_id: &FleetId,
        before: Option<ChangeId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Change>, PortError>> + Send;
}
