//! Fleets and their audit trail.

use std::collections::BTreeMap;
use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ChangeId, FleetId};

use crate::PortError;

/// Storage of fleets and their audit trail. A resource and its change are stored in one transaction.
pub trait Fleets: Send + Sync {
    /// Stores a new fleet with a place on its delivery bus, and the change. Stores nothing and returns
    /// [`FleetCreation::BusFull`] if `places` fleets already have a place on that bus, however many callers create fleets
    /// concurrently. Fails with `Conflict` if the fleet's id exists.
    fn create_within(
        &self,
        fleet: &Fleet,
        places: u32,
        change: &Change,
    ) -> impl Future<Output = Result<FleetCreation, PortError>> + Send;

    /// Stores a new fleet and the change like [`create_within`](Self::create_within), on a bus without a limit.
    fn create(&self, fleet: &Fleet, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send {
        async { self.create_within(fleet, u32::MAX, change).await.map(|_| ()) }
    }

    /// Returns the number of fleets that have a place on each delivery bus. A bus that never had a fleet is absent.
    fn bus_counts(&self) -> impl Future<Output = Result<BTreeMap<String, u32>, PortError>> + Send;

    /// Replaces a fleet like [`update`](Self::update), and frees the place on its bus that it had before.
    fn release_bus(&self, fleet: &Fleet, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

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

/// The result of [`Fleets::create_within`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FleetCreation {
    /// The fleet was stored.
    Created,
    /// The bus has no place left; nothing was stored.
    BusFull,
}
