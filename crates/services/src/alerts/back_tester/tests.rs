use std::sync::Arc;

use std::collections::BTreeSet;

use roadcast_alerts::{BackTest as Evaluation, RuleSet, RuleVersion};
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, Eid, FleetId, VehicleId};
use roadcast_domain::subscription::{Subscription, Validity};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::alerts::BackTests;
use roadcast_ports::erasure::VehicleErasure as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_ports::vehicles::Vehicles;
use roadcast_signals::{Sample, SignalPath, Value};
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryBulk, MemoryErasure, MemoryItems, SeededRandomness, fixtures};
use serde_json::json;

use super::*;
use crate::alerts::back_tests::{BackTestManagement, BackTestRequest, BackTestResult};
use crate::authz::{Admin, Manager, Proof as _, RuleManager};

const MINUTE_MS: i64 = 60_000;
/// The events of a history, one a minute: several reads of the log.
const EVENTS: i64 = 900;
/// An alert is raised every twenty minutes.
const RAISED: usize = 45;

struct Fixture {
    memory: Memory,
    clock: ManualClock,
    log: SegmentedLog<MemoryItems>,
    management: BackTestManagement<InMemory>,
    tester: BackTester<InMemory>,
    fleet_id: FleetId,
    start: Timestamp,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let start = clock.now();
        let memory = Memory::new(clock.clone());
        let log = SegmentedLog { items: MemoryItems::default() };
        let fleet_id = FleetId::from_random_bits(1);
        fixtures::store_fleet(&memory, &fleet_id, start).await;
        let entitlements = || CachedEntitlements::new(memory.clone(), clock.clone());
        let management = BackTestManagement {
            back_tests: memory.clone(),
            queue: memory.clone(),
            rules: memory.clone(),
            fleets: memory.clone(),
            vehicles: memory.clone(),
            entitlements: entitlements(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(3),
        };
        let tester = BackTester {
            back_tests: memory.clone(),
            queue: memory.clone(),
            log: log.clone(),
            vehicles: memory.clone(),
            entitlements: entitlements(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(4),
        };
        let fixture = Self { memory, clock, log, management, tester, fleet_id, start };
        for number in [1, 2] {
            fixture.register(number).await;
        }
        fixture.clock.advance_ms((EVENTS + 1) * MINUTE_MS);
        fixture
    }

    /// Registers a vehicle with a history.
    async fn register(&self, number: u128) {
        let details = VehicleDetails {
            external_ids: vec![ExternalId::new("bus", &number.to_string()).unwrap()],
            ..VehicleDetails::default()
        };
        let vehicle = Vehicle {
            vid: vid(number),
            details,
            version: 1,
            owner: None,
            retired_at: None,
            created_at: self.start,
            updated_at: self.start,
        };
        self.memory.register(&vehicle).await.unwrap();
        let stored: Vec<StoredEvent> = (0..EVENTS).map(|minute| self.event(number, minute)).collect();
        self.log.append(&stored).await.into_iter().collect::<Result<(), _>>().unwrap();
    }

    fn event(&self, number: u128, minute: i64) -> StoredEvent {
        let at = self.start.plus_ms(minute * MINUTE_MS);
        let speed = if minute % 20 < 5 { 130.0 } else { 50.0 };
        let signals = [(SignalPath::parse("Vehicle.Speed").unwrap(), Value::Number(speed))].into_iter().collect();
        let origin = Origin { source: "urn:test".to_owned(), id: minute.to_string(), extensions: [].into() };
        let eid = Eid::for_event(&vid(number), &origin.source, &origin.id, at);
        let body = Body::Telemetry(Telemetry { samples: [Sample { at, signals }].into() });
        StoredEvent { event: Event { eid, vid: vid(number), received: at.plus_ms(500), body }, origin }
    }

    /// Entitles the fleet to a vehicle.
    async fn subscribe(&self, number: u128) -> Subscription {
        let packages = ["telematics", "alerts"];
        let subscription = fixtures::subscription(number, &self.fleet_id, vec![vid(number)], &packages, self.start);
        fixtures::store_subscription(&self.memory, &subscription).await;
        subscription
    }

    fn fleet(&self) -> RuleManager {
        Manager::prove(&Caller::Fleet(self.fleet_id.clone())).unwrap().of_fleet(&self.fleet_id).unwrap().into()
    }

    async fn start(&self, manager: &RuleManager, vehicles: &[u128]) -> BackTest {
        let vids: Vec<VehicleId> = vehicles.iter().map(|number| vid(*number)).collect();
        let body = json!({"rule": rule(), "vehicles": vids, "from": self.start.to_string()}).to_string();
        self.management.start(manager, BackTestRequest::parse(&body).unwrap()).await.unwrap()
    }

    /// Evaluates slices of this time until there is no task. Returns how many.
    async fn work(&self, time_ms: i64) -> usize {
        let mut slices = 0;
        while let Some(task) = self.memory.take_back_test_task() {
            self.tester.run(&task, time_ms).await.unwrap();
            slices += 1;
        }
        slices
    }

    async fn result(&self, manager: &RuleManager, back_test: &BackTest) -> BackTestResult {
        self.management.get(manager, &back_test.back_test_id).await.unwrap()
    }

    /// The alerts about a vehicle by the evaluation without a use case.
    fn expected(&self, number: u128, back_test: &BackTest) -> Vec<BackTestAlert> {
        let version = RuleVersion {
            owner: back_test.owner.clone(),
            rule_id: back_test.rule_id.clone(),
            version: back_test.version,
            active_from: back_test.from,
            rule: Arc::new(serde_json::from_value(rule()).unwrap()),
        };
        let rules = RuleSet::new([version]).for_vehicle(&vid(number), &[].into());
        let mut evaluation = Evaluation::new(&rules);
        let events = (0..EVENTS).filter_map(|minute| rules.select(&self.event(number, minute).event, |_| true, true));
        evaluation.push(events);
        let transitions = evaluation.finish(back_test.until.plus_ms(-1));
        let alerts = transitions.into_iter().filter_map(|transition| rules.alert(&vid(number), transition));
        alerts.map(|alert| BackTestAlert { vid: vid(number), alert }).collect()
    }
}

fn operator() -> RuleManager {
    Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap().into()
}

fn vid(number: u128) -> VehicleId {
    VehicleId::from_random_bits(number)
}

fn rule() -> serde_json::Value {
    json!({"name": "Too fast", "severity": "warning", "condition": {"threshold": {"signal": "Vehicle.Speed", "above": 120}}})
}

#[tokio::test]
async fn result_is_that_of_the_evaluation_however_it_is_divided() {
    let fixture = Fixture::new().await;
    fixture.subscribe(1).await;
    fixture.subscribe(2).await;
    for (manager, owner) in
        [(fixture.fleet(), RuleOwner::Fleet(fixture.fleet_id.clone())), (operator(), RuleOwner::Operator)]
    {
        let mut results = Vec::new();
        for (time_ms, least_slices) in [(60_000, 1), (0, 5)] {
            let back_test = fixture.start(&manager, &[1, 2]).await;
            assert_eq!(back_test.owner, owner);
            let slices = fixture.work(time_ms).await;
            assert!(slices >= least_slices, "{slices} slices");
            let result = fixture.result(&manager, &back_test).await;
            assert_eq!((result.back_test.state, result.back_test.progress.vehicles), (BackTestState::Finished, 2));
            let expected: Vec<_> = [1, 2].iter().flat_map(|number| fixture.expected(*number, &back_test)).collect();
            assert_eq!(result.alerts, expected);
            assert_eq!((result.raised, result.is_truncated), (2 * RAISED, false));
            results.push(result.alerts.len());
        }
        assert_eq!(results[0], results[1]);
    }
}

#[tokio::test]
async fn repeated_tasks_have_one_effect() {
    let fixture = Fixture::new().await;
    fixture.subscribe(1).await;
    let manager = fixture.fleet();
    let back_test = fixture.start(&manager, &[1]).await;
    // The message of each slice is delivered three times, the last time when the next slice is evaluated.
    let mut earlier = None;
    while let Some(task) = fixture.memory.take_back_test_task() {
        for task in [Some(&task), earlier.as_ref(), Some(&task)].into_iter().flatten() {
            fixture.tester.run(task, 0).await.unwrap();
        }
        earlier = Some(task);
    }
    let result = fixture.result(&manager, &back_test).await;
    assert_eq!(result.alerts, fixture.expected(1, &back_test));
}

#[tokio::test]
async fn vehicle_of_others_is_like_one_that_does_not_exist() {
    let fixture = Fixture::new().await;
    fixture.subscribe(1).await;
    let manager = fixture.fleet();
    let mut results = Vec::new();
    for number in [2, 99] {
        let back_test = fixture.start(&manager, &[number]).await;
        assert_eq!(fixture.work(0).await, 1);
        let result = fixture.result(&manager, &back_test).await;
        results.push((result.back_test.state, result.back_test.progress, result.raised, result.alerts));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].2, 0);
}

#[tokio::test]
async fn revoked_data_is_neither_shown_nor_counted() {
    let fixture = Fixture::new().await;
    let subscription = fixture.subscribe(1).await;
    fixture.subscribe(2).await;
    let manager = fixture.fleet();
    let finished = fixture.start(&manager, &[1, 2]).await;
    fixture.work(60_000).await;
    let running = fixture.start(&manager, &[1, 2]).await;
    fixture.memory.narrow_grants(&subscription, &[vid(1)], None).await.unwrap();
    fixture.clock.advance_ms(5_001);
    fixture.work(60_000).await;
    for back_test in [finished, running] {
        let result = fixture.result(&manager, &back_test).await;
        assert_eq!(result.raised, RAISED, "only the other vehicle");
        let vehicles: BTreeSet<_> = result.alerts.iter().map(|alert| alert.vid.clone()).collect();
        assert_eq!(vehicles, [vid(2)].into());
    }
}

#[tokio::test]
async fn operator_sees_no_alert_of_an_erased_vehicle() {
    let fixture = Fixture::new().await;
    let finished = fixture.start(&operator(), &[1, 2]).await;
    fixture.work(60_000).await;
    assert_eq!(fixture.result(&operator(), &finished).await.raised, 2 * RAISED);
    let erased = Vehicles::get(&fixture.memory, &vid(1)).await.unwrap().unwrap();
    let (memory, items, bulk) = (fixture.memory.clone(), fixture.log.items.clone(), MemoryBulk::default());
    MemoryErasure { memory, items, bulk }.hide(&erased, fixture.clock.now()).await.unwrap();
    let result = fixture.result(&operator(), &finished).await;
    let vehicles: BTreeSet<_> = result.alerts.iter().map(|alert| alert.vid.clone()).collect();
    assert_eq!((result.raised, vehicles), (RAISED, [vid(2)].into()));
}

#[tokio::test]
async fn data_received_before_the_entitlement_raises_nothing() {
    let fixture = Fixture::new().await;
    let half = fixture.start.plus_ms(EVENTS / 2 * MINUTE_MS);
    let subscription = fixture.subscribe(1).await;
    let validity = Validity { valid_from: half, valid_until: None };
    fixture.memory.write_grants(&Subscription { validity, ..subscription }).await.unwrap();
    fixture.clock.advance_ms(5_001);
    let back_test = fixture.start(&fixture.fleet(), &[1]).await;
    fixture.work(60_000).await;
    let result = fixture.result(&fixture.fleet(), &back_test).await;
    assert!(result.raised > 0 && result.alerts.iter().all(|found| found.received() >= half));
    assert!(result.raised < RAISED);
}

#[tokio::test]
async fn cancelled_back_test_is_not_evaluated() {
    let fixture = Fixture::new().await;
    fixture.subscribe(1).await;
    let manager = fixture.fleet();
    let back_test = fixture.start(&manager, &[1]).await;
    let first = fixture.memory.take_back_test_task().unwrap();
    fixture.tester.run(&first, 0).await.unwrap();
    fixture.management.remove(&manager, &back_test.back_test_id).await.unwrap();
    assert_eq!(fixture.work(0).await, 1, "the next slice finds nothing, and is the last one");
    let gone = fixture.management.get(&manager, &back_test.back_test_id).await;
    assert!(matches!(gone, Err(ServiceError::NotFound)));
    assert!(matches!(fixture.management.remove(&manager, &back_test.back_test_id).await, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn evaluation_ends_at_the_limit_of_alerts() {
    let fixture = Fixture::new().await;
    let stored = fixture.start(&operator(), &[1]).await;
    let taken = BackTest::MAX_ALERTS - 10;
    let progress = roadcast_domain::back_test::BackTestProgress { alerts: taken, ..stored.progress.clone() };
    BackTests::replace(&fixture.memory, &BackTest { progress, ..stored.clone() }).await.unwrap();
    fixture.work(60_000).await;
    let result = fixture.result(&operator(), &stored).await;
    assert_eq!((result.alerts.len(), result.is_truncated), (10, true));
    assert_eq!((result.back_test.state, result.back_test.progress.vehicles), (BackTestState::Finished, 0));
}

#[tokio::test]
async fn owner_has_a_limited_number_of_back_tests() {
    let fixture = Fixture::new().await;
    let manager = fixture.fleet();
    for _ in 0..BackTest::MAX_PER_OWNER {
        fixture.start(&manager, &[1]).await;
    }
    let body = json!({"rule": rule(), "vehicles": [vid(1)]}).to_string();
    let refused = fixture.management.start(&manager, BackTestRequest::parse(&body).unwrap()).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    fixture.start(&operator(), &[1]).await;
    let failed = fixture.memory.take_back_test_task().unwrap();
    fixture.tester.fail(&failed).await.unwrap();
    let shown = fixture.management.list(&manager).await.unwrap();
    assert_eq!(shown.iter().filter(|back_test| back_test.state == BackTestState::Failed).count(), 1);
}

#[tokio::test]
async fn vehicles_are_those_of_the_rule_or_of_the_fleet_by_default() {
    let fixture = Fixture::new().await;
    fixture.subscribe(2).await;
    let start = async |manager: &RuleManager, rule: serde_json::Value| {
        let request = BackTestRequest::parse(&json!({ "rule": rule }).to_string()).unwrap();
        fixture.management.start(manager, request).await.map(|back_test| back_test.vehicles)
    };
    assert_eq!(start(&fixture.fleet(), rule()).await.unwrap(), [vid(2)]);
    let mut scoped = rule();
    scoped["scope"] = json!({"vehicles": [vid(7)]});
    assert_eq!(start(&fixture.fleet(), scoped.clone()).await.unwrap(), [vid(7)]);
    assert_eq!(start(&operator(), scoped).await.unwrap(), [vid(7)]);
    assert!(matches!(start(&operator(), rule()).await, Err(ServiceError::Invalid(_))));
}
