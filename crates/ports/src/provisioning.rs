//! Making what a fleet needs to be delivered to.

use std::future::Future;

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};

use crate::PortError;

/// The workflow that provisions a subscription.
pub trait ProvisioningWorkflow: Send + Sync {
    /// Starts it. Starting it again for the same subscription changes nothing.
    fn start(
        &self,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A fleet's queue and rule. Both methods may be repeated: they converge.
pub trait FleetChannel: Send + Sync {
    /// The queue, its dead-letter queue, and the right of the fleet's rule to send to them.
    fn ensure_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The rule on the fleet's delivery bus and its target, the queue.
    fn ensure_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;
}
