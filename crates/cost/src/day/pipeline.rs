//! The road that a slice of a day is run on: sending, processing, enriching, draining and asking, each under its meter.

use std::collections::BTreeMap;

use crate::meter::{Item, Usage, rules};
use roadcast_aws_model::event_source_mapping::BatchResponse;
use roadcast_aws_model::event_source_mapping::kinesis_event;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Telemetry;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::clock::Clock as _;
use roadcast_services::query::EventsRange;
use roadcast_testbed::StreamRecordIn;
use roadcast_traces::Upload;
use serde_json::Value;

use super::{EVENTS_API_MIB, PROCESSOR_MIB, SMALL_MIB, Sizes};
use crate::GIB;
use crate::workload::{HISTORY_QUERIES_A_DAY, Payload, STATE_QUERIES_A_DAY, Way};
use crate::world::{Meters, World, admin, computed};

/// A partner gathers for so long before it posts.
const PARTNER_EVERY_S: i64 = 30;
/// Each query is run so often.
const TIMES: f64 = 10.0;
/// Samples whose JSON is weighed: enough for a mean.
const WEIGHED: f64 = 20_000.0;

/// What was counted beside the meters.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) iot_steps: f64,
    pub(super) records: f64,
    pub(super) record_bytes: f64,
    pub(super) samples: f64,
    weighed: f64,
    json_bytes: f64,
    pub(super) delivered: BTreeMap<FleetId, f64>,
}

/// The road, and what goes along it.
pub(super) struct Pipeline<'w> {
    world: &'w World,
    meters: &'w Meters,
    way: Way,
    payload: Payload,
    /// What partners have gathered.
    waiting: Vec<Value>,
    posted: i64,
    /// Records of the stream that were counted.
    seen: usize,
    pub(super) totals: Totals,
}

impl<'w> Pipeline<'w> {
    /// A road that nothing went along yet.
    pub(super) fn new(world: &'w World, meters: &'w Meters, way: Way, payload: Payload) -> Self {
        Self { world, meters, way, payload, waiting: Vec::new(), posted: 0, seen: 0, totals: Totals::default() }
    }

    /// Sends uploads the way they go.
    pub(super) async fn send(&mut self, uploads: Vec<Upload>) {
        for upload in uploads {
            let Some(vid) = self.world.vehicles.get(&upload.vehicle) else { continue };
            self.totals.samples += upload.samples as f64;
            if self.totals.weighed < WEIGHED {
                for sample in upload.events.iter().flat_map(roadcast_traces::TraceEvent::samples) {
                    self.totals.weighed += 1.0;
                    self.totals.json_bytes += sample.to_json().to_string().len() as f64;
                }
            }
            let events = upload.events.iter().map(|event| self.written(event.to_cloud_event(None), vid));
            let events: Vec<Value> = events.collect();
            match self.way {
                Way::Iot | Way::PutRecords => self.put(vid, &events),
                Way::VehicleHttp => self.post(Some(vid), &Value::from(events).to_string()).await,
                Way::PartnerHttp => self.waiting.extend(events),
            }
        }
        let now = self.world.clock.now().ms() / 1000;
        if self.way == Way::PartnerHttp && now - self.posted >= PARTNER_EVERY_S {
            self.posted = now;
            self.post_waiting().await;
        }
    }

    /// An event as the device writes it.
    fn written(&self, mut event: Value, vid: &VehicleId) -> Value {
        if self.way == Way::PartnerHttp {
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

    /// Puts an upload onto the stream; through a topic rule it is the same record.
    fn put(&mut self, vid: &VehicleId, events: &[Value]) {
        let meter = &self.meters.sent;
        for event in events {
            let record = event.to_string();
            self.totals.iot_steps += rules::iot_steps(record.len());
            meter.count(Item::KinesisPutUnit, rules::put_units(record.len() + vid.as_str().len()));
            self.totals.records += 1.0;
            self.totals.record_bytes += (record.len() + vid.as_str().len()) as f64;
            self.world.memory.stream().put_bytes(vid.as_str(), record.as_bytes());
        }
    }

    /// Each fleet's partner posts what it has, in requests that the API takes.
    async fn post_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut bodies: BTreeMap<usize, Vec<Vec<Value>>> = BTreeMap::new();
        let partners = self.world.fleets.len();
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

    /// A request to the API: about one vehicle, or a batch.
    async fn post(&mut self, vid: Option<&VehicleId>, body: &str) {
        let started = computed();
        let taken = match vid {
            Some(vid) => self.world.ingest.upload(&admin(), vid, body).await.is_ok(),
            None => self.world.ingest.batch(&admin(), body).await.is_ok(),
        };
        debug_assert!(taken, "the API takes what is simulated");
        self.meters.sent.invocation(EVENTS_API_MIB, computed().saturating_sub(started), None);
        self.meters.sent.count(Item::RestRequest, 1.0);
        // Over HTTP one shard is enough for a cell.
        for record in self.world.memory.stream().read(0, self.seen) {
            self.seen += 1;
            self.totals.records += 1.0;
            self.totals.record_bytes += (record.data.len() + record.partition_key.len()) as f64;
        }
    }

    /// Enriches what was published: an invocation an entry.
    pub(super) async fn enrich(&mut self) {
        for batch in self.world.memory.take_published() {
            let events: Vec<&str> = batch.events.iter().map(String::as_str).collect();
            let started = computed();
            let enriched = self.world.enrich.entry(&events).await;
            debug_assert!(enriched.is_ok(), "enrichment takes what was published");
            self.meters.road.invocation(SMALL_MIB, computed().saturating_sub(started), None);
        }
    }

    /// A fleet asks for news until there are none.
    pub(super) async fn drain(&mut self, fleet_id: &FleetId) {
        let caller = Caller::Fleet(fleet_id.clone());
        loop {
            let started = computed();
            let Ok(feed) = self.world.deliver.feed(&caller, fleet_id, 10, 0).await else { return };
            let bytes: usize = feed.cloud_events().map_or(0, |events| events.iter().map(|event| event.get().len()).sum());
            self.meters.feed.invocation(SMALL_MIB, computed().saturating_sub(started), Some(fleet_id));
            self.meters.feed.count_for(fleet_id, Item::RestRequest, 1.0);
            self.meters.feed.count_for(fleet_id, Item::DataOut, (bytes + 300) as f64 / GIB);
            let samples: usize = feed.events.iter().map(|delivered| delivered.event.sample_count()).sum();
            *self.totals.delivered.entry(fleet_id.clone()).or_default() += samples as f64;
            if feed.receipts.is_empty() {
                return;
            }
            // Acknowledged with the next call: no request of its own, but its part of that one.
            let _ = self.world.deliver.acknowledge(&caller, fleet_id, &feed.receipts).await;
            if feed.receipts.len() < 10 {
                return;
            }
        }
    }

    /// Empties every feed.
    pub(super) async fn clear(&mut self) {
        let delivered = self.totals.delivered.clone();
        for fleet_id in &self.world.fleets {
            self.drain(fleet_id).await;
        }
        self.totals.delivered = delivered;
    }

    /// What one fleet asks in a day, beside its feed.
    pub(super) async fn ask(&self) {
        let Some((fleet_id, vid)) = self.world.fleets.first().zip(self.world.vehicles.values().next()) else { return };
        let caller = Caller::Admin(roadcast_domain::ids::ClientId::new(fleet_id.as_str()));
        let now = self.world.clock.now();
        let mut asked = Usage::default();
        for (queries, history) in [(STATE_QUERIES_A_DAY, false), (HISTORY_QUERIES_A_DAY, true)] {
            self.meters.feed.reset();
            for _ in 0..TIMES as u32 {
                let started = computed();
                if history {
                    let range = EventsRange::between(vid.clone(), Some(now.plus_ms(-600_000)), Some(now), 1000);
                    let _ = self.world.query.events(&caller, &range).await;
                } else {
                    let _ = self.world.query.state(&caller, vid).await;
                }
                self.meters.feed.invocation(SMALL_MIB, computed().saturating_sub(started), None);
                self.meters.feed.count(Item::RestRequest, 1.0);
            }
            asked.add_times(&self.meters.feed.usage(), queries / TIMES);
        }
        self.meters.feed.reset();
        for (item, _, quantity) in asked.iter() {
            self.meters.feed.count(item, quantity);
        }
    }
}

/// A batch of the processor: from the event that Lambda hands over to the answer.
pub(super) async fn process(world: &World, meters: &Meters, records: Vec<StreamRecordIn>) -> BatchResponse {
    let event = kinesis_event(&records);
    let started = computed();
    let Ok(event) = serde_json::from_str::<KinesisEvent>(&event) else { return BatchResponse::success() };
    let batch = event.into_batch(world.clock.now());
    let outcome = world.process.batch(&batch.records).await;
    meters.road.invocation(PROCESSOR_MIB, computed().saturating_sub(started), None);
    match outcome.retry_from {
        Some(place) => BatchResponse::from_record_on(records[place].sequence_number.clone()),
        None => BatchResponse::success(),
    }
}

/// Bytes of a sample, by what was counted and what is stored.
pub(super) fn sizes(world: &World, totals: &Totals) -> Sizes {
    let (block, origins, stored) = world.stored();
    Sizes {
        json: totals.json_bytes / totals.weighed,
        record: totals.record_bytes / totals.samples,
        block: block / stored,
        origins: origins / stored,
    }
}
