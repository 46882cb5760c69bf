//! Moves of names on the real use cases, with a record of who had which name when.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::RELEASE_DELAY_MS;
use roadcast_domain::refusal::Reason;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::vehicles::{VehicleRegistration, Vehicles as _};
use roadcast_services::ingest::{Ingest, IngestError};
use roadcast_services::stream::{Record, StreamProcessor};
use roadcast_testbed::{FaultPlan, InMemory, WithFaults};
use serde_json::{Value, json};

use crate::fixture::{PipelineFixture, admin, event, record};

/// How long a change may take to take effect over HTTP, in milliseconds.
const HTTP_DELAY_MS: i64 = 5_000;
/// Fewer than the former holders that are kept.
const MAX_RELEASES: usize = 15;

/// The time in which a vehicle has a name.
struct Holding {
    vehicle: usize,
    /// By the received time of events of the stream.
    since: Timestamp,
    until: Option<Timestamp>,
    /// When the changes were stored.
    stored_from: Timestamp,
    stored_until: Option<Timestamp>,
}

/// Vehicles, names and events, and the use cases with caches of some age.
pub(super) struct MovingNames {
    pub(super) pipeline: PipelineFixture,
    ingest: Ingest<InMemory>,
    processors: Vec<StreamProcessor<WithFaults>>,
    vehicles: Vec<Vehicle>,
    /// When the retirement of a vehicle was stored.
    retired: BTreeMap<usize, Timestamp>,
    holdings: Vec<Vec<Holding>>,
    /// The expected vehicle of each event of the stream, by event id.
    expected: BTreeMap<String, Option<usize>>,
    /// The number of processed records of each shard.
    processed: [usize; 2],
    events: usize,
}

impl MovingNames {
    pub(super) fn new() -> Self {
        let pipeline = PipelineFixture::new(1);
        let plans = [0, 20, 40];
        Self {
            ingest: pipeline.ingest(),
            processors: plans.map(|percent| pipeline.processor(&|n| FaultPlan::seeded(n, percent))).into(),
            pipeline,
            vehicles: Vec::new(),
            retired: BTreeMap::new(),
            holdings: (0..3).map(|_| Vec::new()).collect(),
            expected: BTreeMap::new(),
            processed: [0; 2],
            events: 0,
        }
    }

    pub(super) fn wait(&self, ms: i64) {
        self.pipeline.clock.advance_ms(ms);
    }

    /// Advances the clock, so that no event is received in the millisecond of the change.
    fn start_change(&self) {
        self.wait(1);
    }

    fn now(&self) -> Timestamp {
        self.pipeline.clock.now()
    }

    /// Registers a vehicle with a name of its own and, if no other vehicle has it, this name.
    pub(super) async fn register(&mut self, name: usize) {
        self.start_change();
        let n = self.vehicles.len();
        let mut external_ids = vec![ExternalId::new("own", &n.to_string()).unwrap()];
        if self.holder(name).is_none() {
            external_ids.push(external_id(name));
            self.hold(n, name);
        }
        let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
        let (vid, now) = (VehicleId::from_random_bits(n as u128 + 1), self.now());
        let vehicle = Vehicle { vid, details, version: 1, owner: None, retired_at: None, created_at: now, updated_at: now };
        assert_eq!(self.pipeline.memory.register(&vehicle).await.unwrap(), VehicleRegistration::New);
        self.vehicles.push(vehicle);
    }

    /// Gives a free name to a vehicle.
    pub(super) async fn take(&mut self, vehicle: usize, name: usize) {
        self.start_change();
        if self.holder(name).is_none() && self.is_active(vehicle) {
            self.hold(vehicle, name);
            self.replace(vehicle, 0, |vehicle| vehicle.details.external_ids.push(external_id(name))).await;
        }
    }

    /// Removes a name from its vehicle. The change is stored `lag_ms` after its time.
    pub(super) async fn release(&mut self, name: usize, lag_ms: i64) {
        self.start_change();
        if let Some(vehicle) = self.holder(name).filter(|_| self.holdings[name].len() < MAX_RELEASES) {
            self.end_holding(name, lag_ms);
            self.replace(vehicle, lag_ms, |vehicle| vehicle.details.external_ids.retain(|id| *id != external_id(name)))
                .await;
        }
    }

    /// Retires a vehicle. Its names are released `lag_ms` before that is stored.
    pub(super) async fn retire(&mut self, vehicle: usize, lag_ms: i64) {
        self.start_change();
        let names: Vec<usize> = (0..3).filter(|name| self.holder(*name) == Some(vehicle)).collect();
        if !self.is_active(vehicle) || names.iter().any(|name| self.holdings[*name].len() >= MAX_RELEASES) {
            return;
        }
        for name in names {
            self.end_holding(name, lag_ms);
        }
        let now = self.now();
        self.retired.insert(vehicle, now);
        self.replace(vehicle, lag_ms, |vehicle| vehicle.retired_at = Some(now)).await;
    }

    /// Puts an event onto the stream whose subject is a name.
    pub(super) fn send_by_name(&mut self, name: usize, key: usize) {
        let at = self.now();
        let then = |holding: &&Holding| holding.since <= at && holding.until.is_none_or(|until| at < until);
        let expected = self.holdings[name].iter().find(then).map(|holding| holding.vehicle);
        self.send(&subject(name), &format!("key-{key}"), expected);
    }

    /// Puts an event onto the stream whose subject is the id of a vehicle.
    pub(super) fn send_by_id(&mut self, vehicle: usize) {
        if let Some(vid) = self.vehicles.get(vehicle).map(|vehicle| vehicle.vid.to_string()) {
            self.send(&vid, &vid, Some(vehicle).filter(|vehicle| self.is_active(*vehicle)));
        }
    }

    fn send(&mut self, subject: &str, key: &str, expected: Option<usize>) {
        let (id, event) = self.next_event(Some(subject));
        self.expected.insert(id, expected);
        self.pipeline.memory.stream().put_bytes(key, event.to_string().as_bytes());
    }

    /// Uploads an event by name. It must be accepted for a vehicle that had the name within the last five seconds.
    pub(super) async fn upload_by_name(&mut self, name: usize) {
        let (id, event) = self.next_event(Some(&subject(name)));
        let before = self.records().concat().len();
        let receipt = self.ingest.batch(&admin(), &json!([event]).to_string()).await.unwrap();
        let recently = self.now().plus_ms(-HTTP_DELAY_MS);
        let is_recent = |time: Option<Timestamp>| time.is_none_or(|time| time > recently);
        let allowed: BTreeSet<usize> =
            self.holdings[name].iter().filter(|holding| is_recent(holding.stored_until)).map(|h| h.vehicle).collect();
        let settled = self.holdings[name].iter().any(|h| h.stored_until.is_none() && h.stored_from <= recently);
        if receipt.events[0].outcome.is_err() {
            assert!(!settled, "an event of a name that a vehicle has for five seconds is accepted");
            return;
        }
        assert_eq!(self.records().concat().len(), before + 1);
        let vehicle = self.vehicle_of_newest_record();
        assert!(allowed.contains(&vehicle), "{name} of vehicle {vehicle}, not of {allowed:?}");
        self.expected.insert(id, Some(vehicle).filter(|vehicle| self.is_active(*vehicle)));
    }

    /// Uploads an event by the id of a vehicle. It must be refused five seconds after the retirement.
    pub(super) async fn upload_by_id(&mut self, vehicle: usize) {
        let Some(vid) = self.vehicles.get(vehicle).map(|vehicle| vehicle.vid.clone()) else { return };
        let (id, event) = self.next_event(None);
        let outcome = self.ingest.upload(&admin(), &vid, &event.to_string()).await;
        let retired = self.retired.get(&vehicle);
        match outcome {
            Ok(_) => {
                let is_recent = retired.is_none_or(|at| self.now().ms_since(*at) < HTTP_DELAY_MS);
                assert!(is_recent, "a vehicle that was retired five seconds ago accepts no event");
                self.expected.insert(id, Some(vehicle).filter(|_| retired.is_none()));
            }
            Err(error) => assert!(matches!(error, IngestError::VehicleRetired) && retired.is_some(), "{error}"),
        }
    }

    /// Processes the next records of a shard, or as many of them as the faults of the processor allow.
    pub(super) async fn process(&mut self, shard: usize, records: usize, processor: usize) {
        let batch: Vec<Record> =
            self.records().swap_remove(shard).into_iter().skip(self.processed[shard]).take(records).collect();
        if batch.is_empty() {
            return;
        }
        let outcome = self.processors[processor].process_batch(&batch).await;
        self.processed[shard] += outcome.retry_from.unwrap_or(batch.len());
    }

    /// Processes the remaining records on the processor without faults.
    pub(super) async fn process_everything(&mut self) {
        for shard in 0..2 {
            self.process(shard, usize::MAX, 0).await;
            assert_eq!(self.processed[shard], self.records()[shard].len(), "nothing remains");
        }
    }

    /// Returns the number of stored events of each vehicle.
    pub(super) fn stored_counts(&self) -> Vec<usize> {
        let stored = self.pipeline.stored_events();
        let count = |vehicle: &Vehicle| stored.iter().filter(|stored| stored.event.vid == vehicle.vid).count();
        self.vehicles.iter().map(count).collect()
    }

    /// Checks that each event is stored for the expected vehicle and for no other, or is quarantined.
    pub(super) fn check(&self) {
        let mut stored: BTreeMap<String, BTreeSet<VehicleId>> = BTreeMap::new();
        for event in self.pipeline.stored_events() {
            stored.entry(event.origin.id).or_default().insert(event.event.vid);
        }
        let quarantined = self.pipeline.memory.quarantined();
        assert!(quarantined.iter().all(|item| item.reason == Reason::VehicleUnknown), "{quarantined:?}");
        let id = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["id"].as_str().unwrap().to_owned();
        let quarantined: BTreeSet<String> = quarantined.iter().map(|item| id(&item.bytes)).collect();
        for (id, expected) in &self.expected {
            let vids = stored.remove(id).unwrap_or_default();
            let expected = expected.map(|vehicle| self.vehicles[vehicle].vid.clone());
            assert_eq!(vids, expected.clone().into_iter().collect(), "event {id}");
            assert_eq!(quarantined.contains(id), expected.is_none(), "event {id}");
        }
        assert!(stored.is_empty(), "{stored:?}");
    }

    fn records(&self) -> Vec<Vec<Record>> {
        let stream = self.pipeline.memory.stream();
        (0..2).map(|shard| stream.read(shard, 0).into_iter().map(record).collect()).collect()
    }

    /// Returns the vehicle that is the partition key of the record that was put last.
    fn vehicle_of_newest_record(&self) -> usize {
        let newest = self.records().concat().into_iter().max_by_key(|record| record.raw.sequence_number.clone());
        let key = newest.unwrap().raw.partition_key.clone();
        self.vehicles.iter().position(|vehicle| vehicle.vid.as_str() == key).unwrap()
    }

    fn next_event(&mut self, subject: Option<&str>) -> (String, Value) {
        self.events += 1;
        let id = format!("e{}", self.events);
        let mut event = event(&id, &[(60, 50.0)]);
        if let Some(subject) = subject {
            event["subject"] = json!(subject);
        }
        (id, event)
    }

    fn is_active(&self, vehicle: usize) -> bool {
        vehicle < self.vehicles.len() && !self.retired.contains_key(&vehicle)
    }

    fn holder(&self, name: usize) -> Option<usize> {
        self.holdings[name].last().filter(|holding| holding.until.is_none()).map(|holding| holding.vehicle)
    }

    fn hold(&mut self, vehicle: usize, name: usize) {
        let now = self.now();
        let since = self.holdings[name].last().and_then(|holding| holding.until).map_or(now, |until| until.max(now));
        self.holdings[name].push(Holding { vehicle, since, until: None, stored_from: now, stored_until: None });
    }

    fn end_holding(&mut self, name: usize, lag_ms: i64) {
        let now = self.now();
        if let Some(holding) = self.holdings[name].last_mut() {
            holding.until = Some(now.plus_ms(RELEASE_DELAY_MS - lag_ms).max(holding.since));
            holding.stored_until = Some(now);
        }
    }

    async fn replace(&mut self, vehicle: usize, lag_ms: i64, change: impl FnOnce(&mut Vehicle)) {
        let updated_at = self.now().plus_ms(-lag_ms);
        let vehicle = &mut self.vehicles[vehicle];
        change(vehicle);
        (vehicle.version, vehicle.updated_at) = (vehicle.version + 1, updated_at);
        self.pipeline.memory.replace(vehicle).await.unwrap();
    }
}

fn external_id(name: usize) -> ExternalId {
    ExternalId::new("test", &format!("name-{name}")).unwrap()
}

fn subject(name: usize) -> String {
    format!("test:name-{name}")
}
