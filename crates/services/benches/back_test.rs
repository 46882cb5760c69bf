//! Measures back-tests through the use case, from a log in memory.
//!
//! A vehicle sends eight signals at 1 Hz for a day, in events of a minute. Each of ten back-tests evaluates one rule on it, so that the
//! log is read ten times.
//!
//! With the argument `report`, prints a line for each measure: its name, a tab, and the seconds of CPU time; otherwise, criterion
//! measures.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::Criterion;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, Eid, VehicleId};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::alerts::back_tester::BackTester;
use roadcast_services::alerts::back_tests::{BackTestManagement, BackTestRequest};
use roadcast_services::authz::{Admin, Proof as _, RuleManager};
use roadcast_services::cache::CachedEntitlements;
use roadcast_signals::{Sample, SignalPath, Value};
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryItems, SeededRandomness};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::runtime::Runtime;

const DAY_S: i64 = 24 * 60 * 60;
const RULES: u32 = 10;
/// How often each measure is taken for a report.
const REPORTED_RUNS: u32 = 5;
const SIGNALS: [&str; 8] = [
    "Vehicle.Speed",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.OBD.ThrottlePosition",
    "Vehicle.OBD.EngineLoad",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.CurrentLocation.Altitude",
    "Vehicle.TraveledDistance",
];

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

/// The event of a minute.
fn event(start: Timestamp, minute: i64) -> StoredEvent {
    let sample = |second: i64| {
        let value = |index: usize| {
            Value::Number(
                20.0 + f64::from(u32::try_from((second + 7 * minute) % 40).unwrap())
                    + f64::from(u32::try_from(index).unwrap()),
            )
        };
        let signals = SIGNALS.iter().enumerate().map(|(index, path)| (SignalPath::parse(path).unwrap(), value(index)));
        Sample { at: start.plus_ms(1000 * (60 * minute + second)), signals: signals.collect() }
    };
    let samples: Vec<Sample> = (0..60).map(sample).collect();
    let at = samples[0].at;
    let origin = Origin { source: "urn:bench".to_owned(), id: minute.to_string(), extensions: [].into() };
    let eid = Eid::for_event(&vid(), &origin.source, &origin.id, at);
    let body = Body::Telemetry(Telemetry { samples: samples.into_iter().collect() });
    StoredEvent { event: Event { eid, vid: vid(), received: at.plus_ms(61_000), body }, origin }
}

struct Scene {
    memory: Memory,
    management: BackTestManagement<InMemory>,
    tester: BackTester<InMemory>,
    manager: RuleManager,
    start: Timestamp,
}

impl Scene {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let (memory, log) = (Memory::new(clock.clone()), SegmentedLog { items: MemoryItems::default() });
        let start = clock.now();
        let details =
            VehicleDetails { external_ids: vec![ExternalId::new("bus", "1").unwrap()], ..VehicleDetails::default() };
        let (created_at, updated_at) = (start, start);
        let vehicle = Vehicle { vid: vid(), details, version: 1, owner: None, retired_at: None, created_at, updated_at };
        memory.register(&vehicle).await.unwrap();
        let events: Vec<StoredEvent> = (0..DAY_S / 60).map(|minute| event(start, minute)).collect();
        log.append(&events).await.into_iter().collect::<Result<(), _>>().unwrap();
        clock.advance_ms((DAY_S + 120) * 1000);
        let entitlements = || CachedEntitlements::new(memory.clone(), clock.clone());
        let management = BackTestManagement {
            back_tests: memory.clone(),
            queue: memory.clone(),
            rules: memory.clone(),
            fleets: memory.clone(),
            vehicles: memory.clone(),
            entitlements: entitlements(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(1),
        };
        let tester = BackTester {
            back_tests: memory.clone(),
            queue: memory.clone(),
            log,
            vehicles: memory.clone(),
            entitlements: entitlements(),
            clock,
            randomness: SeededRandomness::new(2),
        };
        let manager = Admin::prove(&Caller::Admin(ClientId::new("bench"))).unwrap().into();
        Self { memory, management, tester, manager, start }
    }

    /// Runs a back-test of one rule. Returns the number of alerts.
    async fn run(&self, limit: u32) -> usize {
        let condition = json!({"threshold": {"signal": "Vehicle.Speed", "above": 50 + limit, "hysteresis": 5}, "forS": 2});
        let rule = json!({"name": "x", "severity": "info", "condition": condition, "cooldownS": 3600});
        let body = json!({"rule": rule, "vehicles": [vid()], "from": self.start.to_string()}).to_string();
        let started = self.management.start(&self.manager, BackTestRequest::parse(&body).unwrap()).await.unwrap();
        while let Some(task) = self.memory.take_back_test_task() {
            self.tester.run(&task, 60_000).await.unwrap();
        }
        let found = self.management.get(&self.manager, &started.back_test_id).await.unwrap().raised;
        self.management.remove(&self.manager, &started.back_test_id).await.unwrap();
        found
    }
}

/// Returns the CPU time of this thread, which other processes hardly affect.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Runs this many back-tests of one rule each. Returns their CPU time.
fn run(runtime: &Runtime, scene: &Scene, rules: u32) -> Duration {
    let before = cpu_time();
    let raised: usize = (0..rules).map(|limit| runtime.block_on(scene.run(limit))).sum();
    let elapsed = cpu_time().saturating_sub(before);
    assert!(raised > 0, "the rules raise alerts");
    elapsed
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scene = runtime.block_on(Scene::new());
    let measures = [("one", 1), ("ten", RULES)];
    if std::env::args().any(|argument| argument == "report") {
        for (name, rules) in measures {
            run(&runtime, &scene, rules);
            let total: Duration = (0..REPORTED_RUNS).map(|_| run(&runtime, &scene, rules)).sum();
            println!("back_test/{name}\t{}", total.as_secs_f64() / f64::from(REPORTED_RUNS));
        }
        return;
    }
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("back-tests of a vehicle-day of 1 Hz");
    for (name, rules) in measures {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| run(&runtime, &scene, rules)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}
