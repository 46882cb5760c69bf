//! `tail`: prints the events of a fleet's feed, one per line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use roadcast_codec::bus_entry;
use roadcast_domain::subscription::DeliveryFormat;
use serde_json::Value;

use crate::console::Console;
use crate::shutdown::ShutdownSignal;
use crate::stack::layout::Layout;
use crate::stack::{Stack, demo_fleet};

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

/// Arguments of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast tail --fleet flt_0123456789abcdef
  cargo roadcast --json tail --fleet flt_0123456789abcdef --once     Print the queued events as JSON lines, and exit

Printed events are acknowledged: they are removed from the feed, and no other reader receives them.")]
pub(crate) struct TailArgs {
    /// Id of the fleet.
    #[arg(long, value_name = "FLEET")]
    pub(crate) fleet: String,
    /// Exit as soon as the feed is empty.
    #[arg(long)]
    pub(crate) once: bool,
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: &TailArgs) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    let mut stack = Stack::open(layout)?;
    let admin = stack.admin().await?;
    let app = demo_fleet::feed_client(&mut stack, layout, &admin, &options.fleet).await?;
    loop {
        let feed = tokio::select! {
            feed = app.feed(&options.fleet, 0) => feed?,
            () = shutdown.recv() => return Ok(ExitCode::SUCCESS),
        };
        let mut out = std::io::stdout().lock();
        for event in &feed.events {
            let lines = if console.json() { event.to_string() } else { lines(event) };
            if writeln!(out, "{lines}").is_err() {
                // The reader closed the pipe. Events that were not printed are not acknowledged.
                return Ok(ExitCode::SUCCESS);
            }
        }
        drop(out);
        match &feed.ack {
            Some(ack) => app.acknowledge(&options.fleet, ack).await?,
            None if options.once => return Ok(ExitCode::SUCCESS),
            None => {}
        }
        tokio::select! {
            () = tokio::time::sleep(feed.next_poll()) => {}
            () = shutdown.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
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
    }
    line
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
    }
}
