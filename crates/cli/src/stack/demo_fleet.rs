//! Onboards the demo fleet with its vehicles, and the clients that this tool uses, through the HTTP API. Existing resources
//! are reused, so that a second start finds those of the first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::StatusCode;
use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{VehicleDetails, VehicleKey};

use super::Stack;
use super::tool_clients::{feed_client, ingest_client};
use crate::api::{Api, ApiError, ExternalId, Registration};
use crate::confirmation::Confirmation;
use crate::console::{Console, Step};

const FLEET_NAME: &str = "Demo fleet";
const DEMO_PACKAGES: [&str; 3] = ["telematics", "track-and-trace", "diagnostics"];
/// The timeout of provisioning. On AWS, the first subscription of a fleet waits for a minute and then probes its feed.
const PROVISIONING_TIMEOUT: Duration = Duration::from_mins(5);
/// The maximum number of vehicles of a subscription.
const VEHICLES_PER_SUBSCRIPTION: usize = roadcast_domain::limits::VEHICLES_PER_SUBSCRIPTION;

/// Onboards the demo fleet and its simulated vehicles.
pub(crate) async fn demo(stack: &mut Stack, vehicles: usize, console: &Console) -> Result<()> {
    let mut step = console.step("Onboarding the demo fleet");
    let admin = stack.admin().await?;
    step.set_message("fleet");
    let fleet_id = demo_fleet(stack, &admin).await?;
    stack.file.demo.fleet_id.clone_from(&fleet_id);
    step.set_message("clients");
    feed_client(stack, &admin, &fleet_id, Confirmation::given()).await?;
    let ingest = ingest_client(stack, &admin, Confirmation::given()).await?;
    let keys = simulated(vehicles);
    let registrations = keys.iter().map(|(key, details)| (key.clone(), registration(key, Some(details))));
    let vids = register(&ingest, registrations.collect(), &mut step).await.map_err(with_advice)?;
    stack.file.demo.vehicles = vids.iter().map(|(key, vid)| (key.to_string(), vid.clone())).collect();
    step.set_message("subscription");
    let vids: Vec<String> = vids.into_values().collect();
    if let Some(created) = subscribe(&admin, &fleet_id, &vids, &DEMO_PACKAGES, &mut step).await?.into_iter().next() {
        stack.file.demo.subscription_id = created;
    }
    stack.save()?;
    step.finish(&format!("{fleet_id} with {vehicles} simulated vehicles"));
    Ok(())
}

/// Adds advice to a conflict: a vehicle accepts events only from the client that registered it.
fn with_advice(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ApiError>() {
        Some(api_error) if api_error.status == StatusCode::CONFLICT => error.context(
            "a demo vehicle belongs to another client: another client registered it, or the user pool of this stack was \
             replaced. Run `cargo roadcast up --fresh` to start over without the existing data",
        ),
        _ => error,
    }
}

/// The simulated vehicles with the seed of the demo.
fn simulated(vehicles: usize) -> Vec<(VehicleKey, VehicleDetails)> {
    let simulator = Simulator::new(&SimConfig { vehicles, ..SimConfig::default() });
    simulator.vehicles().map(|(key, details)| (key.clone(), details.clone())).collect()
}

/// The registration of a vehicle.
pub(crate) fn registration(key: &VehicleKey, details: Option<&VehicleDetails>) -> Registration {
    let details = details.cloned().unwrap_or_default();
    Registration {
        vin: details.vin,
        external_ids: vec![ExternalId { scheme: key.scheme.clone(), value: key.value.clone() }],
        make: details.make,
        model: details.model,
        model_year: details.model_year,
        fuel_type: details.fuel_type,
    }
}

/// Registers vehicles and returns their vids.
pub(crate) async fn register(
    api: &Api,
    vehicles: Vec<(VehicleKey, Registration)>,
    step: &mut Step,
) -> Result<BTreeMap<VehicleKey, String>> {
    let mut vids = BTreeMap::new();
    for (index, (key, registration)) in vehicles.into_iter().enumerate() {
        step.set_position(index as u64, &format!("registering {key}"));
        let vid = api.register(&registration).await.with_context(|| format!("cannot register {key}"))?;
        vids.insert(key, vid);
    }
    Ok(vids)
}

async fn demo_fleet(stack: &Stack, admin: &Api) -> Result<String> {
    let fleets = admin.fleets().await?;
    let recorded = fleets.iter().find(|fleet| fleet.id == stack.file.demo.fleet_id);
    match recorded.or_else(|| fleets.iter().find(|fleet| fleet.name == FLEET_NAME)) {
        Some(fleet) => Ok(fleet.id.clone()),
        None => Ok(admin.create_fleet(FLEET_NAME).await?.id),
    }
}

/// Subscribes a fleet to the vehicles that no active, unlimited subscription with these packages covers, and waits until the
/// new subscriptions are active. Returns their ids.
pub(crate) async fn subscribe(
    admin: &Api,
    fleet_id: &str,
    vids: &[String],
    packages: &[&str],
    step: &mut Step,
) -> Result<Vec<String>> {
    let mut missing: BTreeSet<&String> = vids.iter().collect();
    for subscription in admin.subscriptions(fleet_id).await? {
        let covers = packages.iter().all(|required| subscription.packages.iter().any(|package| package == required));
        if covers && subscription.state == "active" && subscription.valid_until.is_none() {
            for vid in &subscription.vehicles {
                missing.remove(vid);
            }
        }
    }
    let missing: Vec<String> = missing.into_iter().cloned().collect();
    let mut created = Vec::new();
    for vids in missing.chunks(VEHICLES_PER_SUBSCRIPTION) {
        let id = admin.subscribe(fleet_id, vids, packages).await?.id;
        let deadline = Instant::now() + PROVISIONING_TIMEOUT;
        loop {
            let current = admin.subscription(fleet_id, &id).await?;
            step.set_message(&format!("subscription {}", current.state));
            match current.state.as_str() {
                "active" => break,
                "pending" | "provisioning" if current.reason.is_none() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                state => bail!(
                    "subscription {id} is {state} instead of active: {}",
                    current.reason.as_deref().unwrap_or("no reason given; see the log of the function provisioner")
                ),
            }
        }
        created.push(id);
    }
    Ok(created)
}
