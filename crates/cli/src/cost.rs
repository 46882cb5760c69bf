//! `cost`: estimates the monthly AWS bill by ingest path, next to reference designs.

// Progress in percent.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use roadcast_cost::day::{Day, Month, run_day};
use roadcast_cost::{Bill, IngestPath, Kind, Payload, Prices, Workload, fixed, reference};
use serde_json::{Map, Value, json};

use crate::console::Console;

/// The numbers of vehicles in the scaling table.
const SCALE: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// The maximum number of bill lines to print.
const PRINTED_LINES: usize = 6;

/// Arguments of `cost`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast cost
  cargo roadcast cost --vehicles 2500 --fleets 4 --by-fleet
  cargo roadcast --json cost | jq '.iot.traffic, .put_records.traffic'

Needs no running stack and no AWS account. Takes about three minutes for 10,000 vehicles.
Prices are in infra/prices.csv; docs/performance.md describes the method.")]
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
    /// Split the bill by fleet.
    #[arg(long)]
    pub(crate) by_fleet: bool,
    /// Also estimate 100 to 1,000,000 vehicles, and list the AWS quotas to raise.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) scaling: bool,
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
    let prices = Prices::bundled().context("cannot read the price sheet infra/prices.csv")?;

    let paths = [IngestPath::PutRecords, IngestPath::PartnerHttp, IngestPath::VehicleHttp];
    let mut step = console.counted_step("Metering one day per ingest path", 100);
    let days = measure(&workload, &paths, payload, |done| step.set_position((done * 100.0) as u64, "")).await?;
    step.finish(&format!("{} vehicles, {} fleets", workload.vehicles, workload.fleets));
    let [put_records, partner, vehicle] =
        <[Day; 3]>::try_from(days).ok().context("internal error: expected a day for each of three ingest paths")?;
    let iot = put_records.by_iot();

    let bill_of = |month: &Month, workload: &Workload| {
        let mut fixed_usage = fixed(workload);
        fixed_usage.add_scaled(&month.idle, 1.0);
        Bill::of(&prices, &month.usage, &fixed_usage)
    };
    let mut report = Report { options: options.clone(), designs: Vec::new(), fleet_shares: Vec::new(), scaling: Vec::new() };
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
    report.designs.push(("naive", Bill::of(&prices, &reference::naive(&workload), &none), None));
    report.designs.push(("naive_with_delivery", Bill::of(&prices, &reference::naive_with_delivery(&workload), &none), None));
    report.designs.push(("published", reference::published(&workload), None));

    if options.by_fleet {
        let month = put_records.month();
        let mut used = month.usage.clone();
        used.add_scaled(&fixed(&workload), 1.0);
        used.add_scaled(&month.idle, 1.0);
        report.fleet_shares = bill_of(&month, &workload).split(&used, &month.delivered);
    }
    if options.scaling {
        let mut step = console.counted_step("Metering other fleet sizes", SCALE.len() as u64);
        for (n, vehicles) in SCALE.into_iter().enumerate() {
            let workload = Workload { vehicles, ..workload.clone() };
            let day = match (vehicles, options.vehicles) {
                (same, requested) if same == requested => put_records.times(1),
                (more, 10_000) if more > 10_000 => put_records.times(more / 10_000),
                _ => {
                    let mut days = measure(&workload, &[IngestPath::PutRecords], payload, |_| {}).await?;
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
    console.print_result(&report.to_json(), &report.to_text(&workload))?;
    Ok(ExitCode::SUCCESS)
}

/// Meters one day per ingest path, concurrently on blocking threads.
async fn measure(
    workload: &Workload,
    paths: &[IngestPath],
    payload: Payload,
    mut report: impl FnMut(f64),
) -> Result<Vec<Day>> {
    let (progress, mut received) = tokio::sync::mpsc::unbounded_channel();
    let mut runs = Vec::new();
    for (n, path) in paths.iter().copied().enumerate() {
        let (workload, progress) = (workload.clone(), progress.clone());
        runs.push(tokio::task::spawn_blocking(move || {
            run_day(&workload, path, payload, &|done| {
                // Sending fails if the receiver was dropped.
                let _ = progress.send((n, done));
            })
        }));
    }
    drop(progress);
    let mut done = vec![0.0; paths.len()];
    while let Some((n, part)) = received.recv().await {
        done[n] = part;
        report(done.iter().sum::<f64>() / paths.len() as f64);
    }
    let mut days = Vec::new();
    for run in runs {
        days.push(run.await?);
    }
    Ok(days)
}

struct Report {
    options: CostArgs,
    designs: Vec<(&'static str, Bill, Option<Month>)>,
    fleet_shares: Vec<roadcast_cost::FleetShare>,
    scaling: Vec<(u32, Bill, Bill, Month)>,
}

impl Report {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("vehicles".to_owned(), json!(self.options.vehicles));
        object.insert("fleets".to_owned(), json!(self.options.fleets));
        for (name, bill, month) in &self.designs {
            let mut design = sums(bill);
            design["items"] = json!(bill.lines);
            if let Some(month) = month {
                design["peak"] = json!(month.peak);
                design["bytesPerSample"] = json!(month.sizes);
            }
            object.insert((*name).to_owned(), design);
        }
        if self.options.by_fleet {
            object.insert("fleet_shares".to_owned(), json!(self.fleet_shares));
        }
        if self.options.scaling {
            let row = |(vehicles, bill, iot, month): &(u32, Bill, Bill, Month)| json!({"vehicles": vehicles, "put_records": sums(bill), "iot": sums(iot), "peak": month.peak});
            object.insert("scaling".to_owned(), self.scaling.iter().map(row).collect());
        }
        Value::Object(object)
    }

    fn to_text(&self, workload: &Workload) -> String {
        let mut text = format!(
            "{} vehicles in {} fleets: {:.0} min of driving per day, one sample per second, ten samples per upload;\n\
             {:.1} M samples per month. At the peak, {:.0} vehicles drive at the same time. Prices: us-east-1, infra/prices.csv.\n\
             Traffic: the cost of ingesting and reading data. Fixed: the cost without traffic, for clients and tokens, metrics,\n\
             alarms, and polls of empty feeds.\n\n\
             {:<22}{:>12}{:>12}{:>12}\n",
            workload.vehicles,
            workload.fleets,
            workload.driven_minutes_a_day(),
            workload.samples() / 1e6,
            workload.peak(),
            "$ per month",
            "traffic",
            "fixed",
            "total"
        );
        for (name, bill, _) in &self.designs {
            let (traffic, fixed) = (bill.sum(Kind::Traffic), bill.sum(Kind::Fixed));
            let _ = writeln!(text, "{name:<22}{traffic:>12.2}{fixed:>12.2}{:>12.2}", bill.total());
        }
        for (name, bill, month) in &self.designs {
            let Some(month) = month else { continue };
            let (peak, sizes) = (month.peak, month.sizes);
            let _ = writeln!(
                text,
                "\n{name}: {:.0} B per sample in JSON, {:.1} on the stream, {:.1} in the log and {:.1} for its origin;\n  \
                 at the peak {:.0} records/s, {:.0} kB/s, {:.0} shards, {:.0} concurrent processors, {:.0} write units/s",
                sizes.json,
                sizes.record,
                sizes.block,
                sizes.origins,
                peak.records_per_second,
                peak.bytes_per_second / 1000.0,
                peak.shards,
                peak.processor_concurrency,
                peak.write_units_per_second
            );
            for line in bill.lines.iter().take(PRINTED_LINES) {
                let _ = writeln!(text, "  {:<58}{:>18.0} {:<16}{:>9.2}", line.what, line.quantity, line.unit, line.dollars);
            }
        }
        self.write_fleet_shares(&mut text);
        self.write_scaling(&mut text);
        text
    }

    fn write_fleet_shares(&self, text: &mut String) {
        if self.fleet_shares.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{:<28}{:>10}{:>10}{:>10}", "put_records by fleet, $", "own", "shared", "total");
        for share in &self.fleet_shares {
            let _ = writeln!(text, "{:<28}{:>10.2}{:>10.2}{:>10.2}", share.fleet_id, share.own, share.shared, share.total);
        }
        let sum: f64 = self.fleet_shares.iter().map(|share| share.total).sum();
        let _ = writeln!(text, "{:<28}{:>10}{:>10}{sum:>10.2}", "total", "", "");
    }

    fn write_scaling(&self, text: &mut String) {
        if self.scaling.is_empty() {
            return;
        }
        let _ = writeln!(
            text,
            "\n{:>10}{:>14}{:>12}{:>8}{:>12}{:>12}   quotas to raise",
            "vehicles", "put_records", "iot", "shards", "processors", "writes/s"
        );
        for (vehicles, bill, iot, month) in &self.scaling {
            let _ = writeln!(
                text,
                "{vehicles:>10}{:>14.2}{:>12.2}{:>8.0}{:>12.0}{:>12.0}   {}",
                bill.sum(Kind::Traffic),
                iot.sum(Kind::Traffic),
                month.peak.shards,
                month.peak.processor_concurrency,
                month.peak.write_units_per_second,
                quotas(month)
            );
        }
    }
}

fn sums(bill: &Bill) -> Value {
    json!({"traffic": bill.sum(Kind::Traffic), "fixed": bill.sum(Kind::Fixed), "total": bill.total()})
}

/// The default quotas of an account in us-east-1 that the peak exceeds.
fn quotas(month: &Month) -> String {
    let peak = month.peak;
    let limits = [
        ("Kinesis shards (20,000)", peak.shards, 20_000.0),
        ("Lambda concurrency (1,000)", peak.processor_concurrency, 1_000.0),
        ("DynamoDB table writes (40,000/s)", peak.write_units_per_second, 40_000.0),
        ("API requests (10,000/s)", peak.api_requests_per_second, 10_000.0),
    ];
    let over: Vec<&str> = limits.iter().filter(|(_, need, limit)| need > limit).map(|(name, ..)| *name).collect();
    if over.is_empty() { "none".to_owned() } else { over.join(", ") }
}
