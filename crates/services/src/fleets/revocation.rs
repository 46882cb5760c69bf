//! Suspend, resume and revoke subscriptions. A fleet that is offboarded has all its subscriptions revoked.

use roadcast_domain::audit::Author;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock;
use roadcast_ports::subscriptions::Subscriptions;

use super::subscription_changes::{SUBSCRIPTIONS_PER_PAGE, change_subscription};
use crate::ServiceError;

/// Attempts of a transition that conflicts with a concurrent change.
const TRANSITION_ATTEMPTS: u32 = 4;

/// A state transition of a subscription.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Stops delivery; retains data until the subscription resumes.
    Suspend,
    /// Resumes a suspended subscription.
    Resume,
    /// Ends the subscription permanently.
    Revoke,
}

impl Transition {
    /// Returns the state after the transition, or why the transition is not allowed.
    fn apply(self, state: SubscriptionState) -> Result<SubscriptionState, &'static str> {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        match (self, state) {
            (Self::Revoke, _) => Ok(Revoked),
            (_, Revoked) => Err("the subscription is revoked; create a new subscription"),
            (_, Pending | Provisioning) => Err("the subscription is not active yet; retry when it is provisioned"),
            (Self::Suspend, Active | Suspended) => Ok(Suspended),
            (Self::Resume, Active | Suspended) => Ok(Active),
        }
    }
}

/// Revokes every subscription of a fleet.
pub(crate) async fn revoke_all(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    by: &Author,
    fleet_id: &FleetId,
) -> Result<(), ServiceError> {
    let mut after = None;
    loop {
        let page = subscriptions.list(fleet_id, after.as_ref(), SUBSCRIPTIONS_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.subscription_id.clone());
        for subscription in &page {
            let key = (fleet_id, &subscription.subscription_id);
            transition_subscription(subscriptions, clock, by, key, Transition::Revoke).await?;
        }
    }
}

/// Transitions a subscription. Idempotent: a transition to the current state succeeds. Fails with `Conflict` if the
/// transition is not allowed, or if concurrent changes prevent it repeatedly.
pub(crate) async fn transition_subscription(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    by: &Author,
    (fleet_id, subscription_id): (&FleetId, &SubscriptionId),
    transition: Transition,
) -> Result<Subscription, ServiceError> {
    let mut attempts = TRANSITION_ATTEMPTS;
    loop {
        let before = subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        let state = transition.apply(before.state).map_err(ServiceError::Conflict)?;
        let wanted = Subscription { state, ..before.clone() };
        attempts -= 1;
        match change_subscription(subscriptions, clock, by.clone(), before, wanted).await {
            // Lost a concurrent update, for example to the provisioning workflow.
            Err(error) if error.kind() == PortErrorKind::Conflict && attempts > 0 => {}
            result => {
                return result.map_err(|error| {
                    ServiceError::or_conflict(error, "the subscription is being modified concurrently; retry")
                });
            }
        }
    }
}
