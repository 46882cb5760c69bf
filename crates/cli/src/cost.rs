//! `cost`: estimates the monthly AWS bill by ingest path, next to reference designs, and what each choice would change.

// Progress in percent.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod alerts;
mod webhooks;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use roadcast_cost::day::{Day, Month, run_days};
use roadcast_cost::{Bill, IngestPath, Knobs, Payload, Prices, Workload, fixed, reference};

use crate::console::Console;

mod knobs;
mod report;

use self::knobs::variations;
use self::report::Report;

/// The numbers of vehicles in the scaling table.
const SCALE: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// Arguments of `cost`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast cost
  cargo roadcast cost --vehicles 2500 --fleets 4 --by-fleet
  cargo roadcast --json cost --knobs false | jq '.iot.traffic, .putRecords.traffic'
  cargo roadcast cost --webhooks                                Only what webhooks add
  cargo roadcast cost --alerts                                  Only what alerts add

Needs no running stack and no AWS account. Takes some minutes for 10,000 vehicles; --knobs false and --scaling false are faster.
Prices are in infra/prices.csv; docs/performance.md describes the method.")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command
pub(crate) struct CostArgs {
    /// Number of vehicles.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) vehicles: u32,
    /// Number of fleets that the vehicles belong to.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) fleets: u32,
    /// Format of the uploads.
    #[arg(long, value_enum, default_value_t = CostPayload::Compact)]
    pub(crate) payload: CostPayload,
    /// Estimate only what webhooks add: one event for each vehicle and day. Takes seconds.
    #[arg(long)]
    pub(crate) webhooks: bool,
    /// Estimate only what alerts add: 10,000 vehicles in 10 fleets with 50 rules each, one alert for each vehicle and day. Takes some
    /// seconds.
    #[arg(long, conflicts_with_all = ["webhooks", "vehicles", "fleets", "payload"])]
    pub(crate) alerts: bool,
    /// Split the bill by fleet.
    #[arg(long)]
    pub(crate) by_fleet: bool,
    /// Also estimate 100 to 1,000,000 vehicles, and list the AWS quotas to raise.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) scaling: bool,
    /// Also estimate the bill with other settings: batch window, payload, reads of feeds, deliveries.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) knobs: bool,
}

/// The format of uploads.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CostPayload {
    /// Blocks made on the device.
    Compact,
    /// Plain JSON.
    Json,
}

pub(crate) async fn run(console: &Console, options: &CostArgs) -> Result<ExitCode> {
    let workload = Workload { vehicles: options.vehicles, fleets: options.fleets };
    let payload = if options.payload == CostPayload::Json { Payload::Json } else { Payload::Compact };
    let knobs = Knobs { payload, ..Knobs::default() };
    let prices = Prices::bundled().context("cannot read the price sheet infra/prices.csv")?;

    if options.webhooks {
        let (object, text) = webhooks::report(&prices, options.vehicles);
        console.print_result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.alerts {
        let (object, text) = alerts::report(&prices);
        console.print_result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let paths = [IngestPath::PutRecords, IngestPath::PartnerHttp, IngestPath::VehicleHttp];
    let variations = if options.knobs { variations(knobs, options.fleets) } else { Vec::new() };
    let varied_runs = variations.iter().map(|(_, knobs)| (IngestPath::PutRecords, *knobs));
    let runs: Vec<_> = paths.map(|path| (path, knobs)).into_iter().chain(varied_runs).collect();
    let mut step = console.counted_step("Metering one day per ingest path and setting", 100);
    let mut days = measure(&workload, &runs, |done| step.set_position((done * 100.0) as u64, "")).await?;
    step.finish(&format!("{} vehicles, {} fleets", workload.vehicles, workload.fleets));
    let varied_days = days.split_off(paths.len());
    let [put_records, partner, vehicle] =
        <[Day; 3]>::try_from(days).ok().context("internal error: expected a day for each of three ingest paths")?;
    let iot = put_records.by_iot();

    let bill_of = |month: &Month, workload: &Workload| {
        let mut fixed_usage = fixed(workload);
        fixed_usage.add_scaled(&month.idle, 1.0);
        Bill::of(&prices, &month.usage, &fixed_usage)
    };
    let mut report = Report::new(options.clone(), workload.clone());
    for (path, day) in [
        (IngestPath::Iot, &iot),
        (IngestPath::PutRecords, &put_records),
        (IngestPath::PartnerHttp, &partner),
        (IngestPath::VehicleHttp, &vehicle),
    ] {
        let month = day.month();
        report.designs.push((path.name(), bill_of(&month, &workload), Some(month)));
    }
    let none = roadcast_cost::Usage::default();
    report.references.push(("naive", Bill::of(&prices, &reference::naive(&workload), &none)));
    report.references.push(("naive_with_delivery", Bill::of(&prices, &reference::naive_with_delivery(&workload), &none)));
    report.references.push(("published", reference::published(&workload)));

    let month = put_records.month();
    let fleets = f64::from(workload.fleets);
    let mut with_another = month.clone();
    with_another.idle.add_scaled(&month.idle, 1.0 / fleets);
    let another = Workload { fleets: workload.fleets + 1, ..workload.clone() };
    report.with_another_fleet = bill_of(&with_another, &another);
    if options.by_fleet {
        let mut used = month.usage.clone();
        used.add_scaled(&fixed(&workload), 1.0);
        used.add_scaled(&month.idle, 1.0);
        report.fleet_shares = bill_of(&month, &workload).split(&used, &month.delivered);
    }
    for ((change, _), day) in variations.into_iter().zip(varied_days) {
        report.variations.push((change, bill_of(&day.month(), &workload)));
    }
    if options.scaling {
        let mut step = console.counted_step("Metering other numbers of vehicles", SCALE.len() as u64);
        for (n, vehicles) in SCALE.into_iter().enumerate() {
            let workload = Workload { vehicles, ..workload.clone() };
            let day = match (vehicles, options.vehicles) {
                (same, requested) if same == requested => put_records.times(1),
                (more, 10_000) if more > 10_000 => put_records.times(more / 10_000),
                _ => {
                    let mut days = measure(&workload, &[(IngestPath::PutRecords, knobs)], |_| {}).await?;
                    days.pop().context("internal error: expected one day")?
                }
            };
            step.set_position(n as u64 + 1, "");
            let month = day.month();
            let by_iot = bill_of(&day.by_iot().month(), &workload);
            report.scaling.push((vehicles, bill_of(&month, &workload), by_iot, month));
        }
        step.finish("metered");
    }
    console.print_result(&report.to_json(), &report.to_text())?;
    Ok(ExitCode::SUCCESS)
}

/// Meters a day for each ingest path with its settings, on blocking threads.
async fn measure(workload: &Workload, runs: &[(IngestPath, Knobs)], mut report: impl FnMut(f64)) -> Result<Vec<Day>> {
    let (progress, mut received) = tokio::sync::mpsc::unbounded_channel();
    let (workload, runs) = (workload.clone(), runs.to_vec());
    let days = tokio::task::spawn_blocking(move || {
        run_days(&workload, &runs, &|done| {
            // Sending fails if the receiver was dropped.
            let _ = progress.send(done);
        })
    });
    while let Some(done) = received.recv().await {
        report(done);
    }
    Ok(days.await?)
}
