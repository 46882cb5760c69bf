//! A day of this design: the real use cases, run under the meter.
//!
//! The load of a commuter day has four levels. Some minutes of each level are run with the vehicles that drive then, and
//! scaled to the duration of the level. The first two minutes, which fill caches and windows, are not counted. More than
//! [`CELL_VEHICLES`] vehicles are divided into cells of equal usage: shards share nothing. Only the queries of fleets do not
//! grow with the number of cells.

mod level;
mod pipeline;
pub(crate) mod traffic;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use futures::executor::block_on;
use roadcast_domain::ids::FleetId;

use self::level::LevelRun;
use self::traffic::{Load, Traffic};
use crate::GIB;
use crate::meter::{Item, Usage};
use crate::workload::{CURVE, DAYS, HOURS, IngestPath, Knobs, Payload, SAMPLES_PER_S, Workload};

/// Maximum number of vehicles that are run in one simulation.
pub const CELL_VEHICLES: u32 = 10_000;
/// Memory of the function in MiB, as in the template.
pub const EVENTS_API_MIB: f64 = 512.0;
/// See [`EVENTS_API_MIB`].
pub const PROCESSOR_MIB: f64 = 512.0;
/// See [`EVENTS_API_MIB`].
pub const OTHER_FUNCTIONS_MIB: f64 = 256.0;
/// See [`EVENTS_API_MIB`].
pub const EVALUATOR_MIB: f64 = 512.0;
/// See [`EVENTS_API_MIB`].
pub const TICKER_MIB: f64 = 128.0;
/// Setting of the event source mapping, as in the template.
pub const BATCH_SIZE: usize = 10_000;
/// Returns the concurrent batches per shard. The template's default suits blocks and compressed records; plain JSON reaches
/// the 6 MB of a batch sooner, and a deployment that receives it needs more concurrent batches.
pub const fn parallelization_factor(path: IngestPath, payload: Payload) -> usize {
    match (path, payload) {
        (IngestPath::Iot | IngestPath::PutRecords, Payload::Json) => 5,
        _ => 4,
    }
}
/// Share of invocations that are traced, as in the template's sampling rule.
pub const TRACED: f64 = 0.01;
/// Size of a line of the API's access log, in bytes.
const ACCESS_LOG_BYTES: f64 = 350.0;
/// Seconds that the simulation may be ahead of the slowest ingest path.
const SECONDS_AHEAD: usize = 16;
/// Approximate stored size of a vehicle's state, in bytes.
const STATE_BYTES: f64 = 500.0;

/// The usage of a month, from a metered day.
#[derive(Clone, Debug, Default)]
pub struct Month {
    /// Usage of ingest, processing, delivery and queries.
    pub usage: Usage,
    /// Usage of the feed polls that return no events.
    pub idle: Usage,
    /// Samples delivered to each fleet.
    pub delivered: BTreeMap<FleetId, f64>,
    /// Capacity at the peak.
    pub peak: Peak,
    /// Sizes of samples.
    pub sizes: Sizes,
}

/// Capacity at the peak.
#[derive(Copy, Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// Records put on the stream per second.
    pub records_per_second: f64,
    /// Bytes put on the stream per second.
    pub bytes_per_second: f64,
    /// Shards.
    pub shards: f64,
    /// Maximum number of concurrent batches of the stream processor.
    pub processor_concurrency: f64,
    /// `DynamoDB` write units per second.
    pub write_units_per_second: f64,
    /// API requests per second.
    pub api_requests_per_second: f64,
}

/// Average size of a sample, in bytes.
#[derive(Copy, Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// As JSON on the device.
    pub json: f64,
    /// On the stream, including its share of the envelope.
    pub record: f64,
    /// In the event log: its share of the block.
    pub block: f64,
    /// In the event log: its share of the origins (source, id, extensions).
    pub origins: f64,
}

/// A metered day of one ingest path: its four load levels.
#[derive(Clone)]
pub struct Day {
    workload: Workload,
    cells: f64,
    knobs: Knobs,
    levels: Vec<LevelRun>,
}

/// Runs a day of each ingest path with its settings. All runs are concurrent and get the same uploads. Calls `report` with the
/// progress, from 0 to 1.
pub fn run_days(workload: &Workload, runs: &[(IngestPath, Knobs)], report: &dyn Fn(f64)) -> Vec<Day> {
    let cells = f64::from(workload.vehicles.div_ceil(CELL_VEHICLES).max(1));
    let vehicles = f64::from(workload.vehicles) / cells;
    // Below one vehicle on average, run one vehicle; `month` scales it to the fraction.
    let loads: Vec<Load> = CURVE.iter().map(|(_, share)| Load::of((vehicles * share).round().max(1.0))).collect();
    let day =
        |(_, knobs): &(IngestPath, Knobs)| Day { workload: workload.clone(), cells, knobs: *knobs, levels: Vec::new() };
    let mut days: Vec<Day> = runs.iter().map(day).collect();
    let seconds = |load: &Load| load.run_seconds(longest_warm_up_s(runs)).count() as f64;
    let total: f64 = loads.iter().map(|load| seconds(load) * load.vehicles.len() as f64).sum();
    let mut done = 0.0;
    for load in &loads {
        let levels = run_level(load, workload.fleets, runs, &mut || {
            done += load.vehicles.len() as f64;
            report(done / total);
        });
        for (day, level) in days.iter_mut().zip(levels) {
            day.levels.push(level);
        }
    }
    days
}

/// Returns the seconds of a run that are not counted: two batches and a little more. By then every vehicle was processed once, so
/// that caches are warm as in a running deployment.
fn warm_up_s(knobs: Knobs) -> i64 {
    2 * i64::from(knobs.window_s) + 10
}

fn longest_warm_up_s(runs: &[(IngestPath, Knobs)]) -> i64 {
    runs.iter().map(|(_, knobs)| warm_up_s(*knobs)).max().unwrap_or_default()
}

/// Runs a level on each ingest path, in a thread each: the CPU time of a thread is that of its invocations. Calls `report` after
/// each second of the level.
fn run_level(load: &Load, fleets: u32, runs: &[(IngestPath, Knobs)], report: &mut dyn FnMut()) -> Vec<LevelRun> {
    std::thread::scope(|scope| {
        let start = |(path, knobs): &(IngestPath, Knobs)| {
            let (path, knobs, (sender, uploads)) = (*path, *knobs, mpsc::sync_channel(SECONDS_AHEAD));
            let seconds = load.run_seconds(warm_up_s(knobs));
            ((sender, seconds), scope.spawn(move || block_on(level::run(load, fleets, path, knobs, &uploads))))
        };
        let (senders, runs_in_progress): (Vec<_>, Vec<_>) = runs.iter().map(start).unzip();
        let warm_up_s = longest_warm_up_s(runs);
        let payloads: Vec<Payload> = runs.iter().map(|(_, knobs)| knobs.payload).collect();
        let mut traffic = Traffic::new(load, &payloads, warm_up_s);
        for second in load.run_seconds(warm_up_s) {
            let uploads = Arc::new(traffic.next_uploads(second));
            for (sender, _) in senders.iter().filter(|(_, seconds)| seconds.contains(&second)) {
                // Fails only if the thread has panicked, which its result reports.
                let _ = sender.send(Arc::clone(&uploads));
            }
            report();
        }
        drop(senders);
        runs_in_progress.into_iter().map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

impl Day {
    /// Returns the same day with `cells` times as many vehicles, each cell with the same usage.
    #[must_use]
    pub fn times(&self, cells: u32) -> Self {
        let workload = Workload { vehicles: self.workload.vehicles * cells, ..self.workload.clone() };
        Self { workload, cells: self.cells * f64::from(cells), ..self.clone() }
    }

    /// Converts a day that was run by `PutRecords` to `IoT`: everything after the stream is the same.
    #[must_use]
    pub fn by_iot(&self) -> Self {
        let mut day = self.clone();
        for level in &mut day.levels {
            let steps = level.iot_steps;
            level.sent.add(Item::IotRule, None, steps);
            level.sent.add(Item::IotAction, None, steps);
            // A vehicle is connected while it drives.
            level.sent.add(Item::IotConnectionMinute, None, level.sent_samples / SAMPLES_PER_S / 60.0);
        }
        day
    }

    /// Returns the usage of a month of 30 such days.
    pub fn month(&self) -> Month {
        let (workload, cells) = (&self.workload, self.cells);
        let vehicles = f64::from(workload.vehicles) / cells;
        let mut month = Month::default();
        for ((hours, share), level) in CURVE.into_iter().zip(&self.levels) {
            let expected = hours * 3600.0 * DAYS * vehicles * share * SAMPLES_PER_S;
            month.usage.add_scaled(&level.sent, expected / level.sent_samples * cells);
            // Batching windows do not end with the run: usage of processing is scaled by the processed samples.
            let processed = level.processed;
            month.usage.add_scaled(&level.pipeline, expected / processed * cells);
            // The polls of fleets do not depend on the vehicles and are counted separately. Their results do.
            let repeats = hours * 3600.0 * DAYS / level.seconds;
            month.usage.add_scaled(&level.feed, repeats * cells);
            month.usage.add_scaled(&level.idle_feed, -repeats * cells);
            month.idle.add_scaled(&level.idle_feed, repeats);
            for (fleet_id, samples) in &level.delivered {
                *month.delivered.entry(fleet_id.clone()).or_default() += samples * expected / processed * cells;
            }
        }
        if let Some(peak) = self.levels.first() {
            month.usage.add_scaled(&peak.queries, f64::from(workload.fleets) * DAYS);
            month.peak = peak.peak(cells, workload, self.knobs);
            month.sizes = peak.sizes;
        }
        for usage in [&mut month.usage, &mut month.idle] {
            usage.add(Item::LogGb, None, usage.total(Item::RestRequest) * ACCESS_LOG_BYTES / GIB);
            usage.add(Item::Trace, None, usage.total(Item::LambdaRequest) * TRACED);
        }
        month.usage.add(Item::KinesisShardHour, None, month.peak.shards * HOURS);
        month.usage.add(Item::DynamodbStorage, None, f64::from(workload.vehicles) * STATE_BYTES / GIB);
        month
    }
}

#[cfg(test)]
mod tests;
