//! The runs: records on the stream, evaluated and delivered as the mappings of AWS invoke the functions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use roadcast_aws_model::event_source_mapping::{BatchResponse, EventSourceMapping, MappingConfig, kinesis_event};
use roadcast_aws_model::queue_mapping::queue_event;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::lane::Lane;
use roadcast_event_log::SegmentedLog;
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::bus::{Batch, entry_bytes};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_ports::stream::StreamClock as _;
use roadcast_services::alerts::evaluator::{AlertEvaluator, AlertPublisher, EvaluatorParts, RuleOwners, ShardReader};
use roadcast_services::authz::{FleetOwner, Proof as _};
use roadcast_services::cache::{CachedAlertRules, CachedEntitlements, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::EventValidator;
use roadcast_testbed::{Memory, ShardRecord};
use roadcast_traces::VehicleKey;

use super::setup::{DRIVE_MINUTES, START_MS, create_rule, store_drive, upload};
use super::{FLEETS, Level, RULES};
use crate::GIB;
use crate::cpu_time::thread_cpu_time;
use crate::day::traffic::{Load, Traffic};
use crate::day::{BATCH_SIZE, EVALUATOR_MIB, OTHER_FUNCTIONS_MIB, TICKER_MIB};
use crate::deployment::{Deployment, MeteredPorts, Meters, queued_entry};
use crate::meter::{Item, METRICS_LINE_BYTES, Meter, Metered, Usage, rules};
use crate::workload::{Knobs, Payload};

/// Every vehicle uploads every ten seconds.
const UPLOAD_INTERVAL_S: i64 = 10;
/// Seconds of a level that are not counted.
const WARM_UP_S: i64 = 2 * UPLOAD_INTERVAL_S + 1;
/// Seconds of a level that are counted.
const COUNTED_S: i64 = 30;
/// Vehicles of the runs of restorations and alerts.
const VEHICLES: u32 = 20;

/// An evaluator with its deployment and the mapping of the stream.
struct Evaluation {
    deployment: Deployment,
    meters: Meters,
    meter: Meter,
    evaluator: AlertEvaluator<MeteredPorts>,
    mapping: EventSourceMapping,
    /// Acknowledgements of feeds that were not counted yet.
    acknowledgements: Cell<f64>,
}

impl Evaluation {
    async fn new(start: Timestamp, keys: Vec<VehicleKey>) -> Self {
        let (meters, meter) = (Meters::default(), Meter::new());
        let deployment = Deployment::new(start, keys, FLEETS, 1, Knobs::default(), &meters).await;
        for fleet_id in &deployment.fleets {
            let owner = RuleOwner::Fleet(fleet_id.clone());
            for number in 0..RULES {
                create_rule(&deployment.memory, &owner, number, start).await;
            }
        }
        let (memory, clock) = (&deployment.memory, || deployment.clock.clone());
        let port = || Metered::new(memory.clone(), &meter);
        let log = || SegmentedLog { items: Metered::new(deployment.items.clone(), &meter) };
        let parts = EvaluatorParts::<MeteredPorts> {
            validator: EventValidator {
                subjects: CachedSubjects::new(port(), clock()),
                schemas: CachedSchemas::new(port(), clock()),
            },
            owners: RuleOwners {
                entitlements: CachedEntitlements::new(port(), clock()),
                rules: CachedAlertRules::new(port(), clock()),
                vehicles: CachedVehicles::new(port(), clock()),
                clock: clock(),
            },
            publisher: AlertPublisher { log: log(), bus: port(), stream: port(), secrets: memory.clone() },
            shards: ShardReader { evaluations: port(), stream: port(), log: log() },
            checkpoints: port(),
            log: log(),
            clock: clock(),
        };
        let config = MappingConfig { batch_size: BATCH_SIZE, report_batch_item_failures: true, ..MappingConfig::default() };
        let mapping = EventSourceMapping::new(config, memory.stream().clone(), deployment.clock.clone());
        Self {
            evaluator: AlertEvaluator::new("an instance".to_owned(), parts),
            mapping,
            deployment,
            meters,
            meter,
            acknowledgements: Cell::default(),
        }
    }

    /// Invokes the evaluator with what has arrived. Returns the number of samples.
    async fn evaluate(&mut self) -> usize {
        let samples = Cell::new(0);
        let (evaluator, meter, clock) = (&self.evaluator, &self.meter, &self.deployment.clock);
        let handler = async |records: Vec<ShardRecord>| -> Result<BatchResponse, Infallible> {
            let event = kinesis_event(&records);
            let started = thread_cpu_time();
            let Ok(event) = serde_json::from_str::<KinesisEvent>(&event) else { return Ok(BatchResponse::success()) };
            let batch = event.into_batch(clock.now());
            let outcome = evaluator.evaluate_batch(&batch.records).await;
            // One line of metrics a minute. Lambda logs failed invocations only.
            meter.logging_invocation(EVALUATOR_MIB, thread_cpu_time().saturating_sub(started), METRICS_LINE_BYTES / 60.0);
            debug_assert!(outcome.retry_from.is_none(), "{:?}", outcome.failures);
            samples.set(samples.get() + outcome.counts.samples);
            Ok(BatchResponse::success())
        };
        self.mapping.poll(&handler).await;
        samples.get()
    }

    /// Delivers the published alerts to their fleets, and lets the stream processor find them in the log. Returns the usage.
    async fn deliver(&self) -> Usage {
        let Meters { pipeline, feed, .. } = &self.meters;
        let published = self.deployment.memory.take_published();
        let (alerts, telemetry): (Vec<Batch>, Vec<Batch>) =
            published.into_iter().partition(|entry| entry.lane == Lane::Alerts);
        // Telemetry passes all the time, and keeps the caches of enrichment warm.
        for entry in &telemetry {
            self.deployment.enrich(&enrichment_event(entry)).await;
        }
        self.read_feeds().await;
        pipeline.reset();
        feed.reset();
        for entry in &alerts {
            let event = enrichment_event(entry);
            // One request receives the batch, another one deletes it.
            pipeline.count(Item::SqsRequest, rules::chunks(entry_bytes(&entry.events)) + 1.0);
            let started = thread_cpu_time();
            let is_delivered = self.deployment.enrich(&event).await;
            debug_assert!(is_delivered, "enrichment accepts the alert");
            pipeline.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), None);
        }
        pipeline.count(Item::DataOut, self.read_feeds().await as f64 / GIB);
        // The reads are some that fleets make anyway; the acknowledgements are not.
        pipeline.count(Item::SqsRequest, self.acknowledgements.take());
        pipeline.usage()
    }

    /// Reads and acknowledges the feeds. Returns the bytes of the events.
    async fn read_feeds(&self) -> usize {
        let mut bytes = 0;
        self.acknowledgements.set(0.0);
        for fleet_id in &self.deployment.fleets {
            let Ok(fleet) = FleetOwner::prove(&Caller::Fleet(fleet_id.clone())) else { continue };
            let Ok(page) = self.deployment.feed_reader.read(&fleet, ReceiveOptions::default()).await else { continue };
            if !page.ack_handles.is_empty() {
                bytes += page.cloud_events().map_or(0, |events| events.iter().map(|event| event.get().len()).sum());
                let _ = self.deployment.feed_reader.acknowledge(&fleet, &page.ack_handles).await;
                self.acknowledgements.set(self.acknowledgements.get() + 1.0);
            }
        }
        bytes
    }

    /// The evaluator gets the records of alerts, which are in a batch with others. They have no effect.
    async fn take_alerts(&mut self) {
        self.mapping.poll(&async |_: Vec<ShardRecord>| Ok::<_, Infallible>(BatchResponse::success())).await;
    }

    /// The reads and writes of the stream processor for a record. It is in a batch with others, which costs the same without it.
    async fn process(&self, index: usize) -> Usage {
        let records = self.deployment.memory.stream().read_page(0, index, 1, usize::MAX);
        self.meters.pipeline.reset();
        let processed = self.deployment.process(&records).await;
        debug_assert!(processed.response == BatchResponse::success(), "the stream processor accepts the record");
        let mut usage = Usage::default();
        for item in [Item::DynamodbReadUnit, Item::DynamodbWriteUnit] {
            usage.add(item, None, self.meters.pipeline.usage().total(item));
        }
        usage
    }
}

/// Returns the usage of a second in which `driving` vehicles drive.
pub(super) async fn level(driving: f64) -> Level {
    let load = Load::of(driving);
    let mut evaluation = Evaluation::new(Timestamp::from_ms(load.time_ms(0)), load.vehicles.clone()).await;
    let mut traffic = Traffic::new(&load, &[Payload::Compact], WARM_UP_S + COUNTED_S);
    let (mut samples, mut bytes) = (0, 0);
    // The simulator sends all uploads of ten seconds in one. Vehicles send at different times.
    let mut delayed: BTreeMap<i64, Vec<(VehicleId, String)>> = BTreeMap::new();
    for second in 1..=WARM_UP_S + COUNTED_S {
        if second == WARM_UP_S + 1 {
            evaluation.meter.reset();
            (samples, bytes) = (0, 0);
        }
        evaluation.deployment.clock.set(Timestamp::from_ms(load.time_ms(second)));
        for (number, upload) in (0_i64..).zip(traffic.next_uploads(second)) {
            let Some(vid) = evaluation.deployment.vehicles.get(&upload.vehicle) else { continue };
            let records = upload.events(Payload::Compact).iter().map(|record| (vid.clone(), record.clone()));
            delayed.entry(second + number % UPLOAD_INTERVAL_S).or_default().extend(records);
        }
        for (vid, record) in delayed.remove(&second).unwrap_or_default() {
            bytes += record.len() + vid.as_str().len();
            evaluation.deployment.memory.stream().put_bytes(vid.as_str(), record.as_bytes());
        }
        samples += evaluation.evaluate().await;
    }
    let per_second = 1.0 / COUNTED_S as f64;
    let mut usage = Usage::default();
    usage.add_scaled(&evaluation.meter.usage(), per_second);
    Level { usage, record_bytes: bytes as f64 * per_second, samples: samples as f64 * per_second }
}

/// Returns the usage of the restoration of an evaluation, besides that of an invocation.
pub(super) async fn restored() -> Usage {
    let mut evaluation = Evaluation::new(Timestamp::from_ms(START_MS), keys()).await;
    let vids: Vec<VehicleId> = evaluation.deployment.vehicles.values().cloned().collect();
    for vid in &vids {
        store_drive(&evaluation.deployment, vid).await;
    }
    evaluation.deployment.clock.advance_ms((DRIVE_MINUTES + 60) * 60_000);
    // The first half fills the caches of all fleets. The second one is restored, and then evaluated in memory.
    let (first, second) = vids.split_at(vids.len() / 2);
    let mut usages = Vec::new();
    for (round, vids) in (0..).zip([first, second, second]) {
        evaluation.deployment.clock.advance_ms(1000);
        for vid in vids {
            upload(&evaluation.deployment, vid, round, 60.0);
        }
        evaluation.meter.reset();
        evaluation.evaluate().await;
        usages.push(evaluation.meter.usage());
    }
    let mut usage = Usage::default();
    if let [_, cold, warm] = usages.as_slice() {
        for item in [Item::DynamodbReadUnit, Item::DynamodbWriteUnit, Item::LambdaGbSecond] {
            usage.add(item, None, ((cold.total(item) - warm.total(item)) / second.len() as f64).max(0.0));
        }
    }
    usage
}

/// Returns the usage of an alert that is raised and cleared, besides that of the evaluation.
pub(super) async fn alert() -> Usage {
    let mut evaluation = Evaluation::new(Timestamp::from_ms(START_MS), keys()).await;
    let vids: Vec<VehicleId> = evaluation.deployment.vehicles.values().cloned().collect();
    let mut usage = Usage::default();
    // One vehicle after the other: alerts are rare. Their caches are warm after the first vehicle of each fleet.
    for (number, vid) in (0_u32..).zip(&vids) {
        for (round, speed) in [(0, 60.0), (1, 60.0), (2, 180.0), (3, 60.0)] {
            // Too far apart for an acceleration.
            evaluation.deployment.clock.advance_ms(20_000);
            upload(&evaluation.deployment, vid, round, speed);
            let first = evaluation.deployment.memory.stream().shard_len(0);
            evaluation.meter.reset();
            evaluation.evaluate().await;
            if number < FLEETS || round == 0 {
                evaluation.deliver().await;
                evaluation.take_alerts().await;
                continue;
            }
            // A round without an alert is what the evaluation costs anyway, for each of the two with one.
            usage.add_scaled(&evaluation.meter.usage(), if round == 1 { -2.0 } else { 1.0 });
            let published = evaluation.deployment.memory.stream().shard_len(0) - first;
            debug_assert_eq!(published, usize::from(round > 1), "one record of an alert");
            evaluation.process(first - 1).await;
            let delivered = evaluation.deliver().await;
            if round > 1 {
                usage.add_scaled(&delivered, 1.0);
                usage.add_scaled(&evaluation.process(first).await, 1.0);
            }
            evaluation.take_alerts().await;
        }
    }
    let mut of_one = Usage::default();
    of_one.add_scaled(&usage, 1.0 / f64::from(VEHICLES - FLEETS));
    of_one
}

/// Returns the usage of a run of the clock.
pub(super) async fn tick() -> Usage {
    let (memory, meter) = (Memory::default(), Meter::new());
    let _ = Metered::new(memory, &meter).tick(roadcast_codec::tick::TICK.as_bytes()).await;
    meter.invocation(TICKER_MIB, Duration::from_micros(100), None);
    meter.usage()
}

/// Returns the event with which the mapping of a queue invokes enrichment with one entry.
fn enrichment_event(entry: &Batch) -> String {
    queue_event("arn:aws:sqs:us-east-1:123456789012:roadcast-enrichment-alerts", &[queued_entry(entry)])
}

fn keys() -> Vec<VehicleKey> {
    (0..VEHICLES).map(|n| VehicleKey { scheme: "unit".to_owned(), value: n.to_string() }).collect()
}
