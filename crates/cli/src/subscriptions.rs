//! `subscriptions`: lists and shows subscriptions.

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use roadcast_domain::ids::SubscriptionId;
use serde_json::{Value, json};

use crate::api::Api;
use crate::console::{Cell, Console, Properties, Style, Table};
use crate::json_text::{joined, text, texts};
use crate::location::StackLocation;
use crate::selectors::FleetSelector;
use crate::stack::Stack;

/// The maximum number of vehicles that `show` prints as text.
const PRINTED_VEHICLES: usize = 20;

/// Arguments of `subscriptions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo roadcast subscriptions list --fleet Nordwind
  cargo roadcast subscriptions show --fleet Nordwind sub_0123456789abcdef
  cargo roadcast subscriptions show --fleet Nordwind sub_0123456789abcdef --receipt     With what it delivered
  cargo roadcast --stack-name roadcast-dev subscriptions list --fleet Nordwind          On AWS

Create and change subscriptions with `cargo roadcast onboard`.")]
pub(crate) struct SubscriptionsArgs {
    /// Id or name of the fleet [default: the only active one].
    #[arg(long, global = true, value_name = "FLEET")]
    fleet: Option<FleetSelector>,
    #[command(subcommand)]
    command: SubscriptionsCommand,
}

#[derive(Debug, Subcommand)]
enum SubscriptionsCommand {
    /// List the subscriptions of a fleet.
    #[command(after_help = "Example:
  cargo roadcast subscriptions list --fleet Nordwind")]
    List {
        /// Maximum number of subscriptions.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Show a subscription with its vehicles.
    #[command(after_help = "Example:
  cargo roadcast subscriptions show --fleet Nordwind sub_0123456789abcdef --receipt")]
    Show {
        /// Id of the subscription.
        #[arg(value_parser = SubscriptionId::from_str)]
        subscription: SubscriptionId,
        /// Also count the events that were delivered of each vehicle.
        #[arg(long)]
        receipt: bool,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &SubscriptionsArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    let fleet_id = FleetSelector::id_or_only(args.fleet.as_ref(), &api).await?;
    let path = format!("/fleets/{fleet_id}/subscriptions");
    let (object, text) = match &args.command {
        SubscriptionsCommand::List { limit } => {
            let listing = api.first(&path, *limit).await?;
            let table = table(&listing.items).with_more(listing.more).render(console.style());
            (json!({ "items": listing.items, "more": listing.more }), table)
        }
        SubscriptionsCommand::Show { subscription, receipt } => {
            show(&api, console.style(), &format!("{path}/{}", subscription.as_str()), *receipt).await?
        }
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(subscriptions: &[Value]) -> Table {
    let titles = ["subscription", "state", "vehicles", "packages", "from", "until"];
    let mut table = Table::new(&titles, "no subscriptions: create one with `cargo roadcast onboard`");
    for subscription in subscriptions {
        table.row([
            Cell::text(text(subscription, "subscriptionId")),
            Cell::state(text(subscription, "state")),
            Cell::number(&subscription["vehicles"].as_array().map_or(0, Vec::len)),
            Cell::text(joined(&subscription["packages"], "none")),
            Cell::time(text(subscription, "validFrom")),
            subscription["validUntil"].as_str().map_or_else(|| Cell::text("no end"), Cell::time),
        ]);
        if let Some(reason) = subscription["reason"].as_str() {
            table.note(reason);
        }
    }
    table
}

async fn show(api: &Api, style: Style, path: &str, with_receipt: bool) -> Result<(Value, String)> {
    let mut subscription: Value = api.json(Method::GET, path, None).await?;
    let mut lines = properties(&subscription).render(style);
    if with_receipt {
        let receipt: Value = api.json(Method::GET, &format!("{path}/receipt"), None).await?;
        lines = format!("{lines}\n\n{}", receipt_table(&receipt).render(style));
        subscription["receipt"] = receipt;
    }
    Ok((subscription, lines))
}

fn properties(subscription: &Value) -> Properties {
    let vehicles = texts(&subscription["vehicles"]);
    let more = vehicles.len().saturating_sub(PRINTED_VEHICLES);
    let mut listed = vehicles.iter().take(PRINTED_VEHICLES).copied().collect::<Vec<_>>().join(" ");
    if more > 0 {
        listed = format!("{listed} and {more} more, which --json lists");
    }
    let mut properties = Properties::default();
    properties.add("subscription", Cell::text(text(subscription, "subscriptionId")));
    properties.add("fleet", Cell::text(text(subscription, "fleetId")));
    properties.add("state", Cell::state(text(subscription, "state")));
    properties.add_some("reason", subscription["reason"].as_str().map(Cell::text));
    properties.add("packages", Cell::text(joined(&subscription["packages"], "none")));
    properties.add("format", Cell::text(text(subscription, "deliveryFormat")));
    properties.add("from", Cell::time(text(subscription, "validFrom")));
    properties.add("until", subscription["validUntil"].as_str().map_or_else(|| Cell::text("no end"), Cell::time));
    properties.add("vehicles", Cell::text(format!("{}: {listed}", vehicles.len())));
    properties
}

fn receipt_table(receipt: &Value) -> Table {
    let mut table = Table::new(&["vehicle", "events", "first", "last"], "nothing was delivered");
    for vehicle in receipt["vehicles"].as_array().into_iter().flatten() {
        table.row([
            Cell::text(text(vehicle, "vid")),
            Cell::number(&vehicle["events"]),
            Cell::time(text(vehicle, "first")),
            Cell::time(text(vehicle, "last")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscription_without_end_and_with_a_reason_is_listed() {
        let items = [json!({"subscriptionId": "sub_1", "state": "pending", "vehicles": ["a", "b"], "packages": ["alerts"],
            "validFrom": "t", "reason": "no queue"})];
        let expected = "SUBSCRIPTION  STATE    VEHICLES  PACKAGES  FROM  UNTIL\n\
                        sub_1         pending         2  alerts    t     no end\n    no queue";
        assert_eq!(table(&items).render(Style::PLAIN), expected);
    }

    #[test]
    fn long_list_of_vehicles_is_shortened() {
        let vehicles: Vec<String> = (0..25).map(|n| format!("veh_{n}")).collect();
        let text = properties(&json!({"vehicles": vehicles, "validUntil": "u"})).render(Style::PLAIN);
        assert!(text.contains("25: veh_0") && text.contains("and 5 more") && !text.contains("veh_20"), "{text}");
    }
}
