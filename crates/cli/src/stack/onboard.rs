//! Onboarding through the HTTP API: the demo fleet with its vehicles, and a client for each feed that is drained here.
//! Everything is looked for before it is made, so that a second start finds what the first one made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::StatusCode;
use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{Details, VehicleKey};

use super::Stack;
use super::layout::Layout;
use crate::api::{Api, ExternalId, Refused, Registration, Role};
use crate::console::{Console, Step};

const FLEET_NAME: &str = "Demo fleet";
const INGEST_NAME: &str = "Demo vehicles";
/// The `CloudEvents` source of simulated vehicles.
pub(crate) const SIMULATOR_SOURCE: &str = "urn:roadcast:simulator";
/// The `CloudEvents` source of replayed recordings.
pub(crate) const REPLAY_SOURCE: &str = "urn:roadcast:replay";
const DEMO_PACKAGES: [&str; 3] = ["telematics", "track-and-trace", "diagnostics"];
/// How long provisioning may take here.
const PROVISIONING_TIME: Duration = Duration::from_mins(2);
/// Vehicles of one subscription, at most.
const VEHICLES_PER_SUBSCRIPTION: usize = roadcast_domain::limits::VEHICLES_PER_SUBSCRIPTION;

/// Onboards the demo fleet and its simulated vehicles.
pub(crate) async fn demo(stack: &mut Stack, layout: &Layout, vehicles: usize, console: &Console) -> Result<()> {
    let mut step = console.step("Onboarding the demo fleet");
    let admin = stack.admin().await?;
    step.at("fleet");
    let fleet_id = demo_fleet(stack, &admin).await?;
    stack.file.demo.fleet_id.clone_from(&fleet_id);
    step.at("clients");
    feed_client(stack, layout, &admin, &fleet_id).await?;
    let ingest = ingest_client(stack, layout, &admin).await?;
    let keys = simulated(vehicles);
    let registrations = keys.iter().map(|(key, details)| (key.clone(), registration(key, Some(details))));
    let vids = register(&ingest, registrations.collect(), &mut step).await.map_err(told_to_start_over)?;
    stack.file.demo.vehicles = vids.iter().map(|(key, vid)| (key.to_string(), vid.clone())).collect();
    step.at("subscription");
    let wanted: Vec<String> = vids.into_values().collect();
    if let Some(made) = subscribe(&admin, &fleet_id, &wanted, &DEMO_PACKAGES, &mut step).await?.into_iter().next() {
        stack.file.demo.subscription_id = made;
    }
    stack.file.write(layout)?;
    step.done(&format!("{fleet_id} with {vehicles} simulated vehicles"));
    Ok(())
}

/// Vehicles take events only of the client that registered them.
fn told_to_start_over(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == StatusCode::CONFLICT => error.context(
            "a vehicle of the demo belongs to another client by now: somebody registered it anew, or this stack's user pool was \
             replaced. `cargo roadcast up --fresh` starts over without the data that is there",
        ),
        _ => error,
    }
}

/// The vehicles of the simulator with the demo's seed.
fn simulated(vehicles: usize) -> Vec<(VehicleKey, Details)> {
    let simulator = Simulator::new(&SimConfig { vehicles, ..SimConfig::default() });
    simulator.vehicles().map(|(key, details)| (key.clone(), details.clone())).collect()
}

/// What is said of a vehicle to register it.
pub(crate) fn registration(key: &VehicleKey, details: Option<&Details>) -> Registration {
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

/// Registers vehicles and returns their ids.
pub(crate) async fn register(
    api: &Api,
    vehicles: Vec<(VehicleKey, Registration)>,
    step: &mut Step,
) -> Result<BTreeMap<VehicleKey, String>> {
    let mut vids = BTreeMap::new();
    for (place, (key, registration)) in vehicles.into_iter().enumerate() {
        step.reach(place as u64, &format!("registering {key}"));
        let vid = api.register(&registration).await.with_context(|| format!("cannot register {key}"))?;
        vids.insert(key, vid);
    }
    Ok(vids)
}

async fn demo_fleet(stack: &Stack, admin: &Api) -> Result<String> {
    let fleets = admin.fleets().await?;
    let known = fleets.iter().find(|fleet| fleet.id == stack.file.demo.fleet_id);
    match known.or_else(|| fleets.iter().find(|fleet| fleet.name == FLEET_NAME)) {
        Some(fleet) => Ok(fleet.id.clone()),
        None => Ok(admin.create_fleet(FLEET_NAME).await?.id),
    }
}

/// The API as the ingest client of simulated and replayed vehicles. It must stay the same: vehicles take events only of
/// the client that registered them.
pub(crate) async fn ingest_client(stack: &mut Stack, layout: &Layout, admin: &Api) -> Result<Api> {
    let client_id = match existing(stack, &stack.file.demo.ingest_client_id, INGEST_NAME).await? {
        Some(client_id) => client_id,
        None => admin.create_client(INGEST_NAME, &Role::Ingest(&[SIMULATOR_SOURCE, REPLAY_SOURCE])).await?,
    };
    if stack.file.demo.ingest_client_id != client_id {
        stack.file.demo.ingest_client_id.clone_from(&client_id);
        stack.file.write(layout)?;
    }
    stack.client(&client_id).await
}

/// The API as a client of that fleet, made where there is none yet.
pub(crate) async fn feed_client(stack: &mut Stack, layout: &Layout, admin: &Api, fleet_id: &str) -> Result<Api> {
    let name = format!("Laptop {fleet_id}");
    let known = stack.file.feed_clients.get(fleet_id).cloned().unwrap_or_default();
    let client_id = match existing(stack, &known, &name).await? {
        Some(client_id) => client_id,
        None => admin.create_client(&name, &Role::Fleet(fleet_id)).await?,
    };
    if known != client_id {
        stack.file.feed_clients.insert(fleet_id.to_owned(), client_id.clone());
        stack.file.write(layout)?;
    }
    stack.client(&client_id).await
}

/// A client of the user pool: the one remembered, or else one of that name.
async fn existing(stack: &Stack, remembered: &str, name: &str) -> Result<Option<String>> {
    if !remembered.is_empty() && stack.credentials(remembered).await?.is_some() {
        return Ok(Some(remembered.to_owned()));
    }
    let mut pages = aws_sdk_cognitoidentityprovider::Client::new(&stack.config)
        .list_user_pool_clients()
        .user_pool_id(stack.file.output("UserPoolId")?)
        .max_results(60)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.context("cannot list the clients of the user pool")?;
        for client in page.user_pool_clients() {
            if client.client_name() == Some(name) {
                return Ok(client.client_id().map(str::to_owned));
            }
        }
    }
    Ok(None)
}

/// Subscribes a fleet to those of the vehicles that no active subscription with these packages covers, and waits until
/// that is in force. Returns the subscriptions made.
pub(crate) async fn subscribe(
    admin: &Api,
    fleet_id: &str,
    vids: &[String],
    packages: &[&str],
    step: &mut Step,
) -> Result<Vec<String>> {
    let mut missing: BTreeSet<&String> = vids.iter().collect();
    for subscription in admin.subscriptions(fleet_id).await? {
        let covers = packages.iter().all(|wanted| subscription.packages.iter().any(|package| package == wanted));
        if covers && subscription.state == "active" && subscription.valid_until.is_none() {
            for vid in &subscription.vehicles {
                missing.remove(vid);
            }
        }
    }
    let missing: Vec<String> = missing.into_iter().cloned().collect();
    let mut made = Vec::new();
    for vids in missing.chunks(VEHICLES_PER_SUBSCRIPTION) {
        let asked = admin.subscribe(fleet_id, vids, packages).await?;
        let id = asked.id;
        let deadline = Instant::now() + PROVISIONING_TIME;
        loop {
            let now = admin.subscription(fleet_id, &id).await?;
            step.at(&format!("subscription {}", now.state));
            match now.state.as_str() {
                "active" => break,
                "pending" | "provisioning" if now.reason.is_none() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                state => bail!(
                    "subscription {id} did not become active but is {state}: {}",
                    now.reason.as_deref().unwrap_or("no reason is given; see the endpoint's log")
                ),
            }
        }
        made.push(id);
    }
    Ok(made)
}
