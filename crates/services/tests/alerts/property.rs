//! Whatever the order of arrival, the faults and the instances: what is published and not withdrawn is what a back-test gives.

use proptest::prelude::*;
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{EvaluationFixture, Evaluator, block_on};

/// An event with one sample, and what happens after it was put.
#[derive(Clone, Debug)]
struct Sent {
    vehicle: usize,
    /// Seconds since the event before.
    after_s: i64,
    /// How late it arrives, in seconds.
    delay_s: i64,
    speed: f64,
    is_repeated: bool,
    then: Vec<Step>,
}

#[derive(Copy, Clone, Debug)]
enum Step {
    /// The evaluator gets a batch of each shard.
    Poll,
    /// Another instance gets the next batches.
    Switch,
    /// The instance ends, and a new one gets the next batches.
    Restart,
    /// The log gets all that is on the stream.
    Process,
    /// A minute of silence.
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => Just(Step::Poll), 2 => Just(Step::Switch), 1 => Just(Step::Restart), 3 => Just(Step::Process), 1 => Just(Step::Tick)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let delay = prop_oneof![4 => Just(0_i64), 2 => 0_i64..60, 1 => 0_i64..600];
    let speed = prop_oneof![Just(20.0), Just(65.0), Just(75.0), Just(90.0)];
    (0_usize..3, 1_i64..90, delay, speed, prop::bool::weighted(0.2), prop::collection::vec(step(), 0..3)).prop_map(
        |(vehicle, after_s, delay_s, speed, is_repeated, then)| Sent { vehicle, after_s, delay_s, speed, is_repeated, then },
    )
}

fn rules() -> [serde_json::Value; 3] {
    let threshold = |above: f64| json!({"signal": "Vehicle.Speed", "above": above, "hysteresis": 10.0});
    let rule = |name: &str, condition: serde_json::Value, cooldown_s: u32| json!({"name": name, "severity": "warning", "condition": condition, "cooldownS": cooldown_s});
    [
        rule("Fast", json!({"threshold": threshold(70.0)}), 60),
        rule("Fast for long", json!({"threshold": threshold(60.0), "forS": 90}), 120),
        rule("Silent", json!({"noData": {"afterS": 120}}), 60),
    ]
}

async fn run(history: &[Sent], shards: usize, faults: impl Fn(u64) -> FaultPlan) -> Result<(), TestCaseError> {
    let mut world = EvaluationFixture::new(3, shards).await;
    let mut records = Vec::new();
    for (number, rule) in (1..).zip(rules()) {
        records.push(world.rule(&world.owner(), number, &rule).await);
    }
    let mut instances: Vec<Evaluator> = vec![world.instance(&faults), world.instance(&faults)];
    let mut current = 0;
    for (n, sent) in history.iter().enumerate() {
        world.clock.advance_ms(sent.after_s * 1000);
        // Of a vehicle, all times differ.
        let at = world.clock.now().plus_ms(-sent.delay_s * 1000 + i64::try_from(n).unwrap());
        for _ in 0..=usize::from(sent.is_repeated) {
            world.upload(sent.vehicle, &n.to_string(), &[(at, sent.speed)]);
        }
        for step in &sent.then {
            match step {
                Step::Poll => drop(world.poll(&instances[current]).await),
                Step::Switch => current = 1 - current,
                Step::Restart => instances[current] = world.instance(&faults),
                Step::Process => world.process().await,
                Step::Tick => {
                    world.clock.advance_ms(60_000);
                    world.tick().await;
                }
            }
        }
    }
    // Whatever failed is retried by an instance without faults, which has missed everything so far.
    let healthy = world.instance(&|_| FaultPlan::healthy());
    let end = world.finish(&healthy).await;
    let expected = world.back_test(&records, end).await;
    prop_assert_eq!(world.present(), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn published_alerts_are_those_of_a_back_test(
        history in prop::collection::vec(sent(), 1..60),
        shards in 1_usize..3,
    ) {
        block_on(run(&history, shards, |_| FaultPlan::healthy()))?;
    }

    #[test]
    fn faults_do_not_change_what_is_published(
        history in prop::collection::vec(sent(), 1..40),
        shards in 1_usize..3,
        seed in any::<u64>(),
    ) {
        let faults = |port| FaultPlan::seeded(seed.wrapping_add(port), 8);
        block_on(run(&history, shards, faults))?;
    }
}

/// An instance takes the shard back, and another one has stored a checkpoint in between.
#[test]
fn conflict_while_time_passes_does_not_lose_a_silence() {
    let sent = |vehicle, after_s, speed, then: &[Step]| {
        let then = then.to_vec();
        Sent { vehicle, after_s, delay_s: 0, speed, is_repeated: false, then }
    };
    let history = [
        sent(1, 1, 65.0, &[]),
        sent(2, 75, 20.0, &[]),
        sent(1, 15, 65.0, &[Step::Poll, Step::Switch]),
        sent(0, 46, 20.0, &[Step::Poll]),
        sent(0, 77, 20.0, &[Step::Switch]),
        sent(0, 28, 20.0, &[Step::Process, Step::Poll]),
    ];
    block_on(run(&history, 1, |_| FaultPlan::healthy())).unwrap();
}
