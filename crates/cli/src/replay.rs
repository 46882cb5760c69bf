//! `replay`: sends recordings through the HTTP API and accounts for every sample.

mod collect;
mod feed_drain;
mod reconcile;
mod recordings;
mod report;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::VehicleId;
use roadcast_traces::{Format, VehicleKey};
use serde_json::json;

use crate::api::Api;
use crate::confirmation::Confirmation;
use crate::console::Console;
use crate::location::StackLocation;
use crate::selectors::FleetSelector;
use crate::shutdown::ShutdownSignal;
use crate::speed_factor::SpeedFactor;
use crate::stack::{Stack, demo_fleet, tool_clients};
use crate::wall_clock::now_ms;
use collect::Collector;
use feed_drain::FeedDrain;
use recordings::RecordingSummary;

/// The packages of the subscription.
const PACKAGES: [&str; 4] = ["telematics", "track-and-trace", "diagnostics", "ev-battery"];
/// How long to wait before sending: functions cache entitlements for 5 s, and would not deliver earlier events to a new
/// subscription.
const ENTITLEMENT_CACHE_WAIT: Duration = Duration::from_secs(6);
/// The exit code if the counts do not match.
const EXIT_COUNTS_DIFFER: u8 = 2;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of the command line
#[command(after_help = "Examples:
  cargo roadcast replay --wait measurements.ndjson.zst
  cargo roadcast replay --speed 10x bus-day.csv.gz
  cargo roadcast --stack-name roadcast-dev replay --fleet Nordwind trip.csv     On AWS
  cargo roadcast --json replay --register-only trip.csv | jq .vehicles
  cargo roadcast --json replay --wait --no-subscribe trip.csv

With --wait, the exit code is 2 if the counts do not match, or if an event was not delivered to the fleet.

With --wait, the tool reads and acknowledges the feed of the fleet that it subscribes, also events of other vehicles. It reads
no feed of another fleet, and none with --no-subscribe or --no-drain. A stack whose stage is prod is used only after a confirmation,
or with --yes.")]
pub(crate) struct ReplayArgs {
    /// Recordings: enviroCar NDJSON, CapMetro CSV, Twizy CSV or FMS in VSS; plain, .gz or .zst.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the recordings: envirocar, capmetro, twizy or fms-vss [default: detected from the first line].
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Number of samples per upload.
    #[arg(long, default_value_t = 10, value_name = "SAMPLES", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) batch: u16,
    /// Speed as a multiple of recorded time, such as 10x [default: as fast as the API responds].
    #[arg(long, value_name = "FACTOR")]
    pub(crate) speed: Option<SpeedFactor>,
    /// Wait until all data is stored and delivered, and print the reconciliation.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Id or name of the fleet to subscribe to the recorded vehicles [default: the demo fleet of the local stack].
    #[arg(long, value_name = "FLEET", conflicts_with = "no_subscribe")]
    pub(crate) fleet: Option<FleetSelector>,
    /// Do not create a subscription.
    #[arg(long)]
    pub(crate) no_subscribe: bool,
    /// Register the recorded vehicles, print their ids, and send nothing.
    #[arg(long, conflicts_with_all = ["wait", "speed"])]
    pub(crate) register_only: bool,
    /// With --wait: do not read the feed of the fleet, and count no deliveries.
    #[arg(long, requires = "wait")]
    pub(crate) no_drain: bool,
    /// Maximum number of concurrent uploads; uploads of one vehicle are never concurrent.
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &ReplayArgs) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    tokio::select! {
        code = replay(location, console, options) => code,
        () = shutdown.recv() => Ok(ExitCode::from(130)),
    }
}

async fn replay(location: &StackLocation, console: &Console, options: &ReplayArgs) -> Result<ExitCode> {
    let mut stack = Stack::open(location).await?;
    let effect = if options.wait { "sends recordings, and reads and acknowledges a feed" } else { "sends recordings" };
    options.confirmation.ask(&stack, effect)?;
    let admin = stack.admin().await?;
    let fleet_id = fleet(&stack, options, &admin).await?;
    let ingest = Arc::new(tool_clients::ingest_client(&mut stack, &admin, Confirmation::given()).await?);
    let summary = read_recordings(console, options).await?;
    let vids = register(console, &ingest, &summary).await?;
    if options.register_only {
        let names: BTreeMap<String, &String> = vids.iter().map(|(key, vid)| (key.to_string(), vid)).collect();
        let text: Vec<String> = names.iter().map(|(name, vid)| format!("{vid}  {name}")).collect();
        console.print_result(&json!({ "vehicles": names }), &text.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(fleet_id) = &fleet_id {
        subscribe(console, &admin, fleet_id, &vids).await?;
    }

    let started = Instant::now();
    let run_start = Timestamp::from_ms(now_ms());
    let vehicles: BTreeSet<VehicleId> = vids.values().filter_map(|vid| vid.parse().ok()).collect();
    let feed_drain = match fleet_id.filter(|_| options.wait && !options.no_drain) {
        Some(fleet_id) => Some(FeedDrain::start(&mut stack, &admin, fleet_id, Confirmation::given(), &vehicles).await?),
        None => None,
    };
    let sent = send::send_recordings(&ingest, options, &summary, Arc::new(vids), console).await?;
    if !options.wait {
        let seconds = started.elapsed().as_secs_f64();
        console.print_result(&report::sent(&sent, seconds), &report::sent_text(&sent, seconds))?;
        return Ok(ExitCode::SUCCESS);
    }

    let mut collector = Collector::new(&stack, run_start, vehicles)?;
    collector.wait_for(&sent.acked, console).await?;
    let counts = collector.counts(sent);
    let result = reconcile::reconcile(&counts);
    let delivered = match feed_drain {
        Some(feed_drain) => Some(feed_drain.finish(&result.new_events, collector.events(), console).await?),
        None => None,
    };
    let seconds = started.elapsed().as_secs_f64();
    let counts_match = report::counts_match(&result, delivered.as_ref());
    let (object, text) = report::reconciliation(&result, delivered.as_ref(), seconds);
    console.print_result(&object, &text)?;
    Ok(if counts_match { ExitCode::SUCCESS } else { ExitCode::from(EXIT_COUNTS_DIFFER) })
}

/// Reads the recordings once, to find their vehicles.
async fn read_recordings(console: &Console, options: &ReplayArgs) -> Result<RecordingSummary> {
    let step = console.step("Reading the recordings");
    let (files, format) = (options.files.clone(), options.format);
    let summary = tokio::task::spawn_blocking(move || RecordingSummary::read(&files, format)).await??;
    step.finish(&format!("{} rows of {} vehicles", summary.rows, summary.vehicles.len()));
    Ok(summary)
}

async fn register(console: &Console, ingest: &Api, summary: &RecordingSummary) -> Result<BTreeMap<VehicleKey, String>> {
    let mut step = console.counted_step("Registering vehicles", summary.vehicles.len() as u64);
    let registrations = summary.vehicles.iter().map(|(key, registration)| (key.clone(), registration.clone())).collect();
    let vids = demo_fleet::register(ingest, registrations, &mut step).await?;
    step.finish(&format!("{} vehicles", vids.len()));
    Ok(vids)
}

/// The fleet to subscribe; None with `--no-subscribe` and `--register-only`. Only the local stack has a demo fleet.
async fn fleet(stack: &Stack, options: &ReplayArgs, admin: &Api) -> Result<Option<String>> {
    if options.no_subscribe || options.register_only {
        return Ok(None);
    }
    match &options.fleet {
        Some(fleet) => Ok(Some(fleet.id(admin).await?)),
        None if stack.is_deployed() => {
            bail!("{} has no demo fleet: choose a fleet with --fleet, or subscribe none with --no-subscribe", stack.name())
        }
        None => Ok(Some(stack.file.demo.fleet_id.clone())),
    }
}

async fn subscribe(console: &Console, admin: &Api, fleet_id: &str, vids: &BTreeMap<VehicleKey, String>) -> Result<()> {
    if vids.is_empty() {
        return Ok(());
    }
    let mut step = console.step("Subscribing the fleet");
    let vids: Vec<String> = vids.values().cloned().collect();
    let created = demo_fleet::subscribe(admin, fleet_id, &vids, &PACKAGES, &mut step).await?;
    if created.is_empty() {
        step.finish(&format!("{fleet_id} is already subscribed"));
    } else {
        step.set_message("waiting until all functions apply the subscription");
        tokio::time::sleep(ENTITLEMENT_CACHE_WAIT).await;
        step.finish(&format!("{fleet_id} is subscribed"));
    }
    Ok(())
}
