//! `tail`: prints the events of a fleet, one per line: by arrival, or from its feed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::subscription::DeliveryFormat;
use serde_json::Value;

use crate::api::{Api, percent_encoded};
use crate::confirmation::Confirmation;
use crate::console::{Console, printable};
use crate::location::StackLocation;
use crate::selectors::FleetSelector;
use crate::shutdown::ShutdownSignal;
use crate::stack::{Stack, tool_clients};
use crate::time_argument::PointInTime;
use crate::wall_clock::now_ms;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Signals that are shown first, in this order.
const PREFERRED_SIGNALS: [&str; 8] = [
    "Vehicle.Speed",
    "Vehicle.OBD.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.Powertrain.CombustionEngine.Speed",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed",
    "Vehicle.TraveledDistance",
];

/// The pause between two reads of arrivals, if no more are available now.
const ARRIVAL_POLL: Duration = Duration::from_secs(2);

/// Arguments of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast tail --fleet flt_0123456789abcdef                   Print events as they arrive
  cargo roadcast tail --fleet Nordwind --since 15m --once            Print those of the last 15 minutes, and exit
  cargo roadcast --json tail --fleet Nordwind | jq .subject          As JSON lines
  cargo roadcast tail --fleet Nordwind --ack                         Read the feed, and acknowledge what is printed
  cargo roadcast --stack-name roadcast-dev tail --fleet Nordwind     On AWS

Without --ack, events are read by arrival (GET /events), 10 seconds after they arrived. The feed of the fleet stays as it is.
With --ack, printed events are removed from the feed, and no other reader receives them.

The tool reads as a client of the fleet with the name `Roadcast CLI FLEET`, and creates it if the fleet has none.")]
pub(crate) struct TailArgs {
    /// Id or name of the fleet [default: the only active one].
    #[arg(long, value_name = "FLEET")]
    fleet: Option<FleetSelector>,
    /// Start at this time, such as 15m or 2026-11-21T08:00:00Z; at most 14 days ago [default: now, with --once 24h].
    #[arg(long, value_name = "TIME", conflicts_with = "ack")]
    since: Option<PointInTime>,
    /// Exit as soon as there are no more events.
    #[arg(long)]
    once: bool,
    /// Read the feed instead, and acknowledge the printed events.
    #[arg(long)]
    ack: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &TailArgs) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    let mut stack = Stack::open(location).await?;
    if options.ack {
        options.confirmation.ask(&stack, "removes events from the feed of the fleet")?;
    }
    let admin = stack.admin().await?;
    let fleet_id = FleetSelector::id_or_only(options.fleet.as_ref(), &admin).await?;
    let app = tool_clients::feed_client(&mut stack, &admin, &fleet_id, options.confirmation).await?;
    let printing = async {
        if options.ack {
            follow_feed(&app, &fleet_id, console, options.once).await
        } else {
            follow_arrivals(&app, console, options).await
        }
    };
    tokio::select! {
        printed = printing => printed.map(|()| ExitCode::SUCCESS),
        () = shutdown.recv() => Ok(ExitCode::SUCCESS),
    }
}

/// Prints events by arrival, until there are no more or the output is closed.
async fn follow_arrivals(app: &Api, console: &Console, options: &TailArgs) -> Result<()> {
    let default_start = if options.once { DAY_MS } else { 0 };
    let start = options.since.map_or_else(|| Timestamp::from_ms(now_ms()).plus_ms(-default_start), |since| since.0);
    let mut query = format!("from={}", percent_encoded(&start.to_string()));
    loop {
        let page = app.arrivals(&query).await?;
        if !print(console, &page.events) {
            return Ok(());
        }
        if let Some(next) = &page.next {
            query = format!("cursor={}", percent_encoded(next));
        }
        match page.more {
            true if page.next.is_some() => {}
            _ if options.once => return Ok(()),
            _ => tokio::time::sleep(ARRIVAL_POLL).await,
        }
    }
}

/// Prints and acknowledges the events of the feed, until it is empty or the output is closed. Events that were not printed are not
/// acknowledged.
async fn follow_feed(app: &Api, fleet_id: &str, console: &Console, once: bool) -> Result<()> {
    loop {
        let feed = app.feed(fleet_id, 0).await?;
        if !print(console, &feed.events) {
            return Ok(());
        }
        if let Some(ack) = &feed.ack {
            app.acknowledge(fleet_id, ack).await?;
        }
        // The feed states 0 if it may contain more events now.
        if once && (feed.ack.is_none() || !feed.next_poll().is_zero()) {
            return Ok(());
        }
        tokio::time::sleep(feed.next_poll()).await;
    }
}

/// Prints events. Returns whether the reader of the output still reads.
fn print(console: &Console, events: &[Value]) -> bool {
    let mut out = std::io::stdout().lock();
    let printed = events.iter().try_for_each(|event| {
        let lines = if console.json() { event.to_string() } else { lines(event) };
        writeln!(out, "{lines}")
    });
    printed.and_then(|()| out.flush()).is_ok()
}

/// The events of a CloudEvent, one per line.
fn lines(cloud_event: &Value) -> String {
    let decoded = match bus_entry::decode(&cloud_event.to_string()) {
        Ok(decoded) if decoded.format == DeliveryFormat::Blocks => decoded,
        // An event that cannot be decoded is printed unchanged.
        _ => return line(cloud_event),
    };
    let lines = decoded.events.iter().map(|event| line(&serde_json::to_value(event.to_cloud_event()).unwrap_or_default()));
    lines.collect::<Vec<_>>().join("\n")
}

/// An event in one line: time, vehicle, and up to four signals of its last sample.
fn line(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let mut line = format!("{}  {}", text("time"), text("subject"));
    let data = &event["data"];
    if let Some(samples) = data["samples"].as_array() {
        let _ = write!(line, "  {:>3} samples", samples.len());
        if let Some(signals) = samples.last().and_then(|sample| sample["signals"].as_object()) {
            let preferred = PREFERRED_SIGNALS.iter().filter_map(|&path| signals.get_key_value(path));
            let others = signals.iter().filter(|(path, _)| !PREFERRED_SIGNALS.contains(&path.as_str()));
            for (path, value) in preferred.chain(others).take(4) {
                let name = path.rsplit('.').next().unwrap_or(path);
                let _ = write!(line, "  {name} {value}");
            }
        }
    } else if let Some(dtcs) = data["dtcs"].as_array() {
        let codes: Vec<&str> = dtcs.iter().filter_map(|dtc| dtc["code"].as_str()).collect();
        let _ = write!(line, "  codes {}", if codes.is_empty() { "none".to_owned() } else { codes.join(" ") });
    } else {
        let _ = write!(line, "  {}", text("type"));
    }
    // Custom events contain what their senders wrote.
    printable(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn line_shows_preferred_signals_first() {
        let event = json!({"time": "2025-01-01T00:00:00.000Z", "subject": "veh_1", "data": {"samples": [
            {"at": "x", "signals": {"Vehicle.Body.Lights": true}},
            {"at": "x", "signals": {"Vehicle.A.Other": 1, "Vehicle.Speed": 50.5}}
        ]}});
        assert_eq!(line(&event), "2025-01-01T00:00:00.000Z  veh_1    2 samples  Speed 50.5  Other 1");
        let event = json!({"time": "t", "subject": "veh_1", "data": {"at": "x", "dtcs": [{"code": "P0301"}]}});
        assert_eq!(line(&event), "t  veh_1  codes P0301");
        let event = json!({"time": "t", "subject": "veh_1", "type": "com.example.tyre.v1", "data": {}});
        assert_eq!(line(&event), "t  veh_1  com.example.tyre.v1");
    }
}
