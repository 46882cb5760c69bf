//! How a subscription becomes another: in an order in which a change that stops half-way shows less than the record says.

use std::collections::BTreeSet;

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clock::Clock;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use crate::ServiceError;

/// Tries of a move that meets another change.
const MOVE_TRIES: u32 = 4;
/// Subscriptions that are looked at together.
const PAGE: usize = 100;

/// What a subscription is asked to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// To stop for now.
    Suspend,
    /// To go on.
    Resume,
    /// To end for good.
    Revoke,
}

impl Transition {
    /// The state that a subscription gets to from that one, or why it cannot.
    fn from(self, state: SubscriptionState) -> Result<SubscriptionState, &'static str> {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        match (self, state) {
            (Self::Revoke, _) => Ok(Revoked),
            (_, Revoked) => Err("the subscription is revoked, and stays so; subscribe anew"),
            (_, Pending | Provisioning) => Err("the subscription is not active yet"),
            (Self::Suspend, Active | Suspended) => Ok(Suspended),
            (Self::Resume, Active | Suspended) => Ok(Active),
        }
    }
}

/// Whether that holds for any subscription of a fleet.
pub(crate) async fn any_subscription(
    subscriptions: &impl Subscriptions,
    fleet_id: &FleetId,
    holds: impl Fn(&Subscription) -> bool + Send,
) -> Result<bool, PortError> {
    let mut after = None;
    loop {
        let page = subscriptions.list(fleet_id, after.as_ref(), PAGE).await?;
        if page.iter().any(&holds) {
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
            let named = (fleet_id, &subscription.subscription_id);
            move_subscription(subscriptions, clock, by, named, Transition::Revoke).await?;
        }
    }
}

/// Moves a subscription from one state to another. Where it is there already, that is no error.
pub(crate) async fn move_subscription(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    by: &Author,
    (fleet_id, subscription_id): (&FleetId, &SubscriptionId),
    step: Transition,
) -> Result<Subscription, ServiceError> {
    let mut tries = MOVE_TRIES;
    loop {
        let kept = subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        let state = step.from(kept.state).map_err(ServiceError::Conflict)?;
        let wanted = Subscription { state, ..kept.clone() };
        tries -= 1;
        match change_subscription(subscriptions, clock, by.clone(), kept, wanted).await {
            // Somebody else was at it, such as the workflow that provisions it.
            Err(error) if error.kind() == PortErrorKind::Conflict && tries > 0 => {}
            moved => {
                return moved.map_err(|error| ServiceError::or_conflict(error, "the subscription changes right now"));
            }
        }
    }
}

/// Makes of the subscription that is kept the one that is wanted. First a version is claimed, so that who read the one
/// before writes nothing any more; then what is no longer covered is taken away; then the record says so; then what is
/// covered anew is added. So wherever it stops, less is readable than the record says, never more. Doing it again ends it.
pub(crate) async fn change_subscription(
    subscriptions: &impl Subscriptions,
    clock: &impl Clock,
    by: Author,
    mut kept: Subscription,
    wanted: Subscription,
) -> Result<Subscription, PortError> {
    let left = kept.grant().zip(wanted.grant()).and_then(|(before, after)| before.within(&after));
    let stay: BTreeSet<&VehicleId> = left.iter().flat_map(|_| &wanted.vehicles).collect();
    let (stay, gone): (Vec<VehicleId>, Vec<VehicleId>) = kept.vehicles.iter().cloned().partition(|vid| stay.contains(vid));
    let narrower = kept.grant().zip(left.as_ref()).is_some_and(|(before, left)| before.exceeds(left));
    let differs = kept != wanted;

    if differs && kept.state != SubscriptionState::Revoked && (narrower || !gone.is_empty()) {
        // What is changed is told once it is, with the record.
        subscriptions.update(&kept, None).await?;
        kept.version += 1;
        if !gone.is_empty() {
            subscriptions.narrow_grants(&kept, &gone, None).await?;
        }
        if narrower {
            subscriptions.narrow_grants(&kept, &stay, left.as_ref()).await?;
        }
    }
    let mut wanted = Subscription { version: kept.version, ..wanted };
    if differs {
        wanted.updated_at = clock.now();
        let change = Change::of_subscription(by, Some(&kept), &wanted);
        subscriptions.update(&wanted, Some(&change)).await?;
        wanted.version += 1;
    }
    if wanted.grant().is_some() {
        subscriptions.write_grants(&wanted).await?;
    }
    Ok(wanted)
}
