//! Creates the missing subscriptions: of named vehicles, or of all vehicles that bulk files map to the fleet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::difference::Difference;
use super::spec::{SubscriptionSpec, VehicleSelection};
use super::{coverage, drift, fleet_vehicles, without_nulls};
use crate::api::{Api, Subscription};
use crate::console::Step;

/// The maximum time until a subscription is active. On AWS, the first one of a fleet waits for a minute and then probes its feed.
const ACTIVATION_TIMEOUT: Duration = Duration::from_mins(5);

/// The fleet to subscribe.
pub(super) struct Subscriber<'a> {
    pub(super) name: &'a str,
    /// None in a dry run if the fleet does not exist.
    pub(super) fleet_id: Option<&'a str>,
    /// The subscriptions of the fleet.
    pub(super) existing: &'a [Subscription],
    /// Whether to compare only.
    pub(super) dry_run: bool,
}

/// Creates a subscription, or those that are missing for the mapped vehicles.
pub(super) async fn onboard(
    api: &Api,
    fleet: &Subscriber<'_>,
    spec: &SubscriptionSpec,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    match &spec.vehicles {
        VehicleSelection::Named(names) => subscribe_named(api, fleet, spec, names, difference).await,
        VehicleSelection::Mapped(_) => subscribe_mapped(api, fleet, spec, difference, step).await,
    }
}

async fn subscribe_named(
    api: &Api,
    fleet: &Subscriber<'_>,
    spec: &SubscriptionSpec,
    names: &[String],
    difference: &mut Difference,
) -> Result<()> {
    let description = |found| describe(fleet.name, names.len(), &spec.packages, found);
    let vids = vids(api, names).await?;
    if let Some(found) = vids.as_ref().and_then(|vids| coverage::find_equal(spec, vids, fleet.existing)) {
        let drift = drift::of_subscription(spec, found);
        if drift.is_empty() {
            difference.existing(description(Some(found)));
        } else {
            difference.changed(format!("{}: {}", description(Some(found)), drift.join(", ")));
            replace(api, fleet, spec, found).await?;
        }
        return Ok(());
    }
    let Some(fleet_id) = fleet.fleet_id.filter(|_| !fleet.dry_run) else {
        difference.new_resource(description(None));
        return Ok(());
    };
    let vids = vids
        .with_context(|| format!("a vehicle in a subscription of {} is not registered: add it to `vehicles`", fleet.name))?;
    let created = create(api, fleet_id, &Vec::from_iter(vids), spec).await?;
    difference.new_resource(description(Some(&created)));
    Ok(())
}

/// Creates one subscription per 1,000 mapped vehicles that no subscription covers.
async fn subscribe_mapped(
    api: &Api,
    fleet: &Subscriber<'_>,
    spec: &SubscriptionSpec,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    let mapped_vids = match fleet.fleet_id {
        Some(fleet_id) => {
            fleet_vehicles::list(api, fleet_id, |count| {
                step.set_message(&format!("{}: {count} mapped vehicles", fleet.name));
            })
            .await?
        }
        None => BTreeSet::new(),
    };
    for (subscription, drift) in drift::of_mapped(spec, &mapped_vids, fleet.existing) {
        let what = describe(fleet.name, subscription.vehicles.len(), &spec.packages, Some(subscription));
        difference.changed(format!("{what}: {drift}"));
        let format_only = SubscriptionSpec { valid_from: None, ..spec.clone() };
        replace(api, fleet, &format_only, subscription).await?;
    }
    let total = mapped_vids.len();
    let uncovered = coverage::uncovered(mapped_vids, spec, fleet.existing);
    difference.existing(format!(
        "{}: {} of {total} mapped vehicles, {}",
        fleet.name,
        total - uncovered.len(),
        spec.packages.join(", ")
    ));
    let mut subscribed = 0;
    for vids in uncovered.chunks(roadcast_domain::limits::VEHICLES_PER_SUBSCRIPTION) {
        step.set_message(&format!("{}: {subscribed} of {} mapped vehicles subscribed", fleet.name, uncovered.len()));
        let created = match fleet.fleet_id.filter(|_| !fleet.dry_run) {
            Some(fleet_id) => Some(create(api, fleet_id, vids, spec).await?),
            None => None,
        };
        subscribed += vids.len();
        difference.new_resource(describe(fleet.name, vids.len(), &spec.packages, created.as_ref()));
    }
    Ok(())
}

/// The vids of the named vehicles; None if one of them is not registered.
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

fn describe(fleet: &str, count: usize, packages: &[String], subscription: Option<&Subscription>) -> String {
    let vehicles = if count == 1 { "vehicle" } else { "vehicles" };
    let content = format!("{fleet}: {count} {vehicles}, {}", packages.join(", "));
    subscription.map_or_else(
        || format!("subscription of {content}"),
        |subscription| format!("subscription of {content}; {} {}", subscription.id, subscription.state),
    )
}

/// Changes a subscription to the specification, unless only the difference is wanted.
async fn replace(api: &Api, fleet: &Subscriber<'_>, spec: &SubscriptionSpec, subscription: &Subscription) -> Result<()> {
    if let Some(fleet_id) = fleet.fleet_id.filter(|_| !fleet.dry_run) {
        api.replace_subscription(fleet_id, &subscription.id, &drift::replacement(spec, subscription)).await?;
    }
    Ok(())
}

async fn create(api: &Api, fleet_id: &str, vids: &[String], spec: &SubscriptionSpec) -> Result<Subscription> {
    let body = json!({
        "vehicles": vids, "packages": spec.packages, "deliveryFormat": spec.delivery_format,
        "validFrom": spec.valid_from, "validUntil": spec.valid_until,
    });
    let created: Subscription = api.create(&format!("/fleets/{fleet_id}/subscriptions"), &without_nulls(body)).await?;
    wait_until_active(api, fleet_id, created).await
}

/// Waits until provisioning has activated the subscription, and returns it.
async fn wait_until_active(api: &Api, fleet_id: &str, mut subscription: Subscription) -> Result<Subscription> {
    let started = Instant::now();
    while subscription.state != "active" {
        if let Some(reason) = &subscription.reason {
            bail!("subscription {} is not active: {reason}", subscription.id);
        }
        if started.elapsed() > ACTIVATION_TIMEOUT {
            bail!(
                "subscription {} is still {} after {} minutes: see the log of the function provisioner",
                subscription.id,
                subscription.state,
                ACTIVATION_TIMEOUT.as_secs() / 60
            );
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        subscription = api.subscription(fleet_id, &subscription.id).await?;
    }
    Ok(subscription)
}
