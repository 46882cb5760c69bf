//! Subscriptions: of vehicles that are named, and of all that files of bulk data say a fleet has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use roadcast_domain::Timestamp;
use serde_json::json;

use super::wanted::{WantedSubscription, WantedVehicles};
use super::{Difference, mapped, without_nulls};
use crate::api::{Api, Subscription};
use crate::console::Step;

/// How long a subscription may take until it is active.
const PATIENCE: Duration = Duration::from_mins(2);

/// The fleet that subscribes.
pub(super) struct Subscriber<'a> {
    pub(super) name: &'a str,
    /// None where it is not there yet, and nothing is to be made.
    pub(super) fleet_id: Option<&'a str>,
    /// Its subscriptions.
    pub(super) existing: &'a [Subscription],
    /// Whether only the difference is shown.
    pub(super) dry_run: bool,
}

/// Makes what is missing of a subscription that is wanted.
pub(super) async fn onboard(
    api: &Api,
    fleet: &Subscriber<'_>,
    wanted: &WantedSubscription,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    match &wanted.vehicles {
        WantedVehicles::Named(names) => of_named(api, fleet, wanted, names, difference).await,
        WantedVehicles::Mapped(_) => of_mapped(api, fleet, wanted, difference, step).await,
    }
}

async fn of_named(
    api: &Api,
    fleet: &Subscriber<'_>,
    wanted: &WantedSubscription,
    names: &[String],
    difference: &mut Difference,
) -> Result<()> {
    let shown = |there| shown(fleet.name, names.len(), &wanted.packages, there);
    let vids = vids(api, names).await?;
    if let Some(found) = vids.as_ref().and_then(|vids| alike(wanted, vids, fleet.existing)) {
        difference.there(shown(Some(found)));
        return Ok(());
    }
    let Some(fleet_id) = fleet.fleet_id.filter(|_| !fleet.dry_run) else {
        difference.missing(shown(None));
        return Ok(());
    };
    let vids = vids.with_context(|| format!("a vehicle of {}'s subscription is not registered", fleet.name))?;
    let made = create(api, fleet_id, &Vec::from_iter(vids), wanted).await?;
    difference.missing(shown(Some(&made)));
    Ok(())
}

/// One subscription for each thousand of the mapped vehicles that none covers yet.
async fn of_mapped(
    api: &Api,
    fleet: &Subscriber<'_>,
    wanted: &WantedSubscription,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    let mapped = match fleet.fleet_id {
        Some(fleet_id) => {
            mapped::vehicles(api, fleet_id, |count| step.at(&format!("{}: {count} mapped", fleet.name))).await?
        }
        None => BTreeSet::new(),
    };
    let all = mapped.len();
    let open = mapped::uncovered(mapped, wanted, fleet.existing);
    difference.there(format!(
        "{}: {} of {all} mapped vehicles, {}",
        fleet.name,
        all - open.len(),
        wanted.packages.join(", ")
    ));
    let mut subscribed = 0;
    for vids in open.chunks(roadcast_domain::limits::VEHICLES_PER_SUBSCRIPTION) {
        step.at(&format!("{}: {subscribed} of {} mapped vehicles subscribed", fleet.name, open.len()));
        let made = match fleet.fleet_id.filter(|_| !fleet.dry_run) {
            Some(fleet_id) => Some(create(api, fleet_id, vids, wanted).await?),
            None => None,
        };
        subscribed += vids.len();
        difference.missing(shown(fleet.name, vids.len(), &wanted.packages, made.as_ref()));
    }
    Ok(())
}

/// The ids of a subscription's vehicles; nothing where one is not registered.
async fn vids(api: &Api, names: &[String]) -> Result<Option<BTreeSet<String>>> {
    let mut vids = BTreeSet::new();
    for name in names {
        let vid = if name.starts_with("veh_") { Some(name.clone()) } else { api.vehicle_named(name).await? };
        match vid {
            Some(vid) => vids.insert(vid),
            None => return Ok(None),
        };
    }
    Ok(Some(vids))
}

/// The subscription that is there for the same: of the same vehicles and packages, to the same end, and not revoked.
fn alike<'s>(
    wanted: &WantedSubscription,
    vids: &BTreeSet<String>,
    existing: &'s [Subscription],
) -> Option<&'s Subscription> {
    let packages: BTreeSet<&String> = wanted.packages.iter().collect();
    existing.iter().find(|there| {
        there.state != "revoked"
            && there.vehicles.iter().collect::<BTreeSet<_>>() == vids.iter().collect()
            && there.packages.iter().collect::<BTreeSet<_>>() == packages
            && instant(there.valid_until.as_ref()) == instant(wanted.valid_until.as_ref())
    })
}

fn shown(fleet: &str, count: usize, packages: &[String], there: Option<&Subscription>) -> String {
    let vehicles = if count == 1 { "vehicle" } else { "vehicles" };
    let of = format!("{fleet}: {count} {vehicles}, {}", packages.join(", "));
    there.map_or_else(
        || format!("subscription of {of}"),
        |there| format!("subscription of {of}; {} {}", there.id, there.state),
    )
}

async fn create(api: &Api, fleet_id: &str, vids: &[String], wanted: &WantedSubscription) -> Result<Subscription> {
    let body = json!({
        "vehicles": vids, "packages": wanted.packages, "deliveryFormat": wanted.delivery_format,
        "validFrom": wanted.valid_from, "validUntil": wanted.valid_until,
    });
    let made: Subscription = api.create(&format!("/fleets/{fleet_id}/subscriptions"), &without_nulls(body)).await?;
    until_active(api, fleet_id, made).await
}

/// The instant that a text names.
pub(super) fn instant(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|text| Timestamp::parse_rfc3339(text).ok())
}

async fn until_active(api: &Api, fleet_id: &str, mut subscription: Subscription) -> Result<Subscription> {
    let began = Instant::now();
    while subscription.state != "active" {
        if let Some(reason) = &subscription.reason {
            bail!("subscription {}: {reason}", subscription.id);
        }
        if began.elapsed() > PATIENCE {
            bail!("subscription {} is still {}", subscription.id, subscription.state);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        subscription = api.subscription(fleet_id, &subscription.id).await?;
    }
    Ok(subscription)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscription(state: &str, vehicles: &[&str], until: Option<&str>) -> Subscription {
        Subscription {
            id: "sub_x".to_owned(),
            vehicles: vehicles.iter().map(|&vid| vid.to_owned()).collect(),
            packages: vec!["telematics".to_owned(), "alerts".to_owned()],
            state: state.to_owned(),
            reason: None,
            valid_from: "2026-01-01T00:00:00.000Z".to_owned(),
            valid_until: until.map(str::to_owned),
        }
    }

    #[test]
    fn a_subscription_for_the_same_is_found_whatever_its_order_and_a_revoked_one_is_not() {
        let text = "{vehicles: [veh_b, veh_a], packages: [alerts, telematics], validUntil: 2027-01-01T01:00:00+01:00}";
        let wanted: WantedSubscription = serde_norway::from_str(text).unwrap();
        let vids = BTreeSet::from(["veh_a".to_owned(), "veh_b".to_owned()]);
        let is_there = |there: Subscription| alike(&wanted, &vids, &[there]).is_some();
        assert!(is_there(subscription("active", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("revoked", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("active", &["veh_a"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("active", &["veh_a", "veh_b"], None)));
    }
}
