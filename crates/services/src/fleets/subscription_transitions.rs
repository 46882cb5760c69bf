//! Changes of subscriptions: suspends, resumes, revokes and replaces them. The order of the writes ensures that an
//! interrupted change grants less than the subscription's record states, never more.

use std::collections::BTreeSet;

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clock::Clock;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use crate::ServiceError;

/// Attempts of a transition that conflicts with a concurrent change.
const TRANSITION_ATTEMPTS: u32 = 4;
/// Subscriptions per page.
const PAGE: usize = 100;

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

/// Whether any subscription of the fleet satisfies `predicate`.
pub(crate) async fn has_subscription(
    subscriptions: &impl Subscriptions,
    fleet_id: &FleetId,
    predicate: impl Fn(&Subscription) -> bool + Send,
) -> Result<bool, PortError> {
    let mut after = None;
    loop {
        let page = subscriptions.list(fleet_id, after.as_ref(), PAGE).await?;
        if page.iter().any(&predicate) {
            return Ok(true);
        }
        match page.last() {
            Some(last) => after = Some(last.subscription_id.clone()),
            None => return Ok(false),
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
        let page = subscriptions.list(fleet_id, after.as_ref(), PAGE).await?;
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

/// Changes the stored subscription to `wanted`:
///
/// 1. claims a version, so that writers that read an earlier version fail;
/// 2. removes grants that are no longer covered;
/// 3. updates the record;
/// 4. adds grants that are newly covered.
///
/// If the change is interrupted, less is readable than the record states, never more. Repeating the change completes it.
pub(crate) async fn change_subscription(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    by: Author,
    mut stored: Subscription,
    wanted: Subscription,
) -> Result<Subscription, PortError> {
    let remaining_grant =
        Grant::effective(&stored).zip(Grant::effective(&wanted)).and_then(|(before, after)| before.intersection(&after));
    let covered: BTreeSet<&VehicleId> = remaining_grant.iter().flat_map(|_| &wanted.vehicles).collect();
    let (remaining_vehicles, removed_vehicles): (Vec<VehicleId>, Vec<VehicleId>) =
        stored.vehicles.iter().cloned().partition(|vid| covered.contains(vid));
    let is_narrower =
        Grant::effective(&stored).zip(remaining_grant.as_ref()).is_some_and(|(before, remaining)| before.exceeds(remaining));
    let is_changed = stored != wanted;

    if is_changed && stored.state != SubscriptionState::Revoked && (is_narrower || !removed_vehicles.is_empty()) {
        // The audit change is recorded together with the record below.
        subscriptions.update(&stored, None).await?;
        stored.version += 1;
        if !removed_vehicles.is_empty() {
            subscriptions.narrow_grants(&stored, &removed_vehicles, None).await?;
        }
        if is_narrower {
            subscriptions.narrow_grants(&stored, &remaining_vehicles, remaining_grant.as_ref()).await?;
        }
    }
    let mut wanted = Subscription { version: stored.version, ..wanted };
    if is_changed {
        wanted.updated_at = clock.now();
        let change = Change::subscription_changed(by, Some(&stored), &wanted);
        subscriptions.update(&wanted, Some(&change)).await?;
        wanted.version += 1;
    }
    if Grant::effective(&wanted).is_some() {
        subscriptions.write_grants(&wanted).await?;
    }
    Ok(wanted)
}
