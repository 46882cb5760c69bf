//! Removes erased vehicles from the subscriptions of a fleet.

use roadcast_domain::audit::Author;
use roadcast_domain::erasure::ErasureScope;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clock::Clock;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use super::subscription_changes::{SUBSCRIPTIONS_PER_PAGE, change_subscription};

/// Attempts of a change that conflicts with a concurrent one.
const ATTEMPTS: u32 = 4;

/// Removes the vehicles from every subscription of a fleet, whatever its state, and returns how many changed. A subscription
/// without any other vehicle is revoked.
pub(crate) async fn remove_vehicles(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    fleet_id: &FleetId,
    scope: &ErasureScope,
) -> Result<u64, PortError> {
    let (mut after, mut changed) = (None, 0);
    loop {
        let page = subscriptions.list(fleet_id, after.as_ref(), SUBSCRIPTIONS_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok(changed) };
        after = Some(last.subscription_id.clone());
        for subscription in page.iter().filter(|subscription| has_any(subscription, scope)) {
            remove_from(subscriptions, clock, fleet_id, &subscription.subscription_id, scope).await?;
            changed += 1;
        }
    }
}

async fn remove_from(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    fleet_id: &FleetId,
    subscription_id: &SubscriptionId,
    scope: &ErasureScope,
) -> Result<(), PortError> {
    let mut attempts = ATTEMPTS;
    loop {
        let stored = subscriptions.get(fleet_id, subscription_id).await?;
        let Some(before) = stored.filter(|stored| has_any(stored, scope)) else { return Ok(()) };
        let mut wanted = before.clone();
        wanted.vehicles.retain(|vid| !scope.contains(vid));
        if wanted.vehicles.is_empty() {
            wanted.state = SubscriptionState::Revoked;
        }
        attempts -= 1;
        match change_subscription(subscriptions, clock, Author::Erasure, before, wanted).await {
            // Lost a concurrent update, for example to the provisioning workflow.
            Err(error) if error.kind() == PortErrorKind::Conflict && attempts > 0 => {}
            result => return result.map(|_| ()),
        }
    }
}

fn has_any(subscription: &Subscription, scope: &ErasureScope) -> bool {
    subscription.vehicles.iter().any(|vid| scope.contains(vid))
}
