//! Subscriptions and the grants that follow from them.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use crate::PortError;

/// The subscriptions, and the grants that [`Entitlements`](crate::entitlements::Entitlements) answers.
///
/// A change takes several writes, and any may be the last one before a crash. So whoever changes a subscription first claims
/// its next version, which shuts out everybody who read the one before; then takes away; then keeps the changed subscription;
/// then adds. What a subscription no longer says is gone by the time that it says so.
pub trait Subscriptions: Send + Sync {
    /// Keeps a new subscription, and the change that it is; a conflict where its id is taken, or where its fleet is leaving or
    /// has left.
    fn create(
        &self,
        subscription: &Subscription,
        change: Option<&Change>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

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

    /// Replaces a subscription that is still in state `from` and at its version, as the next version, and keeps that as a
    /// change by provisioning; a conflict where it no longer is.
    fn replace(
        &self,
        subscription: &Subscription,
        from: SubscriptionState,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces a subscription that is still at its version, as the next version, and keeps the change; a conflict
    /// where it no longer is.
    fn update(
        &self,
        subscription: &Subscription,
        change: Option<&Change>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Writes the grants of a subscription that is still at its version and not revoked, vehicle by vehicle; a conflict where it
    /// no longer is. Doing it again changes nothing.
    fn write_grants(&self, subscription: &Subscription) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Takes away the grants of a subscription that is still at its version from these vehicles, or leaves `left` in their place,
    /// and raises the consent epoch of each; a conflict where it no longer is. Doing it again changes nothing but epochs.
    fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        left: Option<&Grant>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}
