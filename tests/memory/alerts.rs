//! The functions of alerts: the evaluator and the evaluation of back-tests, 512 MiB each, the API, 256 MiB, and notices, 128 MiB.

use std::sync::Arc;

use roadcast_alert_notifier::NoticeMessages;
use roadcast_alerts_api::AlertsApi;
use roadcast_codec::bus_entry;
use roadcast_domain::alert::{Alert, AlertRule, RuleOwner};
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestProgress, BackTestState};
use roadcast_domain::ids::{BackTestId, RuleId, VehicleId};
use roadcast_domain::lane::Lane;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::metrics::Metrics;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_ports::alerts::{AlertRules, BackTests};
use roadcast_ports::archive::RawRecord;
use roadcast_ports::bus::Batch;
use roadcast_ports::clock::Clock as _;
use roadcast_services::alerts::back_tester::BackTester;
use roadcast_services::alerts::back_tests::BackTestManagement;
use roadcast_services::alerts::evaluator::{AlertEvaluator, AlertPublisher, EvaluatorParts, RuleOwners, ShardReader};
use roadcast_services::alerts::notifier::AlertNotifier;
use roadcast_services::alerts::rules::AlertRuleManagement;
use roadcast_services::cache::{CachedAlertRules, CachedEntitlements, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{EventValidator, Record};
use roadcast_testbed::{InMemory, MemoryQueue, SeededRandomness, ShardRecord, fixtures};
use serde_json::{Value as Json, json};

use crate::fixture::{Fixture, at, numbers, samples};
use crate::peak::{MIB, assert_peak, peak};
use crate::request::Request;
use crate::stream::{batch_event, hostile_records};

const EVALUATION_BOUND: usize = 384 * MIB;
const API_BOUND: usize = 64 * MIB;
const NOTICES_BOUND: usize = 16 * MIB;
/// The size up to which entries are filled.
const ENTRY_BYTES: usize = 64 * 1024;
/// Rules about the vehicle, which read 130 signals together.
const RULES_OF_VEHICLE: u128 = 20;

/// A rule whose conditions read many signals, so that the evaluation keeps their samples.
fn wide_rule(number: u128) -> Json {
    let paths: Vec<String> = numbers(130, 0).keys().map(ToString::to_string).collect();
    let start = usize::try_from(number).unwrap() * 32;
    let signals = (start..start + 31).map(|index| &paths[index % paths.len()]);
    let conditions: Vec<Json> =
        signals.map(|path| json!({"threshold": {"signal": path, "above": 50, "hysteresis": 1}})).collect();
    json!({"name": "n".repeat(128), "severity": "warning", "condition": {"any": conditions}})
}

/// Stores enabled rules of the operator, of which each reads 31 signals.
async fn store_rules(fixture: &Fixture, rules: u128) {
    let now = fixture.clock.now();
    for number in 0..rules {
        let record = AlertRuleRecord {
            owner: RuleOwner::Operator,
            rule_id: RuleId::from_random_bits(number),
            version: 1,
            enabled: true,
            active_from: at(-1000),
            created_at: now,
            updated_at: now,
            definition: wide_rule(number).to_string(),
        };
        let version = fixture.memory.owner_version(&record.owner).await.unwrap();
        let change = Change::alert_rule_changed(Author::Fleet, None, &record);
        AlertRules::create(&fixture.memory, &record, version, &change).await.unwrap();
    }
}

fn evaluator(fixture: &Fixture) -> AlertEvaluator<InMemory> {
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    let parts = EvaluatorParts {
        validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
        owners: RuleOwners {
            entitlements: CachedEntitlements::new(m(), k()),
            rules: CachedAlertRules::new(m(), k()),
            vehicles: CachedVehicles::new(m(), k()),
            clock: k(),
        },
        publisher: AlertPublisher { log: fixture.log(), bus: m(), stream: m(), secrets: m() },
        shards: ShardReader { evaluations: m(), stream: m(), log: fixture.log() },
        checkpoints: m(),
        log: fixture.log(),
        clock: k(),
    };
    AlertEvaluator::new("instance".to_owned(), parts)
}

/// Puts the hostile records onto the stream, as the vehicle. Returns them as a batch of the shard.
fn hostile_batch(fixture: &Fixture) -> Vec<Record> {
    for record in hostile_records(fixture) {
        fixture.memory.stream().put_bytes(fixture.vid.as_str(), &record.raw.data);
    }
    let record = |ShardRecord { shard, sequence_number, partition_key, arrived_at, data }: ShardRecord| Record {
        shard,
        raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into(),
    };
    fixture.memory.stream().records().into_iter().map(record).collect()
}

#[test]
fn evaluation_of_hostile_records_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    peak(store_rules(&fixture, RULES_OF_VEHICLE));
    let records = hostile_batch(&fixture);
    let first = evaluator(&fixture);
    let outcome = assert_peak("evaluation of hostile records", EVALUATION_BOUND, first.evaluate_batch(&records));
    assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
    assert!(outcome.counts.samples > 0, "{:?}", outcome.counts);
    let outcome = assert_peak("the same batch again", EVALUATION_BOUND, first.evaluate_batch(&records));
    assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
}

#[test]
fn restoration_of_an_evaluation_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    peak(store_rules(&fixture, RULES_OF_VEHICLE));
    let signals = numbers(130, 0);
    // A day of the log, of overlapping events of 500 samples each.
    peak(fixture.store((0..100).map(|n| samples(500, n % 1000, 590, |_| signals.clone()))));
    let records = hostile_batch(&fixture);
    let evaluator = evaluator(&fixture);
    let restored = evaluator.evaluate_batch(&records[..1]);
    let outcome = assert_peak("evaluation that is restored from the log", EVALUATION_BOUND, restored);
    assert_eq!((outcome.retry_from, outcome.counts.restored), (None, 1), "{:?}", outcome.failures);
}

/// A back-test of the operator about the vehicle.
fn back_test(fixture: &Fixture, number: u128) -> BackTest {
    let now = fixture.clock.now();
    BackTest {
        back_test_id: BackTestId::from_random_bits(number),
        owner: RuleOwner::Operator,
        rule_id: RuleId::from_random_bits(1),
        version: 1,
        definition: wide_rule(0).to_string(),
        vehicles: vec![fixture.vid.clone()],
        from: at(-1000),
        until: now,
        progress: BackTestProgress::default(),
        state: BackTestState::Running,
        revision: 1,
        created_at: now,
        updated_at: now,
    }
}

#[test]
fn back_test_on_hostile_events_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    // Each sample begins or ends a condition.
    let events = (0..100).map(|n| samples(500, n % 1000, 590, |sample| numbers(130, sample)));
    peak(fixture.store(events));
    let stored = back_test(&fixture, 1);
    peak(BackTests::create(&fixture.memory, &stored)).0.unwrap();
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    let tester = BackTester::<InMemory> {
        back_tests: m(),
        queue: m(),
        log: fixture.log(),
        vehicles: m(),
        entitlements: CachedEntitlements::new(m(), k()),
        clock: k(),
        randomness: SeededRandomness::new(1),
    };
    assert_peak("back-test on hostile events", EVALUATION_BOUND, tester.run(&stored.task(), 10_000)).unwrap();
    let found = peak(BackTests::get(&fixture.memory, &stored.owner, &stored.back_test_id)).0.unwrap().unwrap();
    assert_eq!(found.state, BackTestState::Finished);
}

fn api(fixture: &Fixture) -> AlertsApi<InMemory> {
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    AlertsApi {
        rules: AlertRuleManagement { rules: m(), fleets: m(), clock: k(), randomness: SeededRandomness::new(1) },
        back_tests: BackTestManagement {
            back_tests: m(),
            queue: m(),
            rules: m(),
            fleets: m(),
            vehicles: m(),
            entitlements: CachedEntitlements::new(m(), k()),
            clock: k(),
            randomness: SeededRandomness::new(2),
        },
    }
}

#[test]
fn lists_of_rules_and_their_changes_are_bounded() {
    let fixture = peak(Fixture::new()).0;
    // One less than an owner can have, in almost as many bytes.
    peak(store_rules(&fixture, AlertRuleRecord::MAX_PER_OWNER as u128 - 1));
    let api = api(&fixture);
    let list = Request::get("/alert-rules", json!({}), json!({})).send(&api, &fixture.middleware);
    let (status, bytes) = assert_peak("499 alert rules", API_BOUND, list);
    assert_eq!(status, 200);
    println!("in {bytes} bytes");
    let mut disabled = wide_rule(0);
    disabled["enabled"] = json!(false);
    let body = disabled.to_string();
    let create = Request { method: "POST", resource: "/alert-rules", path: json!({}), query: json!({}), body: &body };
    let (status, _) = assert_peak("one more rule", API_BOUND, create.send(&api, &fixture.middleware));
    assert_eq!(status, 201);
    let changes = Request::get("/alert-rules/audit", json!({}), json!({"limit": "100"}));
    let (status, _) = assert_peak("100 changes of rules", API_BOUND, changes.send(&api, &fixture.middleware));
    assert_eq!(status, 200);
}

#[test]
fn largest_result_of_a_back_test_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    let alert = fixtures::speed_alert(&fixture.vid, 0);
    let found = BackTestAlert { vid: fixture.vid.clone(), alert };
    let alert_bytes = serde_json::to_string(&found).unwrap().len();
    let alerts = BackTest::MAX_ALERTS.min(BackTest::MAX_ALERT_BYTES / alert_bytes);
    let per_page = BackTest::MAX_PAGE_BYTES / alert_bytes;
    let mut stored = BackTest { state: BackTestState::Finished, ..back_test(&fixture, 1) };
    let all = vec![found; alerts];
    for (number, page) in all.chunks(per_page).enumerate() {
        let name = format!("{number:06}");
        let store = fixture.memory.store_alerts(&stored.back_test_id, &name, page, stored.expires_at());
        peak(store).0.unwrap();
        stored.progress.pages.push(name);
    }
    peak(BackTests::create(&fixture.memory, &stored)).0.unwrap();
    let path = json!({ "backTestId": stored.back_test_id });
    let api = api(&fixture);
    let get = Request::get("/back-tests/{backTestId}", path, json!({})).send(&api, &fixture.middleware);
    let (status, bytes) = assert_peak("the largest result of a back-test", API_BOUND, get);
    println!("{alerts} alerts in {bytes} bytes");
    assert_eq!(status, 200);
}

/// An entry of the ingest bus that is filled with alerts of the operator.
fn entry_of_alerts(number: u128) -> Batch {
    let vid = VehicleId::from_random_bits(number);
    let mut entry = Batch { lane: Lane::Alerts, for_notices: true, events: Vec::new() };
    for second in 0.. {
        let alert = fixtures::speed_alert(&vid, second);
        let rule = AlertRule { name: "n".repeat(128), ..alert.rule.clone() };
        let event = Alert { rule, ..alert }.into_event(vid.clone()).event;
        let json = bus_entry::encode(&[&event], DeliveryFormat::Json, None).unwrap().remove(0).json;
        if roadcast_ports::bus::entry_bytes(&entry.events) + json.len() > ENTRY_BYTES {
            break;
        }
        entry.events.push(json);
    }
    entry
}

#[test]
fn notices_of_the_largest_entries_are_bounded() {
    let fixture = peak(Fixture::new()).0;
    let entries: Vec<Batch> = (1..=10).map(entry_of_alerts).collect();
    let event = batch_event(&entries);
    let (m, clock) = (|| fixture.memory.clone(), fixture.clock.clone());
    let notifier = AlertNotifier::<InMemory> { sent: m(), bus: m(), topic: m(), clock, stage: "test".to_owned() };
    let metrics = Arc::new(Metrics::new("alert-notifier", "test"));
    let notices = NoticeMessages::new(notifier, MemoryQueue::default(), SeededRandomness::new(4), metrics);
    let handled = async {
        let event: SqsEvent = serde_json::from_str(&event).unwrap();
        notices.handle(event, Deadline::default()).await.message_ids().count()
    };
    assert_eq!(assert_peak("ten entries of alerts of the operator", NOTICES_BOUND, handled), 0);
    let alerts: usize = entries.iter().map(|entry| entry.events.len()).sum();
    assert_eq!(fixture.memory.published_notices().len(), alerts, "each alert is sent");
}
