//! Subscriptions and the grants that follow from them.

use std::future::Future;

use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use crate::PortError;

/// The subscriptions. Whoever moves one to `active` makes its grants visible to [`Entitlements`](crate::entitlements::Entitlements).
pub trait Subscriptions: Send + Sync {
    /// Keeps a new subscription; a conflict where its id is taken.
    fn create(&self, subscription: &Subscription) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The subscription of that id.
    fn get(
        &self,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<Subscription>, PortError>> + Send;

    /// A fleet's subscriptions by id, after one; at most `limit`.
    fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Subscription>, PortError>> + Send;

    /// Replaces a subscription that is still in state `from`; a conflict where it no longer is.
    fn replace(
        &self,
        subscription: &Subscription,
        from: SubscriptionState,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Writes the subscription's grants, vehicle by vehicle. Doing it again changes nothing.
    fn write_grants(&self, subscription: &Subscription) -> impl Future<Output = Result<(), PortError>> + Send;
}
