//! Subscriptions and their grants.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use crate::PortError;

/// Storage of subscriptions, and of the grants that [`Entitlements`](crate::entitlements::Entitlements) returns.
///
/// A change needs several writes, and a crash may occur after each of them. Therefore a caller changes a subscription in
/// this order: it claims the next version, so that every caller that read the previous version fails with `Conflict`; it
/// removes grants; it stores the changed subscription; it adds grants. So rights that a subscription no longer contains
/// are removed before the subscription is stored without them. A caller that only adds grants also claims the version under
/// which it writes them; otherwise it could restore what a change in progress has removed.
pub trait Subscriptions: Send + Sync {
    /// Stores a new subscription and the change in one transaction. Fails with `Conflict` if its id exists, or if its
    /// fleet is being offboarded or is offboarded.
    fn create(&self, subscription: &Subscription, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a fleet's subscription; `None` if it does not exist.
    fn get(
        &self,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<Subscription>, PortError>> + Send;

    /// Lists the subscriptions of a fleet.
    fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Subscription>, PortError>> + Send;

    /// Replaces a subscription by `subscription` with the next version, and stores this as a change by the provisioning,
    /// in one transaction. Fails with `Conflict` if the stored state is not `from`, the stored version is not
    /// `subscription.version`, or the subscription does not exist.
    fn replace(
        &self,
        subscription: &Subscription,
        from: SubscriptionState,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces a subscription by `subscription` with the next version, and stores the change, in one transaction. Fails
    /// with `Conflict` if the stored version is not `subscription.version` or the subscription does not exist.
    fn update(&self, subscription: &Subscription, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Claims the next version of a subscription: stores the subscription as it was read, with the next version. Fails with
    /// `Conflict` if the stored version is not `stored.version` or the subscription does not exist.
    ///
    /// It stores no change: the claim changes nothing but the version. The [`update`](Self::update) that follows stores it.
    fn claim_version(&self, stored: &Subscription) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Writes the grants of a subscription, vehicle by vehicle. Fails with `Conflict` if the stored version is not
    /// `subscription.version` or the subscription is revoked. Idempotent.
    fn write_grants(&self, subscription: &Subscription) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes the grants of a subscription to these vehicles, or replaces them by `remaining`, and increments the
    /// consent epoch of each. Fails with `Conflict` if the stored version is not `subscription.version`. A repeated call
    /// changes only the epochs.
    fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        remaining: Option<&Grant>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}
