//! Vehicles with data in every store, and the erasure of two of them.

use roadcast_aws_model::state_machine::{ExecutionStatus, StateMachine};
use roadcast_codec::stream_record::compress;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Caller;
use roadcast_domain::dead_letter::{Content, ContentBucket, DeadLetter, Hop, Pointers};
use roadcast_domain::entitlement::Holders;
use roadcast_domain::erasure::{Erasure, SECOND_PASS_AFTER_MS};
use roadcast_domain::event::{Event, Origin, StoredEvent};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ClientId, DeadLetterId, DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails, VehicleMapping};
use roadcast_domain::webhook::{Delivery as WebhookDelivery, DeliveryKey, Payload};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations as _};
use roadcast_ports::archive::RawRecord;
use roadcast_ports::bulk::VehicleMappings as _;
use roadcast_ports::clock::Randomness as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::feed::{Delivery, FeedIndex as _};
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::provisioning::WorkflowRun;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_ports::webhooks::Deliveries as _;
use roadcast_services::ServiceError;
use roadcast_services::authz::Proof;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::erasure::{ErasureRequest, ErasureRequests, ErasureRun, RunStatus, Task, TaskKind};
use roadcast_services::stream::{
    AlertReader, BatchOutcome, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor,
};
use roadcast_testbed::{
    FaultPlan, Faulty, InMemory, ManualClock, Memory, MemoryBulk, MemoryErasure, MemoryItems, SeededRandomness, ShardRecord,
    WithFaults, fixtures,
};
use serde_json::{Value, json};

const ERASURE: &str = include_str!("../../../../infra/erasure.asl.json");
const NOON: &str = "2026-01-01T12:00:00Z";

/// Three vehicles with data in every store. The first two are erased.
pub(crate) struct ErasureFixture {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    pub(crate) items: MemoryItems,
    pub(crate) bulk: MemoryBulk,
    pub(crate) erased: [VehicleId; 2],
    pub(crate) kept: VehicleId,
    pub(crate) fleet_id: FleetId,
    random: SeededRandomness,
}

/// Returns the proof of an admin.
pub(crate) fn admin<P: Proof>() -> P {
    P::prove(&Caller::Admin(ClientId::new("admin"))).unwrap()
}

impl ErasureFixture {
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap());
        let memory = Memory::new(clock.clone());
        let random = SeededRandomness::new(3);
        let vid = || VehicleId::from_random_bits(random.bits());
        let (erased, kept, fleet_id) = ([vid(), vid()], vid(), FleetId::from_random_bits(random.bits()));
        let (items, bulk) = (MemoryItems::default(), MemoryBulk::default());
        let fixture = Self { memory, clock, items, bulk, erased, kept, fleet_id, random };
        for (vid, name) in fixture.vehicles().into_iter().zip(["first", "second", "third"]) {
            fixture.register(&vid, name).await;
        }
        fixture.subscribe().await;
        fixture.clock.advance_ms(60_000);
        fixture.send_everything();
        let outcome = fixture.process().await;
        assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 7));
        fixture.evaluate().await;
        fixture.deliver().await;
        fixture.keep_letters().await;
        fixture.clock.advance_ms(60_000);
        fixture
    }

    pub(crate) fn vehicles(&self) -> [VehicleId; 3] {
        [self.erased[0].clone(), self.erased[1].clone(), self.kept.clone()]
    }

    pub(crate) fn unknown_vehicle(&self) -> VehicleId {
        VehicleId::from_random_bits(self.random.bits())
    }

    /// Registers a vehicle with the external id `test:NAME`.
    pub(crate) async fn register(&self, vid: &VehicleId, name: &str) {
        use roadcast_ports::clock::Clock as _;
        let now = self.clock.now();
        let external_ids = vec![ExternalId::new("test", name).unwrap()];
        let vehicle = Vehicle {
            vid: vid.clone(),
            details: VehicleDetails { external_ids, ..VehicleDetails::default() },
            version: 1,
            owner: None,
            retired_at: None,
            created_at: now,
            updated_at: now,
        };
        self.memory.register(&vehicle).await.unwrap();
    }

    async fn subscribe(&self) {
        use roadcast_ports::clock::Clock as _;
        let now = self.clock.now();
        let fleet = Fleet::new(self.fleet_id.clone(), "A fleet".to_owned(), "bus".to_owned(), Plan::Standard, now);
        let change = Change::fleet_changed(Author::Provisioning, None, &fleet, now);
        self.memory.create_within(&fleet, 9, &change).await.unwrap();
        for vehicles in [self.vehicles().to_vec(), self.erased.to_vec()] {
            for vid in &vehicles {
                let mapping = VehicleMapping {
                    fleet_id: self.fleet_id.clone(),
                    vid: vid.clone(),
                    details: MappedDetails::default(),
                    removed: false,
                    version: FileVersion::new(now, "", "d"),
                    line: 1,
                };
                self.bulk.put(&mapping).await.unwrap();
            }
            let number = self.random.bits();
            let subscription = fixtures::subscription(number, &self.fleet_id, vehicles, &["telematics"], now);
            fixtures::store_subscription(&self.memory, &subscription).await;
        }
    }

    /// Puts records onto the stream: by id, by name, of several vehicles, invalid, and unreadable.
    pub(crate) fn send_everything(&self) {
        let [first, second, third] = self.vehicles();
        let stream = self.memory.stream();
        let put = |key: &str, text: String| stream.put_bytes(key, &compress(&text));
        put(first.as_str(), event("1", None, 1.0).to_string());
        put(second.as_str(), event("2", Some("test:second"), 1.0).to_string());
        put(third.as_str(), event("3", None, 1.0).to_string());
        let of_all = ["test:first", "test:second", "test:third", first.as_str()];
        let batch: Vec<Value> = of_all.iter().enumerate().map(|(n, of)| event(&format!("b{n}"), Some(of), 2.0)).collect();
        put("partner", json!(batch).to_string());
        for (vid, name) in [(&first, "test:first"), (&third, "test:third")] {
            // A sample in the future, an event that is none, and a record that cannot be read.
            put("partner", json!({"specversion": "1.0", "id": "x", "source": "s", "subject": name}).to_string());
            let mut ahead = event("ahead", None, 3.0);
            ahead["data"]["samples"][0]["at"] = json!("2027-01-01T12:00:00Z");
            put(vid.as_str(), ahead.to_string());
            stream.put_bytes(vid.as_str(), format!("{{ {vid}").as_bytes());
        }
    }

    /// Processes all records of the stream, as a batch that was read again.
    pub(crate) async fn process(&self) -> BatchOutcome {
        self.processor().process_batch(&self.records()).await
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.memory.stream().records().into_iter().map(record).collect()
    }

    pub(crate) fn processor(&self) -> StreamProcessor<InMemory> {
        let memory = || self.memory.clone();
        StreamProcessor {
            archive: memory(),
            quarantine: memory(),
            validator: EventValidator {
                subjects: CachedSubjects::new(memory(), self.clock.clone()),
                schemas: CachedSchemas::new(memory(), self.clock.clone()),
            },
            alerts: AlertReader { secrets: memory() },
            publisher: Publisher {
                entitlements: CachedEntitlements::new(memory(), self.clock.clone()),
                bus: memory(),
                clock: self.clock.clone(),
            },
            store: EventStore {
                state: memory(),
                log: SegmentedLog { items: self.items.clone() },
                recent: RecentEvents::default(),
            },
            clock: self.clock.clone(),
        }
    }

    /// Stores an event directly, as a batch does that began before the erasure.
    pub(crate) async fn store_event(&self, vid: &VehicleId, id: &str) {
        use roadcast_ports::clock::Clock as _;
        let now = self.clock.now();
        let body = self.items.all()[0].events().unwrap()[0].event.body.clone();
        let eid = Eid::for_event(vid, "s", id, now);
        let origin = Origin { source: "s".to_owned(), id: id.to_owned(), extensions: [].into() };
        let stored = StoredEvent { event: Event { eid, vid: vid.clone(), received: now, body }, origin };
        let log = SegmentedLog { items: self.items.clone() };
        for result in log.append(&[stored]).await {
            result.unwrap();
        }
    }

    /// Checkpoints and watched evaluations of the alert evaluator.
    async fn evaluate(&self) {
        use roadcast_ports::clock::Clock as _;
        let expires_at = self.clock.now().plus_ms(8 * 86_400_000);
        for vid in self.vehicles() {
            for owner in [RuleOwner::Operator, RuleOwner::Fleet(self.fleet_id.clone())] {
                let key = EvaluationKey { vid: vid.clone(), owner };
                let checkpoint = AlertCheckpoint { revision: 1, content: b"checkpoint".to_vec(), expires_at };
                AlertCheckpoints::replace(&self.memory, &key, &checkpoint).await.unwrap();
                for result in self.memory.watch("shardId-000000000000", &[key]).await {
                    result.unwrap();
                }
            }
        }
    }

    /// Feed pointers and webhook deliveries.
    async fn deliver(&self) {
        use roadcast_ports::clock::Clock as _;
        let now = self.clock.now();
        let eid = |vid: &VehicleId| Eid::for_event(vid, "s", "1", now);
        let all: Vec<(VehicleId, Eid)> = self.vehicles().into_iter().map(|vid| (vid.clone(), eid(&vid))).collect();
        let mut deliveries = vec![all.clone()];
        deliveries.extend(all.iter().map(|one| vec![one.clone()]));
        for events in deliveries {
            self.clock.advance_ms(1);
            let delivery = Delivery { fleet_id: self.fleet_id.clone(), events, held_by: Holders::None };
            self.memory.record(&[delivery]).await.unwrap();
        }
        for (vid, eid) in all {
            let delivery_id = DeliveryId::from_time_and_salt(now, self.random.bits());
            let key = DeliveryKey { endpoint_id: EndpointId::from_random_bits(1), delivery_id };
            let cloud_event = json!({ "subject": vid }).to_string();
            let payload = Payload::Event { vid, eid, event_type: "roadcast.telemetry.v1".to_owned(), cloud_event };
            self.memory.put(&WebhookDelivery::new(key, self.fleet_id.clone(), payload, now)).await.unwrap();
        }
    }

    /// Dead letters of several hops, each with its object.
    async fn keep_letters(&self) {
        use roadcast_ports::clock::Clock as _;
        let now = self.clock.now();
        let [first, _, third] = self.vehicles();
        let entry = |vids: &[&VehicleId]| {
            let events: Vec<Value> = vids.iter().map(|vid| json!({ "subject": vid })).collect();
            json!({ "detail": { "events": events } }).to_string()
        };
        let letters = [
            ("both", Hop::Enrichment, entry(&[&first, &third])),
            ("first", Hop::Feed, entry(&[&first])),
            ("third", Hop::Feed, entry(&[&third])),
            ("webhook", Hop::Webhook, json!({ "vid": first, "event": {} }).to_string()),
        ];
        for (key, hop, bytes) in letters {
            let letter = DeadLetter {
                dead_letter_id: DeadLetterId::for_failure(hop, now, key),
                hop,
                reason: "r".to_owned(),
                detail: None,
                fleet_id: None,
                pointers: Pointers::default(),
                items: 1,
                first_at: now,
                last_at: now,
                content: Content { bucket: ContentBucket::DeadLetters, key: key.to_owned(), bytes: bytes.len() as u64 },
                claim: None,
                redriven: None,
            };
            self.memory.put_letter_object(key, bytes.into_bytes());
            roadcast_ports::dead_letters::DeadLetters::put(&self.memory, &letter).await.unwrap();
        }
    }

    pub(crate) fn requests(&self) -> ErasureRequests<InMemory> {
        ErasureRequests {
            erasures: self.memory.clone(),
            vehicles: self.memory.clone(),
            workflow: self.memory.clone(),
            clock: self.clock.clone(),
            randomness: SeededRandomness::new(11),
        }
    }

    /// Requests the erasure of the first two vehicles. It is not run.
    pub(crate) async fn request(&self) {
        let request = ErasureRequest { vehicles: self.erased.to_vec(), former_names: Vec::new() };
        self.requests().request(&admin(), request).await.unwrap();
    }

    /// Returns the erasure that was requested.
    pub(crate) async fn erasure(&self) -> Erasure {
        let WorkflowRun::Erase { erasure_id, .. } = self.memory.workflows().pop().unwrap() else { panic!("no erasure") };
        roadcast_ports::erasure::Erasures::get(&self.memory, &erasure_id).await.unwrap().unwrap()
    }

    /// Runs the last started workflow on ports that fail by `plan`. Waits advance the clock.
    pub(crate) async fn run(&self, plan: &FaultPlan) -> ExecutionStatus {
        let run = self.memory.workflows().pop().unwrap();
        let task = |payload: Value| async move {
            let task: Task = serde_json::from_value(payload).unwrap();
            let status = self.process_run(plan).step(&task).await.map_err(|error| format!("{error:?}"))?;
            Ok(json!(status))
        };
        let wait = |seconds: u64| self.clock.advance_ms(i64::try_from(seconds).unwrap() * 1000);
        StateMachine::parse(ERASURE).unwrap().run(serde_json::to_value(&run).unwrap(), task, wait).await.unwrap()
    }

    /// Runs one task of an attempt.
    pub(crate) async fn step(&self, attempt: u32, plan: &FaultPlan) -> Result<RunStatus, ServiceError> {
        let erasure_id = self.erasure().await.erasure_id;
        let task = Task { step: TaskKind::Continue, erasure_id, attempt, error: None };
        self.process_run(plan).step(&task).await
    }

    fn process_run(&self, plan: &FaultPlan) -> ErasureRun<WithFaults> {
        let failing = || Faulty::new(self.memory.clone(), plan.clone());
        let (memory, items, bulk) = (self.memory.clone(), self.items.clone(), self.bulk.clone());
        ErasureRun {
            erasures: failing(),
            vehicles: failing(),
            erasure: Faulty::new(MemoryErasure { memory, items, bulk }, plan.clone()),
            fleets: failing(),
            subscriptions: failing(),
            clock: self.clock.clone(),
            second_pass_after_ms: SECOND_PASS_AFTER_MS,
        }
    }
}

/// A telemetry event with one sample.
pub(crate) fn event(id: &str, subject: Option<&str>, speed: f64) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1", "time": NOON,
        "data": { "samples": [{ "at": NOON, "signals": { "Vehicle.Speed": speed } }] },
    });
    if let Some(subject) = subject {
        event["subject"] = json!(subject);
    }
    event
}

fn record(record: ShardRecord) -> Record {
    let ShardRecord { shard, sequence_number, partition_key, arrived_at, data } = record;
    Record { shard, raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into() }
}
