//! `replay`: recordings into the HTTP API, and what became of every sample.

mod collect;
mod drain;
mod reconcile;
mod report;
mod send;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use roadcast_domain::Timestamp;
use roadcast_domain::ids::VehicleId;
use roadcast_traces::VehicleKey;
use serde_json::json;

use crate::api::Api;
use crate::args;
use crate::console::Console;
use crate::simulator::now_ms;
use crate::stack::layout::Layout;
use crate::stack::{Stack, onboard};
use crate::up::Interrupt;
use collect::Collector;
use drain::Drain;
use survey::Survey;

/// What the subscribed fleet gets to see.
const PACKAGES: [&str; 4] = ["telematics", "track-and-trace", "diagnostics", "ev-battery"];
/// Functions remember who is entitled for 5 s; what is sent earlier might pass a new subscription by.
const ENTITLEMENTS_TURN_OVER: Duration = Duration::from_secs(6);
/// The exit code where the counts do not add up.
const UNBALANCED: u8 = 2;

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Replay) -> Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    tokio::select! {
        code = replay(layout, console, options) => code,
        () = interrupt.wait() => Ok(ExitCode::from(130)),
    }
}

async fn replay(layout: &Layout, console: &Console, options: &args::Replay) -> Result<ExitCode> {
    let mut stack = Stack::open(layout)?;
    let admin = stack.admin().await?;
    let ingest = Arc::new(onboard::ingest_client(&mut stack, layout, &admin).await?);
    let survey = survey(console, options).await?;
    let vids = register(console, &ingest, &survey).await?;
    if options.register_only {
        let names: BTreeMap<String, &String> = vids.iter().map(|(key, vid)| (key.to_string(), vid)).collect();
        let text: Vec<String> = names.iter().map(|(name, vid)| format!("{vid}  {name}")).collect();
        console.result(&json!({ "vehicles": names }), &text.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    subscribe(&stack, console, options, &admin, &vids).await?;

    let began = Instant::now();
    let run_start = Timestamp::from_ms(now_ms());
    let known: BTreeSet<VehicleId> = vids.values().filter_map(|vid| vid.parse().ok()).collect();
    let drain =
        if options.wait && !options.no_drain { Some(Drain::start(&mut stack, layout, &admin, &known).await?) } else { None };
    let sent = send::all(&ingest, options, &survey, Arc::new(vids), console).await?;
    if !options.wait {
        let seconds = began.elapsed().as_secs_f64();
        console.result(&report::sent(&sent, seconds), &report::sent_text(&sent, seconds))?;
        return Ok(ExitCode::SUCCESS);
    }

    let mut collector = Collector::new(&stack, run_start, known)?;
    collector.wait_for(&sent.acked, console).await?;
    let facts = collector.facts(sent);
    let result = reconcile::reconcile(&facts);
    let delivered = match drain {
        Some(drain) => Some(drain.finish(&result.new_events, collector.events(), console).await?),
        None => None,
    };
    let seconds = began.elapsed().as_secs_f64();
    let balanced = result.differences.is_empty();
    let (object, text) = report::reconciliation(&result, delivered.as_ref(), seconds);
    console.result(&object, &text)?;
    Ok(if balanced { ExitCode::SUCCESS } else { ExitCode::from(UNBALANCED) })
}

/// Reads the recordings once, for their vehicles.
async fn survey(console: &Console, options: &args::Replay) -> Result<Survey> {
    let step = console.step("Reading the recordings");
    let (files, format) = (options.files.clone(), options.format);
    let survey = tokio::task::spawn_blocking(move || Survey::of(&files, format)).await??;
    step.done(&format!("{} rows of {} vehicles", survey.rows, survey.vehicles.len()));
    Ok(survey)
}

async fn register(console: &Console, ingest: &Api, survey: &Survey) -> Result<BTreeMap<VehicleKey, String>> {
    let mut step = console.counted("Registering vehicles", survey.vehicles.len() as u64);
    let registrations = survey.vehicles.iter().map(|(key, registration)| (key.clone(), registration.clone())).collect();
    let vids = onboard::register(ingest, registrations, &mut step).await?;
    step.done(&format!("{} vehicles", vids.len()));
    Ok(vids)
}

async fn subscribe(
    stack: &Stack,
    console: &Console,
    options: &args::Replay,
    admin: &Api,
    vids: &BTreeMap<VehicleKey, String>,
) -> Result<()> {
    if options.no_subscribe || vids.is_empty() {
        return Ok(());
    }
    let fleet_id = options.fleet.as_ref().unwrap_or(&stack.file.demo.fleet_id);
    let mut step = console.step("Subscribing the fleet");
    let wanted: Vec<String> = vids.values().cloned().collect();
    let made = onboard::subscribe(admin, fleet_id, &wanted, &PACKAGES, &mut step).await?;
    if made.is_empty() {
        step.done(&format!("{fleet_id} was subscribed before"));
    } else {
        step.at("waiting until the subscription is in force everywhere");
        tokio::time::sleep(ENTITLEMENTS_TURN_OVER).await;
        step.done(&format!("{fleet_id} is subscribed"));
    }
    Ok(())
}
