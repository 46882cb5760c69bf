//! `fleets`: lists and shows fleets.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::console::{Cell, Console, Properties, Table};
use crate::json_text::{count_by, text};
use crate::location::StackLocation;
use crate::selectors::FleetSelector;
use crate::stack::Stack;

/// Arguments of `fleets`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo roadcast fleets list
  cargo roadcast fleets show Nordwind                             By name, or by its id flt_…
  cargo roadcast --json fleets list | jq -r .items[].fleetId
  cargo roadcast --stack-name roadcast-dev fleets list            On AWS

Create fleets with `cargo roadcast onboard`, and remove them with `cargo roadcast offboard`.")]
pub(crate) struct FleetsArgs {
    #[command(subcommand)]
    command: FleetsCommand,
}

#[derive(Debug, Subcommand)]
enum FleetsCommand {
    /// List fleets.
    #[command(after_help = "Example:
  cargo roadcast fleets list --limit 500")]
    List {
        /// Maximum number of fleets.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Show a fleet, with the numbers of its subscriptions, clients and endpoints.
    #[command(after_help = "Example:
  cargo roadcast fleets show flt_0123456789abcdef")]
    Show {
        /// Id or name of the fleet.
        fleet: FleetSelector,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &FleetsArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    let (object, text) = match &args.command {
        FleetsCommand::List { limit } => {
            let listing = api.first("/fleets", *limit).await?;
            let table = table(&listing.items).with_more(listing.more).render(console.style());
            (json!({ "items": listing.items, "more": listing.more }), table)
        }
        FleetsCommand::Show { fleet } => show(&api, console, &fleet.id(&api).await?).await?,
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(fleets: &[Value]) -> Table {
    let mut table = Table::new(
        &["fleet", "name", "plan", "state", "created"],
        "no fleets: create one with `cargo roadcast onboard --fleet NAME`",
    );
    for fleet in fleets {
        table.row([
            Cell::text(text(fleet, "fleetId")),
            Cell::text(text(fleet, "name")),
            Cell::text(text(fleet, "plan")),
            Cell::state(text(fleet, "state")),
            Cell::time(text(fleet, "createdAt")),
        ]);
    }
    table
}

async fn show(api: &Api, console: &Console, fleet_id: &str) -> Result<(Value, String)> {
    let path = format!("/fleets/{fleet_id}");
    let fleet: Value = api.json(Method::GET, &path, None).await?;
    let subscriptions: Vec<Value> = api.pages(&format!("{path}/subscriptions")).await?;
    let clients: Vec<Value> = api.pages(&format!("{path}/clients")).await?;
    // The endpoints of an offboarded fleet are deleted.
    let endpoints = match text(&fleet, "state") {
        "offboarded" => json!([]),
        _ => api.json::<Value>(Method::GET, &format!("{path}/endpoints"), None).await?["items"].take(),
    };
    let endpoints = endpoints.as_array().cloned().unwrap_or_default();
    let (subscriptions, endpoints) = (count_by(&subscriptions, "state"), count_by(&endpoints, "state"));

    let mut properties = Properties::default();
    properties.add("fleet", Cell::text(fleet_id));
    properties.add("name", Cell::text(text(&fleet, "name")));
    properties.add("plan", Cell::text(text(&fleet, "plan")));
    properties.add("state", Cell::state(text(&fleet, "state")));
    properties.add_some(
        "offboarding",
        fleet["offboarding"]["reason"].as_str().map(|reason| Cell::text(format!("failed: {reason}"))),
    );
    properties.add("created", Cell::time(text(&fleet, "createdAt")));
    properties.add("subscriptions", Cell::text(counts(&subscriptions)));
    properties.add("endpoints", Cell::text(counts(&endpoints)));
    properties.add("clients", Cell::number(&clients.len()));
    let mut object = fleet;
    object["subscriptions"] = json!(subscriptions);
    object["endpoints"] = json!(endpoints);
    object["clients"] = json!(clients.len());
    Ok((object, properties.render(console.style())))
}

/// Numbers by state, such as `2 active, 1 revoked`.
fn counts(by_state: &BTreeMap<String, usize>) -> String {
    let parts: Vec<String> = by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
