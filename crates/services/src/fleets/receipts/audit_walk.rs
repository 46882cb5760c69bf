//! What the audit trail of a fleet states about a subscription: when it was active, and which vehicles it named.

use std::collections::BTreeSet;

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Change, ChangedResource};
use roadcast_domain::ids::{ChangeId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use serde_json::{Map, Value};

use super::Period;

/// Changes per read.
const CHANGES_PER_READ: usize = 100;
/// The maximum number of reads of the audit trail for one receipt: 50,000 changes of the fleet.
const MAX_READS: usize = 500;
/// The maximum duration of the reads, in milliseconds. A change may contain a thousand vehicles.
const MAX_DURATION_MS: i64 = 10_000;
/// The maximum number of vehicles of a receipt. It bounds the memory of a request.
const MAX_VEHICLES: usize = 20_000;
/// The largest assumed difference between the clocks that assign the times of changes, in milliseconds.
const CLOCK_DIFFERENCE_MS: i64 = 60_000;

/// What the audit trail states about a subscription.
pub(super) struct AuditedActivity {
    /// The start of the audited period: the creation of the subscription, or later if not all changes since were read.
    pub(super) since: Timestamp,
    /// The periods since then in which the subscription was active.
    pub(super) active: Vec<Period>,
    /// The vehicles that the subscription names now or named since then.
    pub(super) vehicles: BTreeSet<VehicleId>,
}

/// A change of a subscription's state.
struct StateChange {
    at: Timestamp,
    from: Option<SubscriptionState>,
    to: SubscriptionState,
}

/// Reads the changes of a subscription, newest first, back to its creation.
pub(super) async fn audited_activity(
    fleets: &impl Fleets,
    clock: &impl Clock,
    subscription: &Subscription,
) -> Result<AuditedActivity, PortError> {
    let started = clock.now();
    let resource = ChangedResource::Subscription { subscription_id: subscription.subscription_id.clone() };
    let mut vehicles: BTreeSet<VehicleId> = subscription.vehicles.iter().cloned().collect();
    let mut state_changes = Vec::new();
    // The subscription did not change after its last update, but the fleet may have.
    let mut before = Some(ChangeId::lower_bound(subscription.updated_at.plus_ms(CLOCK_DIFFERENCE_MS)));
    let mut oldest_own = subscription.updated_at;
    let mut reads = 0;
    loop {
        let page = fleets.changes(&subscription.fleet_id, before, CHANGES_PER_READ).await?;
        reads += 1;
        let oldest = page.last().map(|last| (last.change_id, last.at));
        let is_full = page.len() == CHANGES_PER_READ;
        for change in page.into_iter().filter(|change| change.resource == resource) {
            vehicles.extend(change.before.iter().chain([&change.after]).flat_map(named_vehicles));
            oldest_own = change.at;
            if let Some(to) = change.subscription_state() {
                state_changes.push(StateChange { at: change.at, from: state_before(&change), to });
            }
            if change.before.is_none() {
                return Ok(activity(subscription, subscription.created_at, &state_changes, vehicles));
            }
            // A page may name many more vehicles.
            if vehicles.len() > MAX_VEHICLES {
                return Ok(activity(subscription, after_unread_changes(change.at), &state_changes, vehicles));
            }
        }
        let Some((change_id, at)) = oldest.filter(|_| is_full) else {
            // The subscription is older than the audit trail.
            return Ok(activity(subscription, oldest_own, &state_changes, vehicles));
        };
        let is_late = clock.now().ms_since(started) > MAX_DURATION_MS;
        if reads >= MAX_READS || is_late {
            return Ok(activity(subscription, after_unread_changes(at), &state_changes, vehicles));
        }
        before = Some(change_id);
    }
}

/// Returns the start of the audited period if the oldest change that was read has the time `at`. Other changes of the same
/// millisecond may not have been read.
fn after_unread_changes(at: Timestamp) -> Timestamp {
    at.plus_ms(1)
}

/// Returns the activity since `since` by these state changes, newest first.
fn activity(
    subscription: &Subscription,
    since: Timestamp,
    state_changes: &[StateChange],
    vehicles: BTreeSet<VehicleId>,
) -> AuditedActivity {
    AuditedActivity { since, active: active_periods(subscription.state, since, state_changes), vehicles }
}

/// Returns the periods since `since` in which a subscription was active, by its state now and its state changes, newest first.
fn active_periods(state_now: SubscriptionState, since: Timestamp, state_changes: &[StateChange]) -> Vec<Period> {
    let state_at_start = state_changes.last().map_or(Some(state_now), |first| first.from);
    let mut periods: Vec<Period> = Vec::new();
    if state_at_start == Some(SubscriptionState::Active) {
        periods.push(Period { from: since, to: None });
    }
    for change in state_changes.iter().rev() {
        let open = periods.last_mut().filter(|period| period.to.is_none());
        match (open, change.to) {
            (None, SubscriptionState::Active) => periods.push(Period { from: change.at.max(since), to: None }),
            (Some(_), SubscriptionState::Active) | (None, _) => {}
            (Some(open), _) => open.to = Some(change.at.max(since)),
        }
    }
    periods
}

fn state_before(change: &Change) -> Option<SubscriptionState> {
    serde_json::from_value(change.before.as_ref()?.get("state")?.clone()).ok()
}

/// Returns the vehicles that the members of a change name.
fn named_vehicles(members: &Map<String, Value>) -> Vec<VehicleId> {
    let named = members.get("vehicles").and_then(Value::as_array).into_iter().flatten();
    named.filter_map(|vid| vid.as_str()?.parse().ok()).collect()
}
