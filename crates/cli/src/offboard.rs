//! `offboard`: offboards a fleet through the API and waits until it is done.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use roadcast_domain::ids::FleetId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::console::Console;
use crate::location::StackLocation;
use crate::stack::Stack;

/// How long to wait: the retention time of the feed's messages, and an hour for the last steps.
const OFFBOARDING_TIMEOUT: Duration = Duration::from_hours(4 * 24 + 1);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

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

/// Arguments of `offboard`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast offboard --dry-run flt_0123456789abcdef     List what would be deleted
  cargo roadcast offboard flt_0123456789abcdef               Let the fleet read its feed for up to four days
  cargo roadcast offboard --discard flt_0123456789abcdef     Delete the feed with its unread events at once
  cargo roadcast offboard --no-wait flt_0123456789abcdef     Start offboarding and return

Subscriptions are revoked; app clients, queues and the rule are deleted. The audit trail and the receipts remain readable.
If offboarding fails, run the same command again: it runs all steps again; finished steps change nothing.")]
pub(crate) struct OffboardArgs {
    /// Id of the fleet.
    #[arg(value_name = "FLEET", value_parser = FleetId::from_str)]
    pub(crate) fleet: FleetId,
    /// List what would be deleted, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Discard the unread events of the feed.
    #[arg(long)]
    pub(crate) discard: bool,
    /// Do not wait until the fleet is offboarded.
    #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
    pub(crate) wait: bool,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &OffboardArgs) -> Result<ExitCode> {
    let stack = Stack::open(location).await?;
    let api = stack.admin().await?;
    let fleet_id = options.fleet.as_str();
    let path = format!("/fleets/{fleet_id}");
    let current: Fleet = api.json(Method::GET, &path, None).await?;
    if options.dry_run {
        let object = dry_run(&api, fleet_id, &current).await?;
        let text = format!(
            "{fleet_id} {} is {}. Offboarding deletes its queues, its rule and {} app clients, and revokes {} subscriptions.",
            current.name, current.state, object["clients"], object["subscriptions"]
        );
        console.print_result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let feed = if options.discard { "discard" } else { "drain" };
    let mut step = console.step(&format!("Offboarding {}", current.name));
    let mut fleet: Fleet = api.json(Method::DELETE, &format!("{path}?feed={feed}"), None).await?;
    let deadline = Instant::now() + OFFBOARDING_TIMEOUT;
    while options.wait && fleet.state == "offboarding" {
        if let Some(reason) = fleet.offboarding.and_then(|status| status.reason) {
            bail!("offboarding of {fleet_id} failed: {reason}. Run the same command again: it runs all steps again");
        }
        if Instant::now() >= deadline {
            bail!("{fleet_id} is not offboarded after four days: check the executions of the offboarding state machine");
        }
        step.set_message(if options.discard {
            "deleting resources"
        } else {
            "waiting until the feed is empty; use --discard to skip this"
        });
        tokio::time::sleep(POLL_INTERVAL).await;
        fleet = api.json(Method::GET, &path, None).await?;
    }
    step.finish(&format!("{fleet_id} is {}", fleet.state));
    console.print_result(&json!({ "fleetId": fleet_id, "name": fleet.name, "state": fleet.state }), "")?;
    Ok(ExitCode::SUCCESS)
}

/// What offboarding the fleet would delete.
async fn dry_run(api: &Api, fleet_id: &str, fleet: &Fleet) -> Result<Value> {
    let subscriptions = api.subscriptions(fleet_id).await.context("cannot list the subscriptions of the fleet")?;
    let live = subscriptions.iter().filter(|subscription| subscription.state != "revoked").count();
    let clients: Vec<Value> =
        api.pages(&format!("/fleets/{fleet_id}/clients")).await.context("cannot list the clients of the fleet")?;
    Ok(json!({
        "fleetId": fleet_id, "name": fleet.name, "state": fleet.state, "subscriptions": live, "clients": clients.len(),
    }))
}
