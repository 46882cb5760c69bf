//! `offboard`: has a fleet leave through the API, and waits until nothing of it is left.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::args;
use crate::console::Console;
use crate::stack::Stack;
use crate::stack::layout::Layout;

/// How long a feed may be read still: as long as its messages are kept, and some more for the last look.
const PATIENCE: Duration = Duration::from_hours(4 * 24 + 1);
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Fleet {
    name: String,
    state: String,
    #[serde(default)]
    offboarding: Option<OffboardingStatus>,
}

#[derive(Debug, Deserialize)]
struct OffboardingStatus {
    #[serde(default)]
    reason: Option<String>,
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Offboard) -> Result<ExitCode> {
    let stack = Stack::open(layout)?;
    let api = stack.admin().await?;
    let fleet_id = &options.fleet;
    let path = format!("/fleets/{fleet_id}");
    let known: Fleet = api.json(Method::GET, &path, None).await?;
    if options.dry_run {
        let object = plan(&api, fleet_id, &known).await?;
        let text = format!(
            "{fleet_id} {} is {}. What would go: its queue and rule, subscriptions ({}, revoked), app clients ({})",
            known.name, known.state, object["subscriptions"], object["clients"]
        );
        console.result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let feed = if options.discard { "discard" } else { "drain" };
    let mut step = console.step(&format!("Offboarding {}", known.name));
    let mut fleet: Fleet = api.json(Method::DELETE, &format!("{path}?feed={feed}"), None).await?;
    let deadline = Instant::now() + PATIENCE;
    while options.wait && fleet.state == "offboarding" {
        if let Some(reason) = fleet.offboarding.and_then(|status| status.reason) {
            bail!("{fleet_id} is not gone: {reason}; the same command starts it again where it stopped");
        }
        if Instant::now() >= deadline {
            bail!("{fleet_id} is still leaving after four days: look at the executions of the workflow that offboards");
        }
        step.at(if options.discard { "removing" } else { "waiting until its feed is empty; --discard ends that" });
        tokio::time::sleep(PAUSE).await;
        fleet = api.json(Method::GET, &path, None).await?;
    }
    step.done(&format!("{fleet_id} is {}", fleet.state));
    console.result(&json!({ "fleetId": fleet_id, "name": fleet.name, "state": fleet.state }), "")?;
    Ok(ExitCode::SUCCESS)
}

/// What would go.
async fn plan(api: &Api, fleet_id: &str, fleet: &Fleet) -> Result<Value> {
    let subscriptions = api.subscriptions(fleet_id).await.context("cannot list its subscriptions")?;
    let live = subscriptions.iter().filter(|subscription| subscription.state != "revoked").count();
    let clients: Vec<Value> = api.pages(&format!("/fleets/{fleet_id}/clients")).await.context("cannot list its clients")?;
    Ok(json!({
        "fleetId": fleet_id, "name": fleet.name, "state": fleet.state, "subscriptions": live, "clients": clients.len(),
    }))
}
