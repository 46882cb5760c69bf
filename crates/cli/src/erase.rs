//! `erase`: erases vehicles, and follows erasures.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use roadcast_domain::ids::ErasureId;
use serde_json::{Value, json};

use crate::api::Api;
use crate::confirmation::Confirmation;
use crate::console::{Cell, Console, Properties, Table};
use crate::json_text::{joined, text};
use crate::location::StackLocation;
use crate::selectors::VehicleSelector;
use crate::stack::Stack;

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Arguments of `erase`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo roadcast erase vehicles bus:2619                            By external id, or by its vid veh_…
  cargo roadcast erase show era_0123456789abcdef                    Progress, and what was erased
  cargo roadcast erase restart era_0123456789abcdef                 Continue after a failure
  cargo roadcast --stack-name roadcast-dev erase list               On AWS

docs/operations/erase.md states what remains for how long, and what it costs.")]
pub(crate) struct EraseArgs {
    #[command(subcommand)]
    command: EraseCommand,
}

#[derive(Debug, Subcommand)]
enum EraseCommand {
    /// Erase everything that is stored about vehicles. This cannot be undone.
    #[command(after_help = "Examples:
  cargo roadcast erase vehicles veh_0123456789abcdef bus:2619       All vehicles of a person
  cargo roadcast erase vehicles bus:2619 --former-name bus:17       It had another number before
  cargo roadcast erase vehicles bus:2619 --no-wait                  Start it and return

Callers cannot read the vehicles any more after some seconds. The command follows the first pass over all stores. The second pass
follows 25 hours later without it: look at it with `cargo roadcast erase show`. Stop the senders first: what they send later is not
erased.")]
    Vehicles {
        /// The vids or external ids of the vehicles, at most 25.
        #[arg(required = true, value_name = "VEHICLE")]
        vehicles: Vec<VehicleSelector>,
        /// A name that one of them had before, as the subject of its events: an external id, or `vin:` and a VIN.
        #[arg(long, value_name = "NAME")]
        former_name: Vec<String>,
        #[command(flatten)]
        follow: Follow,
    },
    /// List erasures.
    #[command(after_help = "Example:
  cargo roadcast erase list --limit 500")]
    List {
        /// Maximum number of erasures.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Show an erasure: its progress, and what was erased from each store.
    #[command(after_help = "Example:
  cargo roadcast erase show era_0123456789abcdef")]
    Show {
        /// Id of the erasure.
        #[arg(value_parser = ErasureId::from_str)]
        erasure: ErasureId,
    },
    /// Continue an erasure that failed, or erase what was restored since it was complete.
    #[command(after_help = "Example:
  cargo roadcast erase restart era_0123456789abcdef")]
    Restart {
        /// Id of the erasure.
        #[arg(value_parser = ErasureId::from_str)]
        erasure: ErasureId,
        #[command(flatten)]
        follow: Follow,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct Follow {
    /// Do not wait until the first pass is complete.
    #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
    wait: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &EraseArgs) -> Result<ExitCode> {
    let stack = Stack::open(location).await?;
    let api = stack.admin().await?;
    let (object, text) = match &args.command {
        EraseCommand::Vehicles { vehicles, former_name, follow } => {
            let mut vids = Vec::with_capacity(vehicles.len());
            for vehicle in vehicles {
                vids.push(vehicle.vid(&api).await?);
            }
            follow.confirmation.ask(&stack, &format!("erases {} vehicles for good", vids.len()))?;
            let erasure: Value = api.create("/erasures", &json!({ "vehicles": vids, "formerNames": former_name })).await?;
            followed(&api, console, erasure, *follow).await?
        }
        EraseCommand::List { limit } => {
            let listing = api.first("/erasures", *limit).await?;
            let table = table(&listing.items).with_more(listing.more).render(console.style());
            (json!({ "items": listing.items, "more": listing.more }), table)
        }
        EraseCommand::Show { erasure } => {
            let erasure: Value = api.json(Method::GET, &format!("/erasures/{erasure}"), None).await?;
            let text = properties(&erasure).render(console.style());
            (erasure, text)
        }
        EraseCommand::Restart { erasure, follow } => {
            follow.confirmation.ask(&stack, "erases vehicles for good")?;
            let erasure: Value = api.json(Method::POST, &format!("/erasures/{erasure}/restart"), None).await?;
            followed(&api, console, erasure, *follow).await?
        }
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until the first pass is complete, or the erasure is.
async fn followed(api: &Api, console: &Console, started: Value, follow: Follow) -> Result<(Value, String)> {
    let id = text(&started, "erasureId").to_owned();
    let mut erasure = started;
    let mut step = console.step(&format!("Erasing {id}"));
    while follow.wait && text(&erasure, "state") == "running" && text(&erasure, "step") != "wait" {
        step.set_message(&format!("{} pass: {}", text(&erasure, "pass"), current_step(&erasure)));
        tokio::time::sleep(POLL_INTERVAL).await;
        erasure = api.json(Method::GET, &format!("/erasures/{id}"), None).await?;
    }
    if text(&erasure, "state") == "failed" {
        let reason = text(&erasure, "reason");
        bail!("{id}: {reason}. Continue it with `cargo roadcast erase restart {id}`");
    }
    step.finish(&format!("{id} is {}", text(&erasure, "state")));
    let text = properties(&erasure).render(console.style());
    Ok((erasure, text))
}

fn current_step(erasure: &Value) -> String {
    [text(erasure, "step"), text(erasure, "store")].join(" ").trim_end().to_owned()
}

fn table(erasures: &[Value]) -> Table {
    let mut table = Table::new(&["erasure", "vehicles", "state", "next", "requested", "hidden", "completed"], "no erasures");
    for erasure in erasures {
        table.row([
            Cell::text(text(erasure, "erasureId")),
            Cell::number(&erasure["vehicles"].as_array().map_or(0, Vec::len)),
            Cell::state(text(erasure, "state")),
            Cell::text(current_step(erasure)),
            Cell::time(text(erasure, "requestedAt")),
            Cell::time(text(erasure, "hiddenAt")),
            Cell::time(text(erasure, "completedAt")),
        ]);
    }
    table
}

fn properties(erasure: &Value) -> Properties {
    let mut properties = Properties::default();
    properties.add("erasure", Cell::text(text(erasure, "erasureId")));
    properties.add("vehicles", Cell::text(joined(&erasure["vehicles"], "none")));
    properties.add("state", Cell::state(text(erasure, "state")));
    for (title, member) in [("pass", "pass"), ("step", "step"), ("store", "store"), ("reason", "reason")] {
        properties.add_some(title, erasure[member].as_str().map(Cell::text));
    }
    let times = [
        ("requested", "requestedAt"),
        ("hidden", "hiddenAt"),
        ("second pass", "secondPassAt"),
        ("completed", "completedAt"),
    ];
    for (title, member) in times {
        properties.add_some(title, erasure[member].as_str().map(Cell::time));
    }
    for (store, counts) in erasure["stores"].as_object().into_iter().flatten() {
        let count = |member: &str| counts[member].as_u64().unwrap_or_default();
        let line = format!("{} removed, {} rewritten, of {}", count("removed"), count("rewritten"), count("examined"));
        properties.add("erased", Cell::text(format!("{store}: {line}")));
    }
    properties
}
