//! The data flow of a load level: sending, processing, enrichment, feed polls and queries, each under its meter.

use std::collections::BTreeMap;

use crate::meter::{Item, Usage, rules};
use roadcast_aws_model::event_source_mapping::BatchResponse;
use roadcast_aws_model::queue_mapping::queue_event;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::authz::{FleetOwner, Proof as _, Reader, Sender};
use roadcast_services::delivery::feed::PollInterval;
use roadcast_services::query::EventsRange;
use roadcast_testbed::{QueuedMessage, ShardRecord};

use super::traffic::DeviceUpload;
use super::{EVENTS_API_MIB, OTHER_FUNCTIONS_MIB, PROCESSOR_MIB, Sizes};
use crate::GIB;
use crate::cpu_time::thread_cpu_time;
use crate::deployment::{Deployment, Meters, admin, queued_entry};
use crate::workload::{HISTORY_QUERIES_PER_DAY, IngestPath, Knobs, MAPPING_POLLERS, STATE_QUERIES_PER_DAY};

/// Seconds between the batches of a partner.
const PARTNER_EVERY_S: i64 = 30;
/// Maximum number of messages in a batch of enrichment, as in the template.
const QUEUE_BATCH_SIZE: usize = 10;
/// How often each query is run.
const QUERY_RUNS: f64 = 10.0;

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
    knobs: Knobs,
    /// Events that the partners have not posted yet, each with its vehicle.
    waiting: Vec<(VehicleId, String)>,
    posted_s: i64,
    /// Number of stream records already counted.
    counted_records: usize,
    pub(super) totals: PipelineTotals,
}

impl<'w> Pipeline<'w> {
    /// Returns a pipeline without traffic.
    pub(super) fn new(deployment: &'w Deployment, meters: &'w Meters, path: IngestPath, knobs: Knobs) -> Self {
        Self {
            deployment,
            meters,
            path,
            knobs,
            waiting: Vec::new(),
            posted_s: 0,
            counted_records: 0,
            totals: PipelineTotals::default(),
        }
    }

    /// Sends uploads by the ingest path.
    pub(super) async fn send(&mut self, uploads: &[DeviceUpload]) {
        for upload in uploads {
            let Some(vid) = self.deployment.vehicles.get(&upload.vehicle) else { continue };
            self.totals.samples += upload.samples as f64;
            if let Some(bytes) = upload.json_bytes {
                self.totals.measured += upload.samples as f64;
                self.totals.json_bytes += bytes as f64;
            }
            match self.path {
                IngestPath::Iot | IngestPath::PutRecords => self.put(vid, upload.events(self.knobs.payload)),
                IngestPath::VehicleHttp => self.post(Some(vid), &array(upload.events(self.knobs.payload))).await,
                IngestPath::PartnerHttp => {
                    let events = upload.events(self.knobs.payload).iter();
                    self.waiting.extend(events.map(|event| (vid.clone(), with_subject(event, vid))));
                }
            }
        }
        let now = self.deployment.clock.now().ms() / 1000;
        if self.path == IngestPath::PartnerHttp && now - self.posted_s >= PARTNER_EVERY_S {
            self.posted_s = now;
            self.post_waiting().await;
        }
    }

    /// Puts an upload on the stream. A topic rule writes the same record.
    fn put(&mut self, vid: &VehicleId, events: &[String]) {
        let meter = &self.meters.sent;
        for record in events {
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
        let mut bodies: BTreeMap<usize, Vec<Vec<String>>> = BTreeMap::new();
        let partners = self.deployment.fleets.len();
        for (vid, event) in waiting {
            let digest: usize = vid.as_str().bytes().map(usize::from).sum();
            let requests = bodies.entry(digest % partners).or_default();
            match requests.last_mut() {
                Some(body) if body.len() < 100 => body.push(event),
                _ => requests.push(vec![event]),
            }
        }
        for body in bodies.into_values().flatten() {
            self.post(None, &array(&body)).await;
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

    /// Enriches the published entries, in the batches of an event source mapping. Entries that are published together are
    /// distributed over its pollers.
    pub(super) async fn enrich(&mut self) {
        let published = self.deployment.memory.take_published().into_iter();
        let messages: Vec<QueuedMessage> = published.map(|entry| queued_entry(&entry)).collect();
        let batch_size = messages.len().div_ceil(MAPPING_POLLERS).clamp(1, QUEUE_BATCH_SIZE);
        for batch in messages.chunks(batch_size) {
            let meter = &self.meters.pipeline;
            // One request receives the batch, another deletes it.
            meter.count(Item::SqsRequest, rules::chunks(batch.iter().map(|message| message.body.len()).sum()) + 1.0);
            let event = queue_event("arn:aws:sqs:us-east-1:123456789012:roadcast-enrichment-telemetry", batch);
            let started = thread_cpu_time();
            let accepted = self.deployment.enrich(&event).await;
            debug_assert!(accepted, "enrichment accepts the published entries");
            meter.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), None);
        }
    }

    /// Reads a fleet's feed until it is empty. Returns the seconds until the next read, as the last response advises.
    pub(super) async fn drain(&mut self, fleet_id: &FleetId) -> u16 {
        let Ok(fleet) = FleetOwner::prove(&Caller::Fleet(fleet_id.clone())) else { return self.knobs.poll_s };
        loop {
            let started = thread_cpu_time();
            let options = ReceiveOptions::default();
            let Ok(feed) = self.deployment.feed_reader.read(&fleet, options).await else { return self.knobs.poll_s };
            let bytes: usize = feed.cloud_events().map_or(0, |events| events.iter().map(|event| event.get().len()).sum());
            self.meters.feed.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), Some(fleet_id));
            self.meters.feed.count_for(fleet_id, Item::RestRequest, 1.0);
            self.meters.feed.count_for(fleet_id, Item::DataOut, (bytes + 300) as f64 / GIB);
            let samples: usize = feed.events.iter().map(|delivered| delivered.event.sample_count()).sum();
            *self.totals.delivered.entry(fleet_id.clone()).or_default() += samples as f64;
            let next_s = PollInterval::new(self.knobs.poll_s).next_s(&feed, options.max, self.deployment.clock.now());
            if feed.ack_handles.is_empty() {
                return next_s;
            }
            // Messages are acknowledged with the next poll: no request of their own, only their share of that one.
            let _ = self.deployment.feed_reader.acknowledge(&fleet, &feed.ack_handles).await;
            if next_s > 0 {
                return next_s;
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

/// Returns a JSON array of events in JSON.
fn array(events: &[String]) -> String {
    format!("[{}]", events.join(","))
}

/// Returns an event in JSON with its vehicle as the subject.
fn with_subject(event: &str, vid: &VehicleId) -> String {
    let members = event.strip_prefix('{').unwrap_or_default();
    format!(r#"{{"subject":"{}",{members}"#, vid.as_str())
}

/// Runs a batch of the stream processor. Returns the response and the number of stored samples.
pub(super) async fn process(deployment: &Deployment, meters: &Meters, records: &[ShardRecord]) -> (BatchResponse, usize) {
    let processed = deployment.process(records).await;
    meters.pipeline.invocation(PROCESSOR_MIB, processed.cpu_time, None);
    (processed.response, processed.samples_stored)
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
