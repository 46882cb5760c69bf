//! `vehicles`: lists and shows vehicles.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Api, percent_encoded};
use crate::console::{Cell, Console, Properties, Style, Table};
use crate::json_text::text;
use crate::location::StackLocation;
use crate::selectors::{VehicleSelector, client_id};
use crate::stack::Stack;

/// Arguments of `vehicles`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo roadcast vehicles list --make Gillig --limit 20
  cargo roadcast vehicles show bus:2619                           By external id, or by its vid veh_…
  cargo roadcast --json vehicles show bus:2619 | jq .state
  cargo roadcast --stack-name roadcast-dev vehicles list          On AWS

VINs are personal data: tables do not have them, `show` and --json do.")]
pub(crate) struct VehiclesArgs {
    #[command(subcommand)]
    command: VehiclesCommand,
}

#[derive(Debug, Subcommand)]
enum VehiclesCommand {
    /// List vehicles.
    List(Box<ListArgs>),
    /// Show a vehicle and the last known value of each of its signals.
    #[command(after_help = "Examples:
  cargo roadcast vehicles show veh_0123456789abcdef
  cargo roadcast vehicles show bus:2619")]
    Show {
        /// The vid or an external id of the vehicle.
        vehicle: VehicleSelector,
    },
}

/// Arguments of `vehicles list`. Every filter is optional, and all of them must match.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo roadcast vehicles list --text hybrid
  cargo roadcast vehicles list --registered-by 4d1kq8example0client --retired")]
struct ListArgs {
    /// Vehicles with this text in make, model, an external id or an attribute.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Vehicles of this make.
    #[arg(long)]
    make: Option<String>,
    /// Vehicles of this model.
    #[arg(long)]
    model: Option<String>,
    /// Vehicles that this client registered.
    #[arg(long, value_name = "CLIENT", value_parser = client_id)]
    registered_by: Option<String>,
    /// Retired vehicles instead of vehicles in service.
    #[arg(long)]
    retired: bool,
    /// Maximum number of vehicles.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

impl ListArgs {
    /// The path and query of the request.
    fn path(&self) -> String {
        let filters =
            [("q", &self.text), ("make", &self.make), ("model", &self.model), ("registeredBy", &self.registered_by)];
        let filters =
            filters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", percent_encoded(value.as_ref()?))));
        format!("/vehicles?retired={}{}", self.retired, filters.collect::<String>())
    }
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &VehiclesArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    let (object, text) = match &args.command {
        VehiclesCommand::List(list) => {
            let listing = api.first(&list.path(), list.limit).await?;
            let table = table(&listing.items).with_more(listing.more).render(console.style());
            (json!({ "items": listing.items, "more": listing.more }), table)
        }
        VehiclesCommand::Show { vehicle } => show(&api, console.style(), &vehicle.vid(&api).await?).await?,
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The external ids of a vehicle, such as `bus:2619`.
fn names(vehicle: &Value) -> String {
    let ids = vehicle["externalIds"].as_array().into_iter().flatten();
    ids.map(|id| format!("{}:{}", text(id, "scheme"), text(id, "value"))).collect::<Vec<_>>().join(" ")
}

fn table(vehicles: &[Value]) -> Table {
    let mut table = Table::new(&["vehicle", "names", "make", "model", "year", "created"], "no vehicles match");
    for vehicle in vehicles {
        table.row([
            Cell::text(text(vehicle, "vid")),
            Cell::text(names(vehicle)),
            Cell::text(text(vehicle, "make")),
            Cell::text(text(vehicle, "model")),
            Cell::text(vehicle["modelYear"].as_u64().map(|year| year.to_string()).unwrap_or_default()),
            Cell::time(text(vehicle, "createdAt")),
        ]);
    }
    table
}

async fn show(api: &Api, style: Style, vid: &str) -> Result<(Value, String)> {
    let mut vehicle: Value = api.json(Method::GET, &format!("/vehicles/{vid}"), None).await?;
    let mut state: Value = api.json(Method::GET, &format!("/vehicles/{vid}/state"), None).await?;
    let signals = state["signals"].take();
    let text = format!("{}\n\n{}", properties(&vehicle).render(style), state_table(&signals).render(style));
    vehicle["state"] = signals;
    Ok((vehicle, text))
}

fn properties(vehicle: &Value) -> Properties {
    let some = |member: &str| vehicle[member].as_str().map(Cell::text);
    let mut properties = Properties::default();
    properties.add("vehicle", Cell::text(text(vehicle, "vid")));
    properties.add("names", Cell::text(names(vehicle)));
    properties.add_some("vin", some("vin"));
    properties.add_some("make", some("make"));
    properties.add_some("model", some("model"));
    properties.add_some("model year", vehicle["modelYear"].as_u64().map(|year| Cell::text(year.to_string())));
    properties.add_some("fuel", some("fuelType"));
    properties.add_some("retired", vehicle["retiredAt"].as_str().map(Cell::time));
    properties.add("created", Cell::time(text(vehicle, "createdAt")));
    properties
}

fn state_table(signals: &Value) -> Table {
    let mut table = Table::new(&["signal", "value", "unit", "at"], "no data of this vehicle is stored yet");
    for (path, signal) in signals.as_object().into_iter().flatten() {
        let value = signal["value"].as_str().map_or_else(|| signal["value"].to_string(), str::to_owned);
        table.row([
            Cell::text(path.as_str()),
            Cell::number(&value),
            Cell::text(text(signal, "unit")),
            Cell::time(text(signal, "at")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        list: ListArgs,
    }

    #[test]
    fn filters_become_the_query() {
        let path = |flags: &[&str]| Line::parse_from([&["list"], flags].concat()).list.path();
        assert_eq!(path(&[]), "/vehicles?retired=false");
        let flags = ["--text", "a b", "--make", "Škoda", "--registered-by", "c1", "--retired"];
        assert_eq!(path(&flags), "/vehicles?retired=true&q=a%20b&make=%C5%A0koda&registeredBy=c1");
    }

    #[test]
    fn list_has_no_vin_and_show_has_it() {
        let vehicle = json!({"vid": "veh_1", "vin": "WVWZZZ1JZXW000001", "externalIds": [{"scheme": "bus", "value": "7"}],
            "createdAt": "t"});
        assert!(!table(std::slice::from_ref(&vehicle)).render(Style::PLAIN).contains("WVW"));
        assert!(properties(&vehicle).render(Style::PLAIN).contains("vin      WVWZZZ1JZXW000001"));
    }

    #[test]
    fn state_has_a_row_for_each_signal() {
        let signals =
            json!({"Vehicle.Speed": {"value": 50.1, "unit": "km/h", "at": "t"}, "Vehicle.X": {"value": "on", "at": "u"}});
        let expected = "SIGNAL         VALUE  UNIT  AT\nVehicle.Speed   50.1  km/h  t\nVehicle.X         on        u";
        assert_eq!(state_table(&signals).render(Style::PLAIN), expected);
    }
}
