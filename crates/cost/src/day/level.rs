//! A metered run of one load level of the day.

use std::collections::BTreeMap;
use std::convert::Infallible;

use roadcast_aws_model::event_source_mapping::{EventSourceMapping, MappingConfig};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use roadcast_ports::clock::Clock as _;
use roadcast_traces::simulate::{SimConfig, Simulator};

use super::pipeline::{self, Pipeline, PipelineTotals};
use super::{BATCH_SIZE, Peak, Sizes, WINDOW_S, parallelization_factor};
use crate::deployment::{Deployment, Meters};
use crate::meter::{Item, Usage, rules};
use crate::workload::{IngestPath, POLL_EVERY_S, Payload, SAMPLES_PER_UPLOAD, Workload};

/// Provisioned shards relative to the shards that the peak needs.
const HEADROOM: f64 = 1.25;
/// Two batching windows: by then every vehicle was processed once, so that caches are warm as in a running deployment.
const WARM_UP_S: i64 = 130;
/// Approximate number of samples per level.
const SAMPLES_PER_LEVEL: i64 = 120_000;

/// The counted usage of some minutes of one level.
#[derive(Clone)]
pub(super) struct LevelRun {
    pub(super) concurrent_batches: usize,
    pub(super) iot_steps: f64,
    pub(super) seconds: f64,
    pub(super) sent: Usage,
    pub(super) sent_samples: f64,
    pub(super) pipeline: Usage,
    pub(super) feed: Usage,
    pub(super) idle_feed: Usage,
    pub(super) queries: Usage,
    pub(super) delivered: BTreeMap<FleetId, f64>,
    records: f64,
    record_bytes: f64,
    pub(super) sizes: Sizes,
}

impl LevelRun {
    /// Returns the capacity that this level needs in all cells.
    pub(super) fn peak(&self, cells: f64, workload: &Workload) -> Peak {
        let records_per_second = self.records / self.seconds * cells;
        let bytes_per_second = self.record_bytes / self.seconds * cells;
        let shards = rules::shards(bytes_per_second * HEADROOM, records_per_second * HEADROOM);
        Peak {
            records_per_second,
            bytes_per_second,
            shards,
            processor_concurrency: shards * self.concurrent_batches as f64,
            write_units_per_second: self.pipeline.total(Item::DynamodbWriteUnit) / self.seconds * cells,
            api_requests_per_second: self.sent.total(Item::RestRequest) / self.seconds * cells
                + f64::from(workload.fleets) / f64::from(POLL_EVERY_S),
        }
    }
}

/// Runs one level with `driving` vehicles.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of vehicles
pub(super) async fn run(driving: f64, fleets: u32, path: IngestPath, payload: Payload) -> LevelRun {
    let config = SimConfig { vehicles: driving as usize, samples_per_upload: SAMPLES_PER_UPLOAD, ..SimConfig::default() };
    let mut simulator = Simulator::new(&config);
    let keys = simulator.vehicles().map(|(key, _)| key.clone()).collect();
    let meters = Meters::default();
    let start = Timestamp::from_ms(config.start_ms);
    // The number of shards that the peak needs; the other levels use the same.
    let shards =
        if payload == Payload::Json && path != IngestPath::PartnerHttp && path != IngestPath::VehicleHttp { 2 } else { 1 };
    let deployment = Deployment::new(start, keys, fleets, shards, &meters).await;
    let mut mapping = EventSourceMapping::new(
        MappingConfig {
            batch_size: BATCH_SIZE,
            window_ms: WINDOW_S * 1000,
            parallelization_factor: parallelization_factor(path, payload),
            report_batch_item_failures: true,
            bisect_batch_on_function_error: true,
            ..MappingConfig::default()
        },
        deployment.memory.stream().clone(),
        deployment.clock.clone(),
    );
    let mut pipeline = Pipeline::new(&deployment, &meters, path, payload);

    // A multiple of 300 s, since the vehicles' states are written at these boundaries.
    let seconds = (SAMPLES_PER_LEVEL / config.vehicles as i64).clamp(300, 1200) / 300 * 300;
    for second in 1..=WARM_UP_S + seconds {
        if second == WARM_UP_S + 1 {
            meters.sent.reset();
            meters.pipeline.reset();
            meters.feed.reset();
            pipeline.totals = PipelineTotals::default();
        }
        let now = config.start_ms + second * 1000;
        deployment.clock.set(Timestamp::from_ms(now));
        pipeline.send(simulator.next_uploads(now)).await;
        if mapping.next_due().is_some_and(|due| due <= deployment.clock.now()) {
            mapping.poll(&async |records| Ok::<_, Infallible>(pipeline::process(&deployment, &meters, records).await)).await;
            pipeline.enrich().await;
        }
        for (n, fleet_id) in deployment.fleets.iter().enumerate() {
            if (second + n as i64) % i64::from(POLL_EVERY_S) == 0 {
                pipeline.drain(fleet_id).await;
            }
        }
    }
    let (pipeline_usage, feed) = (meters.pipeline.usage(), meters.feed.usage());
    meters.feed.reset();
    let polls = seconds / i64::from(POLL_EVERY_S);
    // No more events arrive, so that every poll is idle.
    pipeline.clear().await;
    meters.feed.reset();
    for fleet_id in &deployment.fleets {
        for _ in 0..polls.min(20) {
            pipeline.drain(fleet_id).await;
        }
    }
    let mut idle_feed = Usage::default();
    idle_feed.add_scaled(&meters.feed.usage(), polls as f64 / polls.min(20) as f64);
    meters.feed.reset();
    pipeline.query().await;
    let totals = pipeline.totals;
    let sizes = pipeline::sizes(&deployment, &totals);
    LevelRun {
        concurrent_batches: parallelization_factor(path, payload),
        iot_steps: totals.iot_steps,
        seconds: seconds as f64,
        sent: meters.sent.usage(),
        sent_samples: totals.samples,
        pipeline: pipeline_usage,
        feed,
        idle_feed,
        queries: meters.feed.usage(),
        delivered: totals.delivered,
        records: totals.records,
        record_bytes: totals.record_bytes,
        sizes,
    }
}
