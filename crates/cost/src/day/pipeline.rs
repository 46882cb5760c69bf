//! The data flow of a load level: sending, processing, enrichment, feed polls and queries, each under its meter.

use std::collections::BTreeMap;

use crate::meter::{Item, Usage, rules};
use roadcast_aws_model::event_source_mapping::{BatchResponse, kinesis_event};
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Telemetry;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::clock::Clock as _;
use roadcast_services::authz::{FleetOwner, Proof as _, Reader, Sender};
use roadcast_services::query::EventsRange;
use roadcast_testbed::ShardRecord;
use roadcast_traces::Upload;
use serde_json::Value;

use super::{EVENTS_API_MIB, OTHER_FUNCTIONS_MIB, PROCESSOR_MIB, Sizes};
use crate::GIB;
use crate::cpu_time::thread_cpu_time;
use crate::deployment::{Deployment, Meters, admin};
use crate::workload::{HISTORY_QUERIES_PER_DAY, IngestPath, Payload, STATE_QUERIES_PER_DAY};

/// Seconds between the batches of a partner.
const PARTNER_EVERY_S: i64 = 30;
/// How often each query is run.
const QUERY_RUNS: f64 = 10.0;
/// Number of samples whose JSON is measured: enough for a mean.
const MEASURED_SAMPLES: f64 = 20_000.0;

/// Counts that the meters do not hold.
#[derive(Clone, Debug, Default)]
pub(super) struct PipelineTotals {
    pub(super) iot_steps: f64,
    pub(super) records: f64,
    pub(super) record_bytes: f64,
    pub(super) samples: f64,
    measured: f64,
    json_bytes: f64,
    pub(super) delivered: BTreeMap<FleetId, f64>,
}

/// The data flow of a deployment under load.
pub(super) struct Pipeline<'w> {
    deployment: &'w Deployment,
    meters: &'w Meters,
    path: IngestPath,
    payload: Payload,
    /// Events that the partners have not posted yet.
    waiting: Vec<Value>,
    posted_s: i64,
    /// Number of stream records already counted.
    counted_records: usize,
    pub(super) totals: PipelineTotals,
}

impl<'w> Pipeline<'w> {
    /// Returns a pipeline without traffic.
    pub(super) fn new(deployment: &'w Deployment, meters: &'w Meters, path: IngestPath, payload: Payload) -> Self {
        Self {
            deployment,
            meters,
            path,
            payload,
            waiting: Vec::new(),
            posted_s: 0,
            counted_records: 0,
            totals: PipelineTotals::default(),
        }
    }

    /// Sends uploads by the ingest path.
    pub(super) async fn send(&mut self, uploads: Vec<Upload>) {
        for upload in uploads {
            let Some(vid) = self.deployment.vehicles.get(&upload.vehicle) else { continue };
            self.totals.samples += upload.samples as f64;
            if self.totals.measured < MEASURED_SAMPLES {
                for sample in upload.events.iter().flat_map(roadcast_traces::TraceEvent::samples) {
                    self.totals.measured += 1.0;
                    self.totals.json_bytes += sample.to_json().to_string().len() as f64;
                }
            }
            let events = upload.events.iter().map(|event| self.device_event(event.to_cloud_event(None), vid));
            let events: Vec<Value> = events.collect();
            match self.path {
                IngestPath::Iot | IngestPath::PutRecords => self.put(vid, &events),
                IngestPath::VehicleHttp => self.post(Some(vid), &Value::from(events).to_string()).await,
                IngestPath::PartnerHttp => self.waiting.extend(events),
            }
        }
        let now = self.deployment.clock.now().ms() / 1000;
        if self.path == IngestPath::PartnerHttp && now - self.posted_s >= PARTNER_EVERY_S {
            self.posted_s = now;
            self.post_waiting().await;
        }
    }

    /// Returns an event as the device sends it.
    fn device_event(&self, mut event: Value, vid: &VehicleId) -> Value {
        if self.path == IngestPath::PartnerHttp {
            event["subject"] = Value::from(vid.as_str());
        }
        let telemetry = serde_json::from_value::<Telemetry>(event["data"].clone());
        if let (Payload::Compact, Ok(telemetry)) = (self.payload, telemetry)
            && let Ok(block) = stream_record::block_base64(&telemetry.samples)
        {
            event["datacontenttype"] = Value::from(BLOCK_CONTENT_TYPE);
            event["data_base64"] = Value::from(block);
            event.as_object_mut().map(|event| event.remove("data"));
        }
        event
    }

    /// Puts an upload on the stream. A topic rule writes the same record.
    fn put(&mut self, vid: &VehicleId, events: &[Value]) {
        let meter = &self.meters.sent;
        for event in events {
            let record = event.to_string();
            self.totals.iot_steps += rules::iot_steps(record.len());
            meter.count(Item::KinesisPutUnit, rules::put_units(record.len() + vid.as_str().len()));
            self.totals.records += 1.0;
            self.totals.record_bytes += (record.len() + vid.as_str().len()) as f64;
            self.deployment.memory.stream().put_bytes(vid.as_str(), record.as_bytes());
        }
    }

    /// Posts the waiting events of each fleet's partner, in requests of at most 100 events.
    async fn post_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut bodies: BTreeMap<usize, Vec<Vec<Value>>> = BTreeMap::new();
        let partners = self.deployment.fleets.len();
        for event in waiting {
            let digest = event["subject"].as_str().map_or(0, |vid| vid.bytes().map(usize::from).sum());
            let requests = bodies.entry(digest % partners).or_default();
            match requests.last_mut() {
                Some(body) if body.len() < 100 => body.push(event),
                _ => requests.push(vec![event]),
            }
        }
        for body in bodies.into_values().flatten() {
            self.post(None, &Value::from(body).to_string()).await;
        }
    }

    /// Sends an API request: an upload of one vehicle, or a batch.
    async fn post(&mut self, vid: Option<&VehicleId>, body: &str) {
        let started = thread_cpu_time();
        let Ok(sender) = Sender::prove(&admin()) else { return };
        let accepted = match vid {
            Some(vid) => self.deployment.ingest.upload(&sender, vid, body).await.is_ok(),
            None => self.deployment.ingest.batch(&sender, body).await.is_ok(),
        };
        debug_assert!(accepted, "the API accepts the simulated events");
        self.meters.sent.invocation(EVENTS_API_MIB, thread_cpu_time().saturating_sub(started), None);
        self.meters.sent.count(Item::RestRequest, 1.0);
        // Over HTTP, one shard is enough for a cell.
        for record in self.deployment.memory.stream().read(0, self.counted_records) {
            self.counted_records += 1;
            self.totals.records += 1.0;
            self.totals.record_bytes += (record.data.len() + record.partition_key.len()) as f64;
        }
    }

    /// Enriches the published entries, with one invocation per entry.
    pub(super) async fn enrich(&mut self) {
        for batch in self.deployment.memory.take_published() {
            let events: Vec<&str> = batch.events.iter().map(String::as_str).collect();
            let started = thread_cpu_time();
            let enriched = self.deployment.enrichment.deliver(&events).await;
            debug_assert!(enriched.is_ok(), "enrichment accepts the published entries");
            self.meters.pipeline.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), None);
        }
    }

    /// Polls a fleet's feed until it is empty.
    pub(super) async fn drain(&mut self, fleet_id: &FleetId) {
        let Ok(fleet) = FleetOwner::prove(&Caller::Fleet(fleet_id.clone())) else { return };
        loop {
            let started = thread_cpu_time();
            let Ok(feed) = self.deployment.feed_reader.read(&fleet, 10, 0).await else { return };
            let bytes: usize = feed.cloud_events().map_or(0, |events| events.iter().map(|event| event.get().len()).sum());
            self.meters.feed.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), Some(fleet_id));
            self.meters.feed.count_for(fleet_id, Item::RestRequest, 1.0);
            self.meters.feed.count_for(fleet_id, Item::DataOut, (bytes + 300) as f64 / GIB);
            let samples: usize = feed.events.iter().map(|delivered| delivered.event.sample_count()).sum();
            *self.totals.delivered.entry(fleet_id.clone()).or_default() += samples as f64;
            if feed.receipts.is_empty() {
                return;
            }
            // Receipts are acknowledged with the next poll: no request of their own, only their share of that one.
            let _ = self.deployment.feed_reader.acknowledge(&fleet, &feed.receipts).await;
            if feed.receipts.len() < 10 {
                return;
            }
        }
    }

    /// Drains every feed without counting its deliveries.
    pub(super) async fn clear(&mut self) {
        let delivered = self.totals.delivered.clone();
        for fleet_id in &self.deployment.fleets {
            self.drain(fleet_id).await;
        }
        self.totals.delivered = delivered;
    }

    /// Runs the queries of one fleet in a day, besides its feed polls.
    pub(super) async fn query(&self) {
        let Some(vid) = self.deployment.vehicles.values().next() else { return };
        let Ok(reader) = Reader::prove(&admin()) else { return };
        let now = self.deployment.clock.now();
        let mut usage = Usage::default();
        for (queries, history) in [(STATE_QUERIES_PER_DAY, false), (HISTORY_QUERIES_PER_DAY, true)] {
            self.meters.feed.reset();
            for _ in 0..QUERY_RUNS as u32 {
                let started = thread_cpu_time();
                if history {
                    let range = EventsRange::between(vid.clone(), Some(now.plus_ms(-600_000)), Some(now), 1000);
                    let _ = self.deployment.states.queries.events(&reader, &range).await;
                } else {
                    let _ = self.deployment.states.state(&reader, vid).await;
                }
                self.meters.feed.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), None);
                self.meters.feed.count(Item::RestRequest, 1.0);
            }
            usage.add_scaled(&self.meters.feed.usage(), queries / QUERY_RUNS);
        }
        self.meters.feed.reset();
        for (item, _, quantity) in usage.iter() {
            self.meters.feed.count(item, quantity);
        }
    }
}

/// Runs a batch of the stream processor, from the Lambda event to the response.
pub(super) async fn process(deployment: &Deployment, meters: &Meters, records: Vec<ShardRecord>) -> BatchResponse {
    let event = kinesis_event(&records);
    let started = thread_cpu_time();
    let Ok(event) = serde_json::from_str::<KinesisEvent>(&event) else { return BatchResponse::success() };
    let batch = event.into_batch(deployment.clock.now());
    let outcome = deployment.processor.process_batch(&batch.records).await;
    meters.pipeline.invocation(PROCESSOR_MIB, thread_cpu_time().saturating_sub(started), None);
    match outcome.retry_from {
        Some(index) => BatchResponse::failed_from(records[index].sequence_number.clone()),
        None => BatchResponse::success(),
    }
}

/// Returns the average size of a sample, from the counts and the stored items.
pub(super) fn sizes(deployment: &Deployment, totals: &PipelineTotals) -> Sizes {
    let (block, origins, stored) = deployment.stored();
    Sizes {
        json: totals.json_bytes / totals.measured,
        record: totals.record_bytes / totals.samples,
        block: block / stored,
        origins: origins / stored,
    }
}
