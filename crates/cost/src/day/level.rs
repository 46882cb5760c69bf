//! A metered run of one load level of the day.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use roadcast_aws_model::event_source_mapping::{EventSourceMapping, MappingConfig};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::ShardRecord;

use super::pipeline::{self, Pipeline, PipelineTotals};
use super::traffic::{DeviceUpload, Load};
use super::{BATCH_SIZE, Peak, Sizes, parallelization_factor, warm_up_s};
use crate::deployment::{Deployment, Meters};
use crate::meter::{Item, Usage, rules};
use crate::workload::{IngestPath, Knobs, Payload, Workload};

/// Provisioned shards relative to the shards that the peak needs.
const HEADROOM: f64 = 1.25;
/// Number of reads of each empty feed that are measured.
const IDLE_READS: u32 = 20;

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
    pub(super) processed: f64,
    pub(super) delivered: BTreeMap<FleetId, f64>,
    records: f64,
    record_bytes: f64,
    pub(super) sizes: Sizes,
}

impl LevelRun {
    /// Returns the capacity that this level needs in all cells.
    pub(super) fn peak(&self, cells: f64, workload: &Workload, knobs: Knobs) -> Peak {
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
                + f64::from(workload.fleets) / f64::from(knobs.poll_s),
        }
    }
}

/// Runs one level. `uploads` has those of each second.
pub(super) async fn run(
    load: &Load,
    fleets: u32,
    path: IngestPath,
    knobs: Knobs,
    uploads: &Receiver<Arc<Vec<DeviceUpload>>>,
) -> LevelRun {
    let payload = knobs.payload;
    let concurrent_batches = knobs.concurrent_batches.unwrap_or_else(|| parallelization_factor(path, payload));
    let meters = Meters::default();
    let start = Timestamp::from_ms(load.time_ms(0));
    // The number of shards that the peak needs; the other levels use the same.
    let shards =
        if payload == Payload::Json && path != IngestPath::PartnerHttp && path != IngestPath::VehicleHttp { 2 } else { 1 };
    let deployment = Deployment::new(start, load.vehicles.clone(), fleets, shards, knobs, &meters).await;
    let mut mapping = EventSourceMapping::new(
        MappingConfig {
            batch_size: BATCH_SIZE,
            window_ms: i64::from(knobs.window_s) * 1000,
            parallelization_factor: concurrent_batches,
            report_batch_item_failures: true,
            bisect_batch_on_function_error: true,
            ..MappingConfig::default()
        },
        deployment.memory.stream().clone(),
        deployment.clock.clone(),
    );
    let mut pipeline = Pipeline::new(&deployment, &meters, path, knobs);

    let (seconds, warm_up_s) = (load.seconds, warm_up_s(knobs));
    let processed = Cell::new(0.0);
    // The fleets read their feeds at different times.
    let mut next_reads: Vec<i64> = (1..=deployment.fleets.len() as i64).collect();
    for (second, uploads) in load.run_seconds(warm_up_s).zip(uploads) {
        if second == warm_up_s + 1 {
            meters.sent.reset();
            meters.pipeline.reset();
            meters.feed.reset();
            pipeline.totals = PipelineTotals::default();
            processed.set(0.0);
        }
        deployment.clock.set(Timestamp::from_ms(load.time_ms(second)));
        pipeline.send(&uploads).await;
        if mapping.next_due().is_some_and(|due| due <= deployment.clock.now()) {
            let process = async |records: Vec<ShardRecord>| {
                let (response, samples) = pipeline::process(&deployment, &meters, &records).await;
                processed.set(processed.get() + samples as f64);
                Ok::<_, Infallible>(response)
            };
            mapping.poll(&process).await;
            pipeline.enrich().await;
        }
        for (fleet_id, next_read) in deployment.fleets.iter().zip(&mut next_reads) {
            if second >= *next_read {
                *next_read = second + i64::from(pipeline.drain(fleet_id).await);
            }
        }
    }
    let (pipeline_usage, feed) = (meters.pipeline.usage(), meters.feed.usage());
    meters.feed.reset();
    let polls = seconds as f64 / f64::from(knobs.poll_s);
    // No more events arrive, so that every poll is idle.
    pipeline.clear().await;
    meters.feed.reset();
    for fleet_id in &deployment.fleets {
        for _ in 0..IDLE_READS {
            pipeline.drain(fleet_id).await;
        }
    }
    let mut idle_feed = Usage::default();
    idle_feed.add_scaled(&meters.feed.usage(), polls / f64::from(IDLE_READS));
    meters.feed.reset();
    pipeline.query().await;
    let totals = pipeline.totals;
    let sizes = pipeline::sizes(&deployment, &totals);
    LevelRun {
        concurrent_batches,
        iot_steps: totals.iot_steps,
        seconds: seconds as f64,
        sent: meters.sent.usage(),
        sent_samples: totals.samples,
        pipeline: pipeline_usage,
        feed,
        idle_feed,
        queries: meters.feed.usage(),
        processed: processed.get(),
        delivered: totals.delivered,
        records: totals.records,
        record_bytes: totals.record_bytes,
        sizes,
    }
}
