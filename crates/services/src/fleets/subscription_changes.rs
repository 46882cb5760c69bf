//! Changes of subscriptions, which narrow the grants first. The order of the writes ensures that an interrupted change
//! grants less than the subscription's record states, never more.

use std::collections::BTreeSet;

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::subscriptions::Subscriptions;

/// Subscriptions per page.
pub(super) const SUBSCRIPTIONS_PER_PAGE: usize = 100;

/// Whether any subscription of the fleet satisfies `predicate`.
pub(crate) async fn has_subscription(
    subscriptions: &impl Subscriptions,
    fleet_id: &FleetId,
    predicate: impl Fn(&Subscription) -> bool + Send,
) -> Result<bool, PortError> {
    let mut after = None;
    loop {
        let page = subscriptions.list(fleet_id, after.as_ref(), SUBSCRIPTIONS_PER_PAGE).await?;
        if page.iter().any(&predicate) {
            return Ok(true);
        }
        match page.last() {
            Some(last) => after = Some(last.subscription_id.clone()),
            None => return Ok(false),
        }
    }
}

/// Changes the stored subscription to `wanted`:
///
/// 1. claims a version, so that writers that read an earlier version fail;
/// 2. removes grants that are no longer covered;
/// 3. updates the record;
/// 4. adds grants that are newly covered, under a version that no other writer has claimed.
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
        subscriptions.claim_version(&stored).await?;
        stored.version += 1;
        if !removed_vehicles.is_empty() {
            // No remaining grant: deletes the grants of these vehicles.
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
        subscriptions.update(&wanted, &change).await?;
        wanted.version += 1;
    }
    if Grant::effective(&wanted).is_some() {
        if !is_changed {
            // A concurrent change may have claimed the version that was read and have removed grants, but not stored the
            // subscription yet. Writing grants under that version would undo the removal; after a claim, that change fails.
            subscriptions.claim_version(&wanted).await?;
            wanted.version += 1;
        }
        subscriptions.write_grants(&wanted).await?;
    }
    Ok(wanted)
}
