//! A fleet with vehicles and rules, the stream, the stream processor and instances of the evaluator.

mod expected;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use roadcast_aws_model::event_source_mapping::{BatchResponse, EventSourceMapping, MappingConfig};
use roadcast_codec::bus_entry;
use roadcast_codec::tick::TICK;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{Alert, RuleOwner, TransitionKind};
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::erasure::{ErasedStore, ErasureScope};
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{AlertId, Eid, FleetId, RuleId, SubscriptionId, VehicleId};
use roadcast_domain::lane::Lane;
use roadcast_domain::subscription::{Subscription, Validity};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::archive::RawRecord;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::erasure::VehicleErasure as _;
use roadcast_ports::stream::StreamClock as _;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::alerts::evaluator::{
    AlertEvaluator, AlertPublisher, EvaluationOutcome, EvaluatorParts, RuleOwners, ShardReader,
};
use roadcast_services::cache::{CachedAlertRules, CachedEntitlements, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor};
use roadcast_testbed::{
    FaultPlan, Faulty, InMemory, ManualClock, Memory, MemoryBulk, MemoryErasure, MemoryItems, ShardRecord, WithFaults,
    fixtures,
};
use serde_json::json;

/// What the fleet may see.
const PACKAGES: [&str; 3] = ["alerts", "diagnostics", "telematics"];

/// When most tests begin.
pub(crate) const START: &str = "2026-11-03T12:00:00Z";

pub(crate) type Evaluator = AlertEvaluator<WithFaults>;

/// What is published and not withdrawn: alert, kind, time.
pub(crate) type Present = BTreeSet<(AlertId, TransitionKind, Timestamp)>;

pub(crate) struct EvaluationFixture {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    items: MemoryItems,
    pub(crate) fleet_id: FleetId,
    pub(crate) vids: Vec<VehicleId>,
    pub(crate) subscription: Subscription,
    /// All subscriptions.
    subscriptions: Vec<Subscription>,
    mapping: EventSourceMapping,
    processing: EventSourceMapping,
    processor: StreamProcessor<InMemory>,
    /// Every alert that was published, by its id.
    published: BTreeMap<Eid, Event>,
    instances: usize,
}

impl EvaluationFixture {
    /// A fleet that may see `vehicles` vehicles, on a stream with these shards.
    pub(crate) async fn new(vehicles: u128, shards: usize) -> Self {
        Self::starting_at(Timestamp::parse_rfc3339(START).unwrap(), vehicles, shards).await
    }

    /// The same, at another time.
    pub(crate) async fn starting_at(start: Timestamp, vehicles: u128, shards: usize) -> Self {
        let clock = ManualClock::at(start);
        let memory = Memory::with_shards(clock.clone(), shards);
        let vids: Vec<VehicleId> = (1..=vehicles).map(VehicleId::from_random_bits).collect();
        for vid in &vids {
            memory.register(&vehicle(vid, clock.now())).await.unwrap();
        }
        let fleet_id = FleetId::from_random_bits(7);
        let since = clock.now().plus_ms(-86_400_000);
        let subscription = fixtures::subscription(1, &fleet_id, vids.clone(), &PACKAGES, since);
        fixtures::store_fleet(&memory, &fleet_id, clock.now()).await;
        fixtures::store_subscription(&memory, &subscription).await;
        let items = MemoryItems::default();
        let config = |batch_size| MappingConfig {
            batch_size,
            report_batch_item_failures: true,
            bisect_batch_on_function_error: true,
            ..MappingConfig::default()
        };
        let mapping = |batch_size| EventSourceMapping::new(config(batch_size), memory.stream().clone(), clock.clone());
        Self {
            mapping: mapping(7),
            processing: mapping(50),
            processor: processor(&memory, &items, &clock),
            memory,
            clock,
            items,
            fleet_id,
            vids,
            subscriptions: vec![subscription.clone()],
            subscription,
            published: BTreeMap::new(),
            instances: 0,
        }
    }

    /// Stores a rule. It is evaluated within five seconds.
    pub(crate) async fn rule(&self, owner: &RuleOwner, number: u128, definition: &serde_json::Value) -> AlertRuleRecord {
        let now = self.clock.now();
        let record = AlertRuleRecord {
            owner: owner.clone(),
            rule_id: RuleId::from_random_bits(number),
            version: 1,
            enabled: true,
            active_from: now,
            created_at: now,
            updated_at: now,
            definition: definition.to_string(),
        };
        let version = self.memory.owner_version(owner).await.unwrap();
        let change = Change::alert_rule_changed(Author::Fleet, None, &record);
        AlertRules::create(&self.memory, &record, version, &change).await.unwrap();
        record
    }

    /// Adds a subscription to packages of all vehicles for a time, in seconds from now.
    pub(crate) async fn subscribe(&mut self, packages: &[&str], from_s: i64, until_s: Option<i64>) {
        let number = u128::try_from(self.subscriptions.len() + 1).unwrap();
        let at = |seconds: i64| self.clock.now().plus_ms(seconds * 1000);
        let subscription = Subscription {
            subscription_id: SubscriptionId::from_random_bits(number),
            packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
            validity: Validity { valid_from: at(from_s), valid_until: until_s.map(at) },
            ..self.subscription.clone()
        };
        fixtures::store_subscription(&self.memory, &subscription).await;
        self.subscriptions.push(subscription);
    }

    pub(crate) fn owner(&self) -> RuleOwner {
        RuleOwner::Fleet(self.fleet_id.clone())
    }

    /// A new instance of the evaluator, whose ports fail by `plan`.
    pub(crate) fn instance(&mut self, plan: &impl Fn(u64) -> FaultPlan) -> Evaluator {
        self.instances += 1;
        let clock = || self.clock.clone();
        let failing = |n| Faulty::new(self.memory.clone(), plan(n));
        let log = |n| SegmentedLog { items: Faulty::new(self.items.clone(), plan(n)) };
        let parts = EvaluatorParts {
            validator: EventValidator {
                subjects: CachedSubjects::new(failing(1), clock()),
                schemas: CachedSchemas::new(failing(2), clock()),
            },
            owners: RuleOwners {
                entitlements: CachedEntitlements::new(failing(3), clock()),
                rules: CachedAlertRules::new(failing(4), clock()),
                vehicles: CachedVehicles::new(failing(5), clock()),
                clock: clock(),
            },
            publisher: AlertPublisher { log: log(6), bus: failing(7), stream: failing(8), secrets: failing(9) },
            shards: ShardReader { evaluations: failing(10), stream: failing(11), log: log(12) },
            checkpoints: failing(13),
            log: log(14),
            clock: clock(),
        };
        AlertEvaluator::new(format!("instance {}", self.instances), parts)
    }

    /// Puts an event with samples, each with its time and the speed, as the vehicle states it.
    pub(crate) fn upload(&self, vehicle: usize, id: &str, samples: &[(Timestamp, f64)]) {
        let sample = |(at, speed): &(Timestamp, f64)| json!({"at": at, "signals": {"Vehicle.Speed": speed}});
        self.upload_samples(vehicle, id, &samples.iter().map(sample).collect::<Vec<_>>());
    }

    /// Puts an event with samples.
    pub(crate) fn upload_samples(&self, vehicle: usize, id: &str, samples: &[serde_json::Value]) {
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": "test",
            "type": "roadcast.telemetry.v1",
            "subject": self.vids[vehicle],
            "time": samples[0]["at"],
            "data": {"samples": samples},
        });
        self.memory.stream().put_bytes(self.vids[vehicle].as_str(), event.to_string().as_bytes());
    }

    /// Erases a vehicle from all stores, as both passes do.
    pub(crate) async fn erase(&self, vehicle: usize) {
        let (vid, memory) = (&self.vids[vehicle], self.memory.clone());
        let stored = Vehicles::get(&memory, vid).await.unwrap().unwrap();
        let erasure = MemoryErasure { memory, items: self.items.clone(), bulk: MemoryBulk::default() };
        erasure.hide(&stored, self.clock.now()).await.unwrap();
        let scope = ErasureScope::new([vid.clone()], Vec::new(), stored.created_at);
        for store in ErasedStore::ALL {
            let mut next: Option<String> = None;
            loop {
                next = erasure.erase(store, &scope, next.as_deref()).await.unwrap().next;
                if next.is_none() {
                    break;
                }
            }
        }
    }

    /// Returns what the evaluator has stored about a vehicle: alerts in the log, checkpoints and watched evaluations.
    pub(crate) fn stored_of(&self, vehicle: usize) -> Vec<String> {
        let vid = &self.vids[vehicle];
        let events = self.items.all().into_iter().flat_map(|item| item.events().unwrap());
        let alerts = events.filter(|stored| stored.event.vid == *vid && matches!(stored.event.body, Body::Alert(_)));
        let checkpoints = self.memory.checkpoint_revisions().into_keys().filter(|key| key.vid == *vid);
        let watched = self.memory.watched_evaluations().into_iter().filter(|(_, key)| key.vid == *vid);
        let alerts = alerts.map(|alert| format!("alert {}", alert.event.eid));
        let checkpoints = checkpoints.map(|key| format!("checkpoint {key:?}"));
        alerts.chain(checkpoints).chain(watched.map(|of| format!("watched {of:?}"))).collect()
    }

    pub(crate) async fn tick(&self) {
        self.memory.stream().tick(TICK.as_bytes()).await.unwrap();
    }

    /// Gives each shard's next batch to an instance. Returns the outcomes.
    pub(crate) async fn poll(&mut self, evaluator: &Evaluator) -> Vec<EvaluationOutcome> {
        let outcomes = std::cell::RefCell::new(Vec::new());
        let handler = async |records: Vec<ShardRecord>| -> Result<BatchResponse, Infallible> {
            let records: Vec<Record> = records.into_iter().map(record).collect();
            let outcome = evaluator.evaluate_batch(&records).await;
            let response = match outcome.retry_from {
                Some(index) => BatchResponse::failed_from(records[index].raw.sequence_number.clone()),
                None => BatchResponse::success(),
            };
            assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
            outcomes.borrow_mut().push(outcome);
            Ok(response)
        };
        self.mapping.poll(&handler).await;
        self.take_published();
        outcomes.into_inner()
    }

    /// All records of the stream.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.memory.stream().records().into_iter().map(record).collect()
    }

    /// Evaluates all that is on the stream.
    pub(crate) async fn evaluate_all(&mut self, evaluator: &Evaluator) {
        while self.mapping.backlog() > 0 {
            if self.poll(evaluator).await.is_empty() {
                let due = self.mapping.next_due().unwrap();
                self.clock.set(due.max(self.clock.now()));
            }
        }
    }

    /// Processes all that is on the stream: afterwards the log has it.
    pub(crate) async fn process(&mut self) {
        let processor = &self.processor;
        let handler = async |records: Vec<ShardRecord>| -> Result<BatchResponse, Infallible> {
            let records: Vec<Record> = records.into_iter().map(record).collect();
            let outcome = processor.process_batch(&records).await;
            assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
            Ok(BatchResponse::success())
        };
        while self.processing.poll(&handler).await > 0 {}
        self.take_published();
    }

    /// Ends a history: a last tick, and everything is evaluated and stored. Returns the time of the tick.
    pub(crate) async fn finish(&mut self, evaluator: &Evaluator) -> Timestamp {
        self.clock.advance_ms(1000);
        let end = self.clock.now();
        self.tick().await;
        self.evaluate_all(evaluator).await;
        self.process().await;
        end
    }

    fn take_published(&mut self) {
        for entry in self.memory.take_published().into_iter().filter(|entry| entry.lane == Lane::Alerts) {
            for json in entry.events {
                for mut event in bus_entry::decode(&json).unwrap().events {
                    // Whether a message is late depends on how the records are divided into batches. Nothing else does.
                    if let Body::Alert(alert) = &mut event.body {
                        alert.late = false;
                    }
                    if let Some(before) = self.published.insert(event.eid, event.clone()) {
                        assert_eq!(before, event, "an alert that is published again is the same");
                    }
                }
            }
        }
    }

    /// All messages that were published, by id.
    pub(crate) fn messages(&self) -> Vec<Alert> {
        self.published.values().map(alert_of).collect()
    }
}

/// Runs a history of a property test.
pub(crate) fn block_on<T>(history: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(history)
}

/// The alert of an event.
pub(crate) fn alert_of(event: &Event) -> Alert {
    match &event.body {
        Body::Alert(alert) => (**alert).clone(),
        _ => panic!("not an alert"),
    }
}

fn vehicle(vid: &VehicleId, now: Timestamp) -> Vehicle {
    let details = VehicleDetails {
        external_ids: vec![roadcast_domain::external_id::ExternalId::new("test", vid.as_str()).unwrap()],
        make: Some("Renault".to_owned()),
        ..VehicleDetails::default()
    };
    Vehicle { vid: vid.clone(), details, version: 1, owner: None, retired_at: None, created_at: now, updated_at: now }
}

fn processor(memory: &Memory, items: &MemoryItems, clock: &ManualClock) -> StreamProcessor<InMemory> {
    let (memory, clock) = (|| memory.clone(), || clock.clone());
    StreamProcessor {
        archive: memory(),
        quarantine: memory(),
        validator: EventValidator {
            subjects: CachedSubjects::new(memory(), clock()),
            schemas: CachedSchemas::new(memory(), clock()),
        },
        alerts: AlertReader { secrets: memory() },
        publisher: Publisher { entitlements: CachedEntitlements::new(memory(), clock()), bus: memory(), clock: clock() },
        store: EventStore { state: memory(), log: SegmentedLog { items: items.clone() }, recent: RecentEvents::default() },
        clock: clock(),
    }
}

fn record(record: ShardRecord) -> Record {
    let ShardRecord { shard, sequence_number, partition_key, arrived_at, data } = record;
    Record { shard, raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into() }
}
