//! `cost`: what a month costs, by way in, beside other designs.

// Parts of a whole, as percentages.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use roadcast_cost::day::{Day, Month, run_day};
use roadcast_cost::{Bill, Kind, Payload, Prices, Way, Workload, fixed, reference};
use serde_json::{Map, Value, json};

use crate::args;
use crate::console::Console;

/// Vehicles of the scaling table.
const SCALE: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// Lines of a bill that are shown.
const SHOWN: usize = 6;

pub(crate) async fn run(console: &Console, options: &args::Cost) -> Result<ExitCode> {
    let workload = Workload { vehicles: options.vehicles, fleets: options.fleets };
    let payload = if options.payload == args::CostPayload::Json { Payload::Json } else { Payload::Compact };
    let prices = Prices::ours().context("the price sheet infra/prices.csv")?;

    let ways = [Way::PutRecords, Way::PartnerHttp, Way::VehicleHttp];
    let mut step = console.counted("Running a day of each way in", 100);
    let days = measure(&workload, &ways, payload, |done| step.reach((done * 100.0) as u64, "")).await?;
    step.done(&format!("{} vehicles, {} fleets", workload.vehicles, workload.fleets));
    let [put_records, partner, vehicle] = <[Day; 3]>::try_from(days).ok().context("three days")?;
    let iot = put_records.by_iot();

    let bill_of = |month: &Month, workload: &Workload| {
        let mut standing = fixed(workload);
        standing.add_times(&month.idle, 1.0);
        Bill::of(&prices, &month.usage, &standing)
    };
    let mut report = Report { options: options.clone(), designs: Vec::new(), tenants: Vec::new(), scaling: Vec::new() };
    for (way, day) in
        [(Way::Iot, &iot), (Way::PutRecords, &put_records), (Way::PartnerHttp, &partner), (Way::VehicleHttp, &vehicle)]
    {
        let month = day.month();
        report.designs.push((way.name(), bill_of(&month, &workload), Some(month)));
    }
    let none = roadcast_cost::Usage::default();
    report.designs.push(("naive", Bill::of(&prices, &reference::naive(&workload), &none), None));
    report.designs.push(("naive_with_delivery", Bill::of(&prices, &reference::naive_with_delivery(&workload), &none), None));
    report.designs.push(("published", reference::published(&workload), None));

    if options.tenants {
        let month = put_records.month();
        let mut used = month.usage.clone();
        used.add_times(&fixed(&workload), 1.0);
        used.add_times(&month.idle, 1.0);
        report.tenants = bill_of(&month, &workload).split(&used, &month.delivered);
    }
    if options.scaling {
        let mut step = console.counted("Running other numbers of vehicles", 2);
        for (n, vehicles) in SCALE.into_iter().enumerate() {
            let workload = Workload { vehicles, ..workload.clone() };
            let day = match (vehicles, options.vehicles) {
                (same, asked) if same == asked => put_records.times(1),
                (more, 10_000) if more > 10_000 => put_records.times(more / 10_000),
                _ => {
                    let mut days = measure(&workload, &[Way::PutRecords], payload, |_| {}).await?;
                    days.pop().context("a day")?
                }
            };
            step.reach(n as u64, "");
            let month = day.month();
            let by_iot = bill_of(&day.by_iot().month(), &workload);
            report.scaling.push((vehicles, bill_of(&month, &workload), by_iot, month));
        }
        step.done("");
    }
    console.result(&report.to_json(), &report.to_text(&workload))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the days side by side, each on a thread of its own.
async fn measure(workload: &Workload, ways: &[Way], payload: Payload, mut report: impl FnMut(f64)) -> Result<Vec<Day>> {
    let (progress, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut runs = Vec::new();
    for (n, way) in ways.iter().copied().enumerate() {
        let (workload, progress) = (workload.clone(), progress.clone());
        runs.push(tokio::task::spawn_blocking(move || {
            run_day(&workload, way, payload, &|done| {
                // Nobody may listen any more.
                let _ = progress.send((n, done));
            })
        }));
    }
    drop(progress);
    let mut done = vec![0.0; ways.len()];
    while let Some((n, part)) = heard.recv().await {
        done[n] = part;
        report(done.iter().sum::<f64>() / ways.len() as f64);
    }
    let mut days = Vec::new();
    for run in runs {
        days.push(run.await?);
    }
    Ok(days)
}

struct Report {
    options: args::Cost,
    designs: Vec<(&'static str, Bill, Option<Month>)>,
    tenants: Vec<roadcast_cost::Share>,
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
        if self.options.tenants {
            object.insert("tenants".to_owned(), json!(self.tenants));
        }
        if self.options.scaling {
            let row = |(vehicles, bill, iot, month): &(u32, Bill, Bill, Month)| json!({"vehicles": vehicles, "put_records": sums(bill), "iot": sums(iot), "peak": month.peak});
            object.insert("scaling".to_owned(), self.scaling.iter().map(row).collect());
        }
        Value::Object(object)
    }

    fn to_text(&self, workload: &Workload) -> String {
        let mut text = format!(
            "A month of {} vehicles in {} fleets: {:.0} min of driving a day, a sample a second, ten an upload; {:.1} M samples.\n\
             At the peak {:.0} drive at once. us-east-1, infra/prices.csv. Traffic is what carries and answers data; fixed is\n\
             what stands every month: clients and their tokens, metrics, alarms, and the fleets' polls while nothing comes.\n\n\
             {:<22}{:>12}{:>12}{:>12}\n",
            workload.vehicles,
            workload.fleets,
            workload.driven_minutes_a_day(),
            workload.samples() / 1e6,
            workload.peak(),
            "$ a month",
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
                "\n{name}: {:.0} B a sample in JSON, {:.1} on the stream, {:.1} in the log and {:.1} for where it came from;\n  \
                 at the peak {:.0} records and {:.0} KB a second, {:.0} shards, {:.0} processors, {:.0} write units a second",
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
            for line in bill.lines.iter().take(SHOWN) {
                let _ = writeln!(text, "  {:<58}{:>18.0} {:<16}{:>9.2}", line.what, line.quantity, line.unit, line.dollars);
            }
        }
        self.write_tenants(&mut text);
        self.write_scaling(&mut text);
        text
    }

    fn write_tenants(&self, text: &mut String) {
        if self.tenants.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{:<28}{:>10}{:>10}{:>10}", "put_records, by fleet", "own", "shared", "total");
        for share in &self.tenants {
            let _ = writeln!(text, "{:<28}{:>10.2}{:>10.2}{:>10.2}", share.fleet_id, share.own, share.shared, share.total);
        }
        let sum: f64 = self.tenants.iter().map(|share| share.total).sum();
        let _ = writeln!(text, "{:<28}{:>10}{:>10}{sum:>10.2}", "all", "", "");
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

/// The account's default quotas in us-east-1 that the peak exceeds.
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
