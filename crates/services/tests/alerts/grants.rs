//! Grants that begin and expire: a rule is evaluated on what its fleet may see at that moment, by the time it was received.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{Alert, AlertChange};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::FaultPlan;
use serde_json::{Value, json};

use crate::fixture::{EvaluationFixture, Evaluator, alert_of, block_on};

const SPEED: &str = "Vehicle.Speed";
const ALTITUDE: &str = "Vehicle.CurrentLocation.Altitude";
/// The package with the altitude. That with the speed is always granted.
const POSITIONS: &str = "track-and-trace";

fn healthy(_: u64) -> FaultPlan {
    FaultPlan::healthy()
}

fn rule(name: &str, condition: &Value) -> Value {
    json!({"name": name, "severity": "warning", "condition": condition})
}

fn above(signal: &str, limit: f64) -> Value {
    json!({"threshold": {"signal": signal, "above": limit}})
}

/// Uploads a sample of now.
fn send(world: &EvaluationFixture, id: &str, signals: &[(&str, f64)]) -> Timestamp {
    let now = world.clock.now();
    let signals: BTreeMap<&str, f64> = signals.iter().copied().collect();
    world.upload_samples(0, id, &[json!({"at": now, "signals": signals})]);
    now
}

/// The messages about alerts of a rule that raise one.
fn raised(world: &EvaluationFixture, name: &str) -> Vec<Alert> {
    let is_raised = |alert: &Alert| alert.rule.name == name && alert.change == AlertChange::Raised;
    world.messages().into_iter().filter(is_raised).collect()
}

#[tokio::test]
async fn value_of_an_expired_grant_is_in_no_alert_of_a_later_one() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.subscribe(&[POSITIONS], 0, Some(1200)).await;
    world.subscribe(&[POSITIONS], 2500, None).await;
    let any = json!({"any": [above(SPEED, 125.0), above(ALTITUDE, 5000.0)]});
    let all = json!({"all": [above(SPEED, 100.0), above(ALTITUDE, 500.0)]});
    world.rule(&world.owner(), 1, &rule("any", &any)).await;
    world.rule(&world.owner(), 2, &rule("all", &all)).await;
    world.rule(&world.owner(), 3, &rule("speed", &above(SPEED, 60.0))).await;
    let mut evaluator = world.instance(&healthy);
    let high = send(&world, "a", &[(SPEED, 50.0), (ALTITUDE, 900.0)]);
    world.clock.advance_ms(10_000);
    send(&world, "b", &[(SPEED, 120.0)]);
    world.evaluate_all(&evaluator).await;
    assert_eq!(raised(&world, "all")[0].signals.iter().filter(|signal| signal.at == Some(high)).count(), 1);
    // Twenty minutes later, the checkpoint that is stored has the altitude.
    world.clock.advance_ms(1_150_000);
    send(&world, "c", &[(SPEED, 40.0)]);
    world.evaluate_all(&evaluator).await;
    world.process().await;
    for restarts in [false, true] {
        if restarts {
            evaluator = world.instance(&healthy);
        }
        world.clock.advance_ms(600_000);
        send(&world, &format!("expired {restarts}"), &[(SPEED, 110.0)]);
        world.evaluate_all(&evaluator).await;
        world.clock.advance_ms(100_000);
        send(&world, &format!("slow {restarts}"), &[(SPEED, 40.0)]);
        world.evaluate_all(&evaluator).await;
        world.process().await;
    }
    assert_eq!(raised(&world, "all").len(), 1, "not while the grant is expired");
    assert_eq!(raised(&world, "speed").len(), 3, "of a rule without the altitude");
    world.clock.advance_ms(10_000);
    let since = send(&world, "again", &[(SPEED, 140.0)]);
    world.evaluate_all(&evaluator).await;
    let any = raised(&world, "any");
    let altitudes = any.iter().flat_map(|alert| &alert.signals).filter(|signal| signal.path.as_str() == ALTITUDE);
    let known: Vec<Option<Timestamp>> = altitudes.map(|signal| signal.at).collect();
    assert_eq!((any.len(), known), (1, vec![None]), "raised without an altitude");
    assert_eq!(raised(&world, "all").len(), 1, "the altitude of the expired grant counts no more");
    world.clock.advance_ms(10_000);
    let at = send(&world, "high", &[(ALTITUDE, 900.0)]);
    world.evaluate_all(&evaluator).await;
    let all = raised(&world, "all");
    assert_eq!((all.len(), all.iter().map(|alert| alert.at).max()), (2, Some(at)));
    assert!(at > since);
}

/// A sample, and what happens after it was put.
#[derive(Clone, Debug)]
struct Sent {
    vehicle: usize,
    /// Seconds since the one before.
    after_s: i64,
    /// How late it arrives, in seconds.
    delay_s: i64,
    speed: Option<f64>,
    altitude: Option<f64>,
    then: Vec<Step>,
}

#[derive(Copy, Clone, Debug)]
enum Step {
    Poll,
    Restart,
    Process,
    Tick,
}

fn sent() -> impl Strategy<Value = Sent> {
    let delay = prop_oneof![4 => Just(0_i64), 1 => 0_i64..300];
    let speed = prop::option::weighted(0.7, prop::sample::select(vec![20.0, 65.0, 90.0]));
    let altitude = prop::option::weighted(0.5, prop::sample::select(vec![100.0, 700.0]));
    let step = prop_oneof![6 => Just(Step::Poll), 1 => Just(Step::Restart), 2 => Just(Step::Process), 1 => Just(Step::Tick)];
    (0_usize..2, 1_i64..120, delay, speed, altitude, prop::collection::vec(step, 0..3)).prop_map(
        |(vehicle, after_s, delay_s, speed, altitude, then)| {
            // Each sample has a signal.
            let speed = speed.or_else(|| altitude.is_none().then_some(20.0));
            Sent { vehicle, after_s, delay_s, speed, altitude, then }
        },
    )
}

/// Grants of the positions: each has a beginning and an end, in seconds.
fn grants(overlap: bool) -> impl Strategy<Value = Vec<(i64, Option<i64>)>> {
    // Alternately how long one lasts, and how long there is none before the next one.
    let apart = prop::collection::vec((0_i64..1500, 60_i64..1800), 1..5).prop_map(|spans| {
        let mut end = 0;
        let mut grant = |(gap, length): (i64, i64)| {
            let from = end + gap;
            end = from + length;
            (from, Some(end))
        };
        spans.into_iter().map(&mut grant).collect()
    });
    let any = prop::collection::vec((0_i64..3600, prop::option::of(60_i64..3000)), 1..5)
        .prop_map(|spans| spans.into_iter().map(|(from, length)| (from, length.map(|length| from + length))).collect());
    if overlap { any.boxed() } else { apart.boxed() }
}

fn rules() -> [Value; 5] {
    [
        rule("speed", &above(SPEED, 60.0)),
        rule("altitude", &above(ALTITUDE, 500.0)),
        rule("any", &json!({"any": [above(SPEED, 80.0), above(ALTITUDE, 500.0)]})),
        rule("all", &json!({"all": [above(SPEED, 60.0), above(ALTITUDE, 500.0)], "forS": 20})),
        rule("silent", &json!({"noData": {"afterS": 90, "signals": [ALTITUDE]}})),
    ]
}

/// Checks that messages that raise or clear state only values that the fleet saw when they were published.
fn check_values(world: &EvaluationFixture, new: &[Event], received: &BTreeMap<(VehicleId, Timestamp), Timestamp>) {
    let (packages, now) = (Packages::built_in(), world.clock.now());
    for event in new {
        let alert = alert_of(event);
        if alert.change == AlertChange::Withdrawn {
            continue;
        }
        for signal in &alert.signals {
            let Some(at) = signal.at else { continue };
            let received = received[&(event.vid.clone(), at)];
            let entitlement = world.entitlement(&event.vid);
            let coverage = entitlement.coverage(&packages, received, now);
            assert!(coverage.contains_signal(signal.path.as_str()), "{alert:?} at {now}, received {received}");
        }
    }
}

async fn run(history: &[Sent], grants: &[(i64, Option<i64>)], compare: bool) -> Result<(), TestCaseError> {
    let mut world = EvaluationFixture::new(2, 1).await;
    for (from, until) in grants {
        world.subscribe(&[POSITIONS], *from, *until).await;
    }
    let mut records = Vec::new();
    for (number, rule) in (1..).zip(rules()) {
        records.push(world.rule(&world.owner(), number, &rule).await);
    }
    let mut evaluator: Evaluator = world.instance(&healthy);
    let mut received = BTreeMap::new();
    let mut known: Vec<Eid> = Vec::new();
    let mut processed = world.clock.now();
    for (n, sent) in history.iter().enumerate() {
        world.clock.advance_ms(sent.after_s * 1000);
        // All times differ.
        let at = world.clock.now().plus_ms(-sent.delay_s * 1000 + i64::try_from(n).unwrap());
        let signals: BTreeMap<&str, f64> = [(SPEED, sent.speed), (ALTITUDE, sent.altitude)]
            .into_iter()
            .filter_map(|(path, value)| Some((path, value?)))
            .collect();
        world.upload_samples(sent.vehicle, &n.to_string(), &[json!({"at": at, "signals": signals})]);
        let now = world.clock.now();
        received.insert((world.vids[sent.vehicle].clone(), at.min(now)), now);
        for step in &sent.then {
            match step {
                Step::Poll => drop(world.poll(&evaluator).await),
                Step::Restart => evaluator = world.instance(&healthy),
                Step::Process => processed = now,
                Step::Tick => {
                    world.clock.advance_ms(60_000);
                    world.tick().await;
                }
            }
            // The log is a few minutes behind at most.
            if processed == now || now.ms_since(processed) > 120_000 {
                world.process().await;
                processed = now;
            }
            let new = |world: &EvaluationFixture| {
                let published = world.published().iter().filter(|(eid, _)| !known.contains(*eid));
                published.map(|(_, event)| event.clone()).collect::<Vec<_>>()
            };
            let new = new(&world);
            check_values(&world, &new, &received);
            known.extend(new.iter().map(|event| event.eid));
        }
    }
    let end = world.finish(&evaluator).await;
    if compare {
        let expected = world.visible_back_test(&records, end).await;
        prop_assert_eq!(world.visible(), expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn visible_alerts_are_those_of_a_back_test(history in prop::collection::vec(sent(), 1..60), grants in grants(false)) {
        block_on(run(&history, &grants, true))?;
    }

    #[test]
    fn alerts_state_only_what_the_fleet_saw(history in prop::collection::vec(sent(), 1..60), grants in grants(true)) {
        block_on(run(&history, &grants, false))?;
    }
}
