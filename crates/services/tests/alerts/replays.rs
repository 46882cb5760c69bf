//! Recordings of real vehicles, replayed through the evaluator: in order, and delayed within the allowed lateness and delivered twice.

use std::collections::BTreeMap;

use roadcast_alerts::limits::ALLOWED_LATENESS_MS;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{AlertChange, RuleOwner, TransitionKind};
use roadcast_domain::ids::RuleId;
use roadcast_ports::clock::Clock as _;
use roadcast_signals::Sample;
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::drives::{self, events_of};
use crate::fixture::{EvaluationFixture, Present};
use crate::recordings;

/// Records after which the evaluator and the stream processor get what has arrived.
const EVALUATED_EVERY: usize = 50;
const PROCESSED_EVERY: usize = 300;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Time between the end of an event and its record.
const SENT_AFTER_MS: i64 = 1000;
/// Time until a record is sent again.
const REPEATED_AFTER_MS: i64 = 90_000;

/// How a recording arrives.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Arrival {
    InOrder,
    DelayedAndTwice,
}

/// A record of a vehicle.
struct Sent {
    vehicle: usize,
    id: usize,
    samples: Vec<Sample>,
    arrives: Timestamp,
}

/// Returns the records of all vehicles in the order of their arrival.
fn records(vehicles: &[Vec<Sample>], arrival: Arrival) -> Vec<Sent> {
    let mut records = Vec::new();
    for (vehicle, samples) in vehicles.iter().enumerate() {
        for (id, samples) in events_of(samples).into_iter().enumerate() {
            let end = samples[samples.len() - 1].at;
            let sent = |arrives| Sent { vehicle, id, samples: samples.clone(), arrives };
            if arrival == Arrival::InOrder {
                records.push(sent(end.plus_ms(SENT_AFTER_MS)));
                continue;
            }
            // The oldest sample is within the allowed lateness, also the second time.
            let most_ms = ALLOWED_LATENESS_MS - end.ms_since(samples[0].at) - SENT_AFTER_MS - REPEATED_AFTER_MS;
            let delay_ms = i64::try_from(id.wrapping_mul(0x9E37_79B9)).unwrap().rem_euclid(most_ms);
            records.push(sent(end.plus_ms(SENT_AFTER_MS + delay_ms)));
            records.push(sent(end.plus_ms(SENT_AFTER_MS + delay_ms + REPEATED_AFTER_MS)));
        }
    }
    records.sort_by_key(|sent| (sent.arrives, sent.vehicle, sent.id));
    records
}

/// Replays a recording with rules of the operator. Returns what is published and not withdrawn, and what a back-test of the log gives.
async fn replay(
    vehicles: &[Vec<Sample>],
    conditions: &[serde_json::Value],
    arrival: Arrival,
) -> (EvaluationFixture, Present, Present) {
    let records = records(vehicles, arrival);
    let start = vehicles.iter().flatten().map(|sample| sample.at).min().unwrap().plus_ms(-1000);
    let mut world = EvaluationFixture::starting_at(start, vehicles.len() as u128, 1).await;
    let mut rules = Vec::new();
    for (number, condition) in (1..).zip(conditions) {
        let rule = json!({"name": "A rule", "severity": "info", "condition": condition});
        // The operator sees every signal, as the back-test of the fixture does.
        rules.push(world.rule(&RuleOwner::Operator, number, &rule).await);
    }
    let evaluator = world.instance(&|_| FaultPlan::healthy());
    for (n, sent) in records.iter().enumerate() {
        // The stream keeps records for a day.
        if sent.arrives.ms_since(world.clock.now()) > HOUR_MS {
            world.evaluate_all(&evaluator).await;
            world.process().await;
            // Time passes each minute, also without records. Whatever it raises is raised by now.
            world.clock.advance_ms(HOUR_MS - 1000);
            world.tick().await;
            world.evaluate_all(&evaluator).await;
            world.process().await;
        }
        world.clock.set(sent.arrives);
        let vid = &world.vids[sent.vehicle];
        let event = json!({
            "specversion": "1.0", "id": sent.id.to_string(), "source": "recording", "type": "roadcast.telemetry.v1",
            "subject": vid, "time": sent.samples[0].at, "data": {"samples": sent.samples},
        });
        world.memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
        if n % EVALUATED_EVERY == 0 {
            world.evaluate_all(&evaluator).await;
        }
        if n % PROCESSED_EVERY == 0 {
            world.process().await;
        }
    }
    world.evaluate_all(&evaluator).await;
    let end = world.finish(&evaluator).await;
    let (present, expected) = (world.present(), world.back_test(&rules, end).await);
    (world, present, expected)
}

async fn check_agreement(name: &str, most_vehicles: usize, conditions: &[serde_json::Value], min_raised: usize) {
    let Some(recorded) = recordings::read(name) else { return };
    let vehicles = &recorded.vehicles[..recorded.vehicles.len().min(most_vehicles)];
    let (_, in_order, back_test) = replay(vehicles, conditions, Arrival::InOrder).await;
    assert_same(&in_order, &back_test);
    let (_, delayed, back_test_of_delayed) = replay(vehicles, conditions, Arrival::DelayedAndTwice).await;
    assert_same(&delayed, &back_test_of_delayed);
    let of_samples = |present: &Present| -> Present {
        // Where the recording ends differs by the delay of the last records.
        present.iter().filter(|(_, _, at)| *at <= last_sample(vehicles)).copied().collect()
    };
    assert_same(&of_samples(&delayed), &of_samples(&in_order));
    let raised = in_order.iter().filter(|(_, kind, _)| *kind == TransitionKind::Raised).count();
    println!("{name}: {raised} alerts of {} vehicles", vehicles.len());
    assert!(raised >= min_raised, "{raised}");
}

/// Fails with what differs.
fn assert_same(found: &Present, expected: &Present) {
    let (more, less): (Vec<_>, Vec<_>) = (found.difference(expected).collect(), expected.difference(found).collect());
    assert!(more.is_empty() && less.is_empty(), "published only: {more:?}, expected only: {less:?}");
}

fn last_sample(vehicles: &[Vec<Sample>]) -> Timestamp {
    vehicles.iter().flatten().map(|sample| sample.at).max().unwrap()
}

#[tokio::test]
async fn replay_of_trips_gives_the_alerts_of_a_back_test() {
    check_agreement("envirocar", usize::MAX, &drives::trip_conditions(), 50).await;
}

#[tokio::test]
async fn replay_of_the_charge_of_a_twizy_gives_the_alerts_of_a_back_test() {
    check_agreement("twizy", usize::MAX, &drives::charge_conditions(), 20).await;
}

#[tokio::test]
async fn replay_of_buses_through_geofences_gives_the_alerts_of_a_back_test() {
    check_agreement("capmetro", 60, &drives::geofence_conditions(), 100).await;
}

#[tokio::test]
async fn bus_that_crosses_ten_fences_raises_one_alert_for_each() {
    let Some(recorded) = recordings::read("capmetro") else { return };
    let (trip, fences) = drives::trip_with_fences(&recorded.vehicles);
    for arrival in [Arrival::InOrder, Arrival::DelayedAndTwice] {
        let (world, present, _) = replay(std::slice::from_ref(&trip), &fences, arrival).await;
        let raised = present.iter().filter(|(_, kind, _)| *kind == TransitionKind::Raised).count();
        assert_eq!(raised, 10, "{arrival:?}");
        let mut by_rule: BTreeMap<RuleId, usize> = BTreeMap::new();
        for alert in world.messages().iter().filter(|alert| alert.change == AlertChange::Raised) {
            *by_rule.entry(alert.rule.rule_id.clone()).or_default() += 1;
        }
        assert_eq!(by_rule.len(), 10, "one of each fence");
        if arrival == Arrival::InOrder {
            assert!(by_rule.values().all(|messages| *messages == 1), "{by_rule:?}");
        }
    }
}
