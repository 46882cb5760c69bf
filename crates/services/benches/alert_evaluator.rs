//! The evaluation of alert rules on the stream, through the use case, in CPU time.
//!
//! A batch has 500 records: 100 vehicles, each with five uploads of ten samples of twelve signals, as blocks. Ten rules concern each
//! vehicle. In all there are a thousand rules of two fleets, or a million of 2,000 fleets, each with 500 rules for 50 vehicles. With a
//! million rules, each vehicle of the batch is of another fleet. All ports are in memory; rules are generated when they are read.
//!
//! With the argument `report`, prints a line for each measure: its name, a tab, and samples per second; for `benches/run`.

#![allow(clippy::expect_used, clippy::cast_possible_wrap, clippy::cast_precision_loss, missing_docs)]

#[allow(dead_code)] // this measure uses a part of it
#[path = "stream_handler/workload.rs"]
mod workload;

use std::time::Duration;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::Change;
use roadcast_domain::ids::{ChangeId, FleetId, RuleId, VehicleId};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::PortError;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::alerts::evaluator::{
    AlertEvaluator, AlertPublisher, EvaluationCounts, EvaluatorParts, RuleOwners, ShardReader,
};
use roadcast_services::cache::{CachedAlertRules, CachedEntitlements, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::EventValidator;
use roadcast_signals::Timestamp;
use roadcast_testbed::{ManualClock, Memory, MemoryItems, fixtures, port_set};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use workload::{BATCH_MS, Form, SAMPLES_PER_BATCH, START_MS, VEHICLES, batch, vid};

/// That of the function. `.cargo/config.toml` has the setting that the template has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULES_PER_VEHICLE: usize = 10;
const VEHICLES_PER_FLEET: usize = 50;
/// The first batch restores the evaluations.
const WARM_UP: usize = 2;
const BATCHES: usize = 12;

/// The fleets, and which vehicles of the batch belong to each.
#[derive(Copy, Clone, Debug)]
struct Population {
    fleets: usize,
}

const THOUSAND: Population = Population { fleets: 2 };
const MILLION: Population = Population { fleets: 2000 };

impl Population {
    const fn rules(self) -> usize {
        self.fleets * VEHICLES_PER_FLEET * RULES_PER_VEHICLE
    }

    /// Returns the fleet of a vehicle of the batch. They are distributed over all fleets.
    fn fleet_of(self, vehicle: usize) -> usize {
        vehicle * self.fleets / VEHICLES
    }

    /// Returns the vehicles of a fleet: those of the batch, and others that send nothing.
    fn vehicles(self, fleet: usize) -> Vec<VehicleId> {
        let of_batch = (0..VEHICLES).filter(|vehicle| self.fleet_of(*vehicle) == fleet);
        let silent = (1..).map(|n| vid(VEHICLES * n + 1_000_000 * fleet));
        of_batch.map(vid).chain(silent).take(VEHICLES_PER_FLEET).collect()
    }
}

fn fleet_id(fleet: usize) -> FleetId {
    FleetId::from_random_bits(fleet as u128 + 1)
}

/// The rules of all fleets, generated when they are read.
#[derive(Clone, Debug)]
struct GeneratedRules(Population);

impl AlertRules for GeneratedRules {
    async fn list(&self, owner: &RuleOwner) -> Result<Vec<AlertRuleRecord>, PortError> {
        let found = (0..self.0.fleets).find(|fleet| RuleOwner::Fleet(fleet_id(*fleet)) == *owner);
        let Some(fleet) = found else { return Ok(Vec::new()) };
        let start = Timestamp::from_ms(START_MS);
        let vehicles = self.0.vehicles(fleet).into_iter().enumerate();
        let rules =
            vehicles.flat_map(|(n, vid)| conditions().into_iter().enumerate().map(move |rule| (n, vid.clone(), rule)));
        let record = |(n, vid, (index, condition)): (usize, VehicleId, (usize, Value))| {
            let rule = json!({
                "name": "A rule", "severity": "info", "scope": {"vehicles": [vid]}, "condition": condition, "cooldownS": 60,
            });
            AlertRuleRecord {
                owner: owner.clone(),
                rule_id: RuleId::from_random_bits((n * RULES_PER_VEHICLE + index + 1) as u128),
                version: 1,
                enabled: true,
                active_from: start,
                created_at: start,
                updated_at: start,
                definition: rule.to_string(),
            }
        };
        Ok(rules.map(record).collect())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(1)
    }

    async fn owner_version(&self, _: &RuleOwner) -> Result<u64, PortError> {
        Ok(1)
    }

    async fn create(&self, _: &AlertRuleRecord, _: u64, _: &Change) -> Result<(), PortError> {
        unreachable!("nothing changes rules")
    }

    async fn get(&self, _: &RuleOwner, _: &RuleId) -> Result<Option<AlertRuleRecord>, PortError> {
        unreachable!("the evaluator lists rules")
    }

    async fn replace(&self, _: &AlertRuleRecord, _: u64, _: &Change) -> Result<(), PortError> {
        unreachable!("nothing changes rules")
    }

    async fn remove(&self, _: &AlertRuleRecord, _: &Change) -> Result<(), PortError> {
        unreachable!("nothing changes rules")
    }

    async fn operator_changes(&self, _: Option<ChangeId>, _: usize) -> Result<Vec<Change>, PortError> {
        unreachable!("the evaluator reads no audit trail")
    }
}

/// Ten rules of different kinds, which are evaluated on each upload and rarely raise an alert.
fn conditions() -> [Value; RULES_PER_VEHICLE] {
    let ring: Vec<Value> = (0..=20)
        .map(|corner| {
            let angle = f64::from(corner % 20) / 20.0 * std::f64::consts::TAU;
            json!([7.2 + 0.2 * angle.cos(), 51.48 + 0.15 * angle.sin()])
        })
        .collect();
    let line: Vec<Value> = ring.iter().take(16).cloned().collect();
    [
        json!({"threshold": {"signal": "Vehicle.Speed", "above": 130, "hysteresis": 10}, "forS": 10}),
        json!({"threshold": {"signal": "Vehicle.OBD.CoolantTemperature", "above": 105, "hysteresis": 5}}),
        json!({"rate": {"signal": "Vehicle.OBD.CoolantTemperature", "above": 300, "per": "hour", "windowS": 600}}),
        json!({"harshBraking": {"aboveMps2": 9}}),
        json!({"geofence": {"event": "enter", "circle": {"center": [7.6, 51.5], "radiusM": 500}, "hysteresisM": 50}}),
        json!({"geofence": {"event": "leave", "polygon": [ring], "hysteresisM": 100}}),
        json!({"geofence": {"event": "dwell", "corridor": {"line": line, "widthM": 300}, "hysteresisM": 50}, "forS": 3600}),
        json!({"noData": {"afterS": 300}}),
        json!({"dtc": {"patterns": ["P0[3]xx", "P04xx"], "statuses": ["active"]}}),
        json!({"all": [
            {"threshold": {"signal": "Vehicle.OBD.EngineLoad", "above": 80, "hysteresis": 1}},
            {"any": [
                {"threshold": {"signal": "Vehicle.OBD.EngineSpeed", "above": 6000}},
                {"threshold": {"signal": "Vehicle.OBD.ThrottlePosition", "above": 95}},
            ]},
        ], "forS": 5}),
    ]
}

port_set! {
    enum BenchPorts {
        AlertRules = GeneratedRules;
    }
}

struct Scene {
    clock: ManualClock,
    evaluator: AlertEvaluator<BenchPorts>,
}

impl Scene {
    async fn new(population: Population) -> Self {
        let clock = ManualClock::at(Timestamp::from_ms(START_MS));
        // The shard of the records is the seventh.
        let memory = Memory::with_shards(clock.clone(), 7);
        for n in 0..VEHICLES {
            register(&memory, &vid(n)).await;
        }
        for fleet in 0..population.fleets {
            let of_batch = (0..VEHICLES).filter(|vehicle| population.fleet_of(*vehicle) == fleet).map(vid).collect();
            subscribe(&memory, &fleet_id(fleet), of_batch).await;
        }
        let m = || memory.clone();
        let k = || clock.clone();
        let items = MemoryItems::default();
        let log = || SegmentedLog { items: items.clone() };
        let parts = EvaluatorParts::<BenchPorts> {
            validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
            owners: RuleOwners {
                entitlements: CachedEntitlements::new(m(), k()),
                rules: CachedAlertRules::new(GeneratedRules(population), k()),
                vehicles: CachedVehicles::new(m(), k()),
                clock: k(),
            },
            publisher: AlertPublisher { log: log(), bus: m(), stream: m(), secrets: m() },
            shards: ShardReader { evaluations: m(), stream: m(), log: log() },
            checkpoints: m(),
            log: log(),
            clock: k(),
        };
        Self { evaluator: AlertEvaluator::new("bench".to_owned(), parts), clock }
    }
}

async fn register(memory: &Memory, vid: &VehicleId) {
    let (created_at, updated_at) = (Timestamp::from_ms(0), Timestamp::from_ms(0));
    let details = VehicleDetails::default();
    let vehicle = Vehicle { vid: vid.clone(), details, version: 1, owner: None, retired_at: None, created_at, updated_at };
    memory.register(&vehicle).await.expect("a vehicle");
}

async fn subscribe(memory: &Memory, fleet_id: &FleetId, vehicles: Vec<VehicleId>) {
    let start = Timestamp::from_ms(0);
    let packages = ["alerts", "diagnostics", "telematics", "track-and-trace"];
    fixtures::store_subscription(memory, &fixtures::subscription(1, fleet_id, vehicles, &packages, start)).await;
}

/// The CPU time of the evaluation, and with the event of the mapping.
struct Times {
    evaluation: Duration,
    with_event: Duration,
    restored: Duration,
    counts: EvaluationCounts,
}

fn measure(runtime: &Runtime, population: Population, batches: usize) -> Times {
    let scene = runtime.block_on(Scene::new(population));
    let mut times = Times {
        evaluation: Duration::ZERO,
        with_event: Duration::ZERO,
        restored: Duration::ZERO,
        counts: EvaluationCounts::default(),
    };
    let payloads: Vec<Vec<u8>> = (0..WARM_UP + batches).map(|n| batch(Form::Blocks, n)).collect();
    for (n, payload) in payloads.iter().enumerate() {
        scene.clock.advance_ms(BATCH_MS);
        let before = cpu_time();
        let event: KinesisEvent = serde_json::from_slice(payload).expect("an event");
        let records = event.into_batch(scene.clock.now()).records;
        let decoded = cpu_time();
        let outcome = runtime.block_on(scene.evaluator.evaluate_batch(&records));
        let evaluated = cpu_time();
        assert_eq!((outcome.retry_from, outcome.counts.samples), (None, SAMPLES_PER_BATCH), "{:?}", outcome.failures);
        assert_eq!(outcome.counts.restored, if n == 0 { VEHICLES } else { 0 }, "evaluations stay in memory");
        match n {
            0 => times.restored = evaluated.saturating_sub(decoded),
            n if n >= WARM_UP => {
                times.evaluation += evaluated.saturating_sub(decoded);
                times.with_event += evaluated.saturating_sub(before);
                times.counts = outcome.counts;
            }
            _ => {}
        }
    }
    times
}

/// Returns the CPU time of this thread, which other processes hardly affect.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a positive time")
}

/// Returns the peak memory of the process in MiB (`VmHWM`).
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
    let batches = value("batches").and_then(|batches| batches.parse().ok()).unwrap_or(BATCHES);
    let is_report = arguments.iter().any(|argument| argument == "report");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let samples = (SAMPLES_PER_BATCH * batches) as f64;
    for (name, population) in [("thousand", THOUSAND), ("million", MILLION)] {
        let times = measure(&runtime, population, batches);
        let (evaluation, with_event) = (samples / times.evaluation.as_secs_f64(), samples / times.with_event.as_secs_f64());
        if is_report {
            println!("evaluator/{name}\t{evaluation}");
            println!("evaluator/{name}/event\t{with_event}");
        } else {
            println!(
                "{:>9} rules: {:.3} M samples/s, {:.3} with the event of the mapping; the first batch, which restores {VEHICLES} \
                 evaluations: {:.2} s; peak memory {} MiB; {:?}",
                population.rules(),
                evaluation / 1e6,
                with_event / 1e6,
                times.restored.as_secs_f64(),
                peak_mib(),
                times.counts,
            );
        }
    }
}
