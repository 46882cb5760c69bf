//! Fleets.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{Eid, FleetId};

use crate::PortError;

/// The fleets, and what was changed of each: every change is kept together with what it changes, or neither is.
pub trait Fleets: Send + Sync {
    /// Keeps a new fleet, and the change that it is; a conflict where its id is taken.
    fn create(&self, fleet: &Fleet, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces a fleet that is still at its version, as the next version, and keeps the change; a conflict where it no longer is.
    fn update(&self, fleet: &Fleet, change: Option<&Change>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The fleet of that id.
    fn get(&self, fleet_id: &FleetId) -> impl Future<Output = Result<Option<Fleet>, PortError>> + Send;

    /// Fleets by id, after one; at most `limit`.
    fn list(&self, after: Option<&FleetId>, limit: usize) -> impl Future<Output = Result<Vec<Fleet>, PortError>> + Send;

    /// What was changed of a fleet, its clients and its subscriptions, newest first, before one; at most `limit`.
    fn changes(
        &self,
        fleet_id: &FleetId,
        before: Option<Eid>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Change>, PortError>> + Send;
}
