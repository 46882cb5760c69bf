//! A day of this design: the real use cases, run under the meter.
//!
//! The commuters' curve has four levels. Of each, some minutes are run with as many vehicles as drive then, after two that
//! fill caches and buckets and are not counted, and taken as often as the level lasts. More than [`CELL`] vehicles are so many
//! cells: shards do not share anything, so each adds the same again; only what fleets ask for does not grow with them.

mod pipeline;

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::meter::{Item, Usage, rules};
use futures::executor::block_on;
use roadcast_aws_model::event_source_mapping::{EventSourceMapping, MappingConfig};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use roadcast_ports::clock::Clock as _;
use roadcast_traces::simulate::{SimConfig, Simulator};

use self::pipeline::{Pipeline, Totals};
use crate::GIB;
use crate::workload::{CURVE, DAYS, HOURS, POLL_EVERY_S, Payload, SAMPLES_PER_S, SAMPLES_PER_UPLOAD, Way, Workload};
use crate::world::{Meters, World};

/// Vehicles that are run at once.
pub const CELL: u32 = 10_000;
/// Memory of the functions, in MiB, as the template has it.
pub const EVENTS_API_MIB: f64 = 512.0;
/// See [`EVENTS_API_MIB`].
pub const PROCESSOR_MIB: f64 = 512.0;
/// See [`EVENTS_API_MIB`].
pub const SMALL_MIB: f64 = 256.0;
/// Settings of the mapping, as the template has them.
pub const BATCH_SIZE: usize = 10_000;
/// See [`BATCH_SIZE`].
pub const WINDOW_S: i64 = 60;
/// See [`BATCH_SIZE`]. The template's default suits blocks and packed records; plain JSON fills a lane's 6 MB sooner, and a
/// deployment that gets it asks for more lanes.
pub const fn parallelization_factor(way: Way, payload: Payload) -> usize {
    match (way, payload) {
        (Way::Iot | Way::PutRecords, Payload::Json) => 5,
        _ => 3,
    }
}
/// The share of invocations that are traced, as the template's sampling rule has it.
pub const TRACED: f64 = 0.01;
/// Shards have so much room above the peak.
const HEADROOM: f64 = 1.25;
/// Bytes of a line of the API's access log.
const ACCESS_LOG_BYTES: f64 = 350.0;
/// Bytes of a vehicle's state in storage, about.
const STATE_BYTES: f64 = 500.0;
/// Two windows: by then every vehicle was seen once, as it was long ago in a deployment that runs.
const WARM_UP_S: i64 = 130;
/// Samples that are run of each level, about.
const SAMPLES_PER_LEVEL: i64 = 120_000;

/// A month, from a day that was run.
#[derive(Clone, Debug, Default)]
pub struct Month {
    /// What was used to carry what vehicles sent, and to answer queries.
    pub usage: Usage,
    /// What fleets' polls take while nothing comes.
    pub idle: Usage,
    /// Samples delivered to each fleet.
    pub delivered: BTreeMap<FleetId, f64>,
    /// What the peak needs.
    pub peak: Peak,
    /// What the samples took.
    pub sizes: Sizes,
}

/// What the peak needs.
#[derive(Copy, Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// Records put in a second.
    pub records_per_second: f64,
    /// Bytes put in a second.
    pub bytes_per_second: f64,
    /// Shards.
    pub shards: f64,
    /// Batches of the processor at once, at most.
    pub processor_concurrency: f64,
    /// Write units in a second.
    pub write_units_per_second: f64,
    /// Requests to the API in a second.
    pub api_requests_per_second: f64,
}

/// Bytes of a sample, on average.
#[derive(Copy, Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// As the device says it in JSON.
    pub json: f64,
    /// On the stream, with its share of the envelope.
    pub record: f64,
    /// Of its block in the log.
    pub block: f64,
    /// Of where it came from (source, id, extensions), in the log.
    pub origins: f64,
}

/// A day of one way in that was run: the four levels.
pub struct Day {
    workload: Workload,
    cells: f64,
    way: Way,
    slices: Vec<Slice>,
}

/// Runs a day. `report` hears how far it is, from 0 to 1.
pub fn run_day(workload: &Workload, way: Way, payload: Payload, report: &dyn Fn(f64)) -> Day {
    let cells = f64::from(workload.vehicles.div_ceil(CELL).max(1));
    let vehicles = f64::from(workload.vehicles) / cells;
    let mut slices = Vec::with_capacity(CURVE.len());
    for (_, share) in CURVE {
        // Where less than one vehicle drives on average, one does for a part of the time.
        slices.push(block_on(run((vehicles * share).round().max(1.0), workload.fleets, way, payload)));
        report(slices.len() as f64 / CURVE.len() as f64);
    }
    Day { workload: workload.clone(), cells, way, slices }
}

impl Day {
    /// The same day with other numbers of vehicles, as so many cells of it.
    #[must_use]
    pub fn times(&self, cells: u32) -> Self {
        let workload = Workload { vehicles: self.workload.vehicles * cells, ..self.workload.clone() };
        Self { workload, cells: self.cells * f64::from(cells), way: self.way, slices: self.slices.clone() }
    }

    /// The same day by `IoT`, where it was run by `PutRecords`: what follows on the stream is the same.
    #[must_use]
    pub fn by_iot(&self) -> Self {
        let mut day =
            Self { way: Way::Iot, workload: self.workload.clone(), cells: self.cells, slices: self.slices.clone() };
        for slice in &mut day.slices {
            let steps = slice.iot_steps;
            slice.sent.add(Item::IotRule, None, steps);
            slice.sent.add(Item::IotAction, None, steps);
            // Connected while it drives.
            slice.sent.add(Item::IotConnectionMinute, None, slice.sent_samples / SAMPLES_PER_S / 60.0);
        }
        day
    }

    /// The month: the day thirty times.
    pub fn month(&self) -> Month {
        let (workload, cells) = (&self.workload, self.cells);
        let vehicles = f64::from(workload.vehicles) / cells;
        let mut month = Month::default();
        for ((hours, share), slice) in CURVE.into_iter().zip(&self.slices) {
            let expected = hours * 3600.0 * DAYS * vehicles * share * SAMPLES_PER_S;
            month.usage.add_times(&slice.sent, expected / slice.sent_samples * cells);
            // Windows do not end where the minutes do: what was processed is taken by the samples that it was.
            let processed: f64 = slice.delivered.values().sum();
            month.usage.add_times(&slice.road, expected / processed * cells);
            // Fleets ask as often whatever drives, and that stands apart; what they are given grows with the vehicles.
            let asked = hours * 3600.0 * DAYS / slice.seconds;
            month.usage.add_times(&slice.feed, asked * cells);
            month.usage.add_times(&slice.idle_feed, -asked * cells);
            month.idle.add_times(&slice.idle_feed, asked);
            for (fleet_id, samples) in &slice.delivered {
                *month.delivered.entry(fleet_id.clone()).or_default() += samples * expected / processed * cells;
            }
        }
        if let Some(peak) = self.slices.first() {
            month.usage.add_times(&peak.queries, f64::from(workload.fleets) * DAYS);
            month.peak = peak.peak(cells, workload);
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

/// Some minutes of one level.
#[derive(Clone)]
struct Slice {
    lanes: usize,
    iot_steps: f64,
    seconds: f64,
    sent: Usage,
    sent_samples: f64,
    road: Usage,
    feed: Usage,
    idle_feed: Usage,
    queries: Usage,
    delivered: BTreeMap<FleetId, f64>,
    records: f64,
    record_bytes: f64,
    sizes: Sizes,
}

impl Slice {
    fn peak(&self, cells: f64, workload: &Workload) -> Peak {
        let records_per_second = self.records / self.seconds * cells;
        let bytes_per_second = self.record_bytes / self.seconds * cells;
        let shards = rules::shards(bytes_per_second * HEADROOM, records_per_second * HEADROOM);
        Peak {
            records_per_second,
            bytes_per_second,
            shards,
            processor_concurrency: shards * self.lanes as f64,
            write_units_per_second: self.road.total(Item::DynamodbWriteUnit) / self.seconds * cells,
            api_requests_per_second: self.sent.total(Item::RestRequest) / self.seconds * cells
                + f64::from(workload.fleets) / f64::from(POLL_EVERY_S),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of vehicles
async fn run(driving: f64, fleets: u32, way: Way, payload: Payload) -> Slice {
    let config = SimConfig { vehicles: driving as usize, samples_per_upload: SAMPLES_PER_UPLOAD, ..SimConfig::default() };
    let mut simulator = Simulator::new(&config);
    let keys = simulator.vehicles().map(|(key, _)| key.clone()).collect();
    let meters = Meters::default();
    let start = Timestamp::from_ms(config.start_ms);
    // As many shards as the peak needs; fewer vehicles use the same ones.
    let shards = if payload == Payload::Json && way != Way::PartnerHttp && way != Way::VehicleHttp { 2 } else { 1 };
    let world = World::new(start, keys, fleets, shards, &meters).await;
    let mut mapping = EventSourceMapping::new(
        MappingConfig {
            batch_size: BATCH_SIZE,
            window_ms: WINDOW_S * 1000,
            parallelization_factor: parallelization_factor(way, payload),
            report_batch_item_failures: true,
            bisect_batch_on_function_error: true,
            ..MappingConfig::default()
        },
        world.memory.stream().clone(),
        world.clock.clone(),
    );
    let mut road = Pipeline::new(&world, &meters, way, payload);

    // Whole stretches, at whose ends the vehicles' states are written.
    let seconds = (SAMPLES_PER_LEVEL / config.vehicles as i64).clamp(300, 1200) / 300 * 300;
    for second in 1..=WARM_UP_S + seconds {
        if second == WARM_UP_S + 1 {
            meters.sent.reset();
            meters.road.reset();
            meters.feed.reset();
            road.totals = Totals::default();
        }
        let now = config.start_ms + second * 1000;
        world.clock.set(Timestamp::from_ms(now));
        road.send(simulator.next_uploads(now)).await;
        if mapping.next_due().is_some_and(|due| due <= world.clock.now()) {
            mapping.poll(&async |records| Ok::<_, Infallible>(pipeline::process(&world, &meters, records).await)).await;
            road.enrich().await;
        }
        for (n, fleet_id) in world.fleets.iter().enumerate() {
            if (second + n as i64) % i64::from(POLL_EVERY_S) == 0 {
                road.drain(fleet_id).await;
            }
        }
    }
    let (road_usage, feed) = (meters.road.usage(), meters.feed.usage());
    meters.feed.reset();
    let polls = seconds / i64::from(POLL_EVERY_S);
    // Nothing comes any more, so every poll is an idle one.
    road.clear().await;
    meters.feed.reset();
    for fleet_id in &world.fleets {
        for _ in 0..polls.min(20) {
            road.drain(fleet_id).await;
        }
    }
    let mut idle_feed = Usage::default();
    idle_feed.add_times(&meters.feed.usage(), polls as f64 / polls.min(20) as f64);
    meters.feed.reset();
    road.ask().await;
    let totals = road.totals;
    let sizes = pipeline::sizes(&world, &totals);
    Slice {
        lanes: parallelization_factor(way, payload),
        iot_steps: totals.iot_steps,
        seconds: seconds as f64,
        sent: meters.sent.usage(),
        sent_samples: totals.samples,
        road: road_usage,
        feed,
        idle_feed,
        queries: meters.feed.usage(),
        delivered: totals.delivered,
        records: totals.records,
        record_bytes: totals.record_bytes,
        sizes,
    }
}
