//! What the evaluator does in single situations.

use roadcast_domain::Timestamp;
use roadcast_domain::alert::{AlertChange, RuleOwner};
use roadcast_domain::lane::Lane;
use roadcast_ports::alert_state::ShardEvaluations as _;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::alerts::evaluator::EvaluationCounts;
use roadcast_testbed::FaultPlan;
use serde_json::{Value, json};

use crate::fixture::EvaluationFixture;

const SHARD: &str = "shardId-000000000000";

fn healthy(_: u64) -> FaultPlan {
    FaultPlan::healthy()
}

fn fast() -> Value {
    let threshold = json!({"signal": "Vehicle.Speed", "above": 70, "hysteresis": 10});
    json!({"name": "Fast", "severity": "warning", "condition": {"threshold": threshold}})
}

fn silent(after_s: u32) -> Value {
    json!({"name": "Silent", "severity": "warning", "condition": {"noData": {"afterS": after_s}}})
}

/// Uploads a sample of now.
fn drive(world: &EvaluationFixture, vehicle: usize, id: &str, speed: f64) -> Timestamp {
    let now = world.clock.now();
    world.upload(vehicle, id, &[(now, speed)]);
    now
}

#[tokio::test]
async fn alert_is_stored_published_and_put_on_the_stream_at_once() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &fast()).await;
    let evaluator = world.instance(&healthy);
    let at = drive(&world, 0, "a", 80.0);
    let outcomes = world.poll(&evaluator).await;
    let counts = outcomes[0].counts;
    assert_eq!((outcomes[0].retry_from, counts.alerts, counts.raised, counts.withdrawn, counts.late), (None, 1, 1, 0, 0));
    let messages = world.messages();
    assert_eq!((messages.len(), messages[0].change, messages[0].at), (1, AlertChange::Raised, at));
    assert_eq!(world.memory.stream().records().len(), 2, "the sample and the alert");
    // The record of the alert raises nothing, and the stream processor finds the alert stored.
    world.evaluate_all(&evaluator).await;
    world.process().await;
    assert_eq!(world.messages().len(), 1);
    assert_eq!(world.memory.checkpoint_revisions().into_values().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn samples_without_a_transition_write_nothing() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &fast()).await;
    let evaluator = world.instance(&healthy);
    for n in 0..50 {
        world.clock.advance_ms(10_000);
        drive(&world, 0, &n.to_string(), 50.0);
        world.poll(&evaluator).await;
    }
    assert_eq!(world.memory.checkpoint_revisions().len(), 0);
    assert_eq!(world.memory.stream().records().len(), 50);
}

#[tokio::test]
async fn stack_without_rules_reads_no_shard() {
    let mut world = EvaluationFixture::new(1, 1).await;
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "a", 80.0);
    assert_eq!(world.poll(&evaluator).await[0].counts, EvaluationCounts::default());
    assert_eq!(world.memory.instance(SHARD).await.unwrap(), None);
}

#[tokio::test]
async fn rule_is_silent_within_five_seconds_of_a_revocation() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &fast()).await;
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "a", 50.0);
    world.poll(&evaluator).await;
    world.memory.narrow_grants(&world.subscription, &world.vids, None).await.unwrap();
    world.clock.advance_ms(5_000);
    drive(&world, 0, "b", 80.0);
    world.poll(&evaluator).await;
    assert_eq!(world.messages(), []);
}

#[tokio::test]
async fn alert_of_the_operator_has_its_own_entry() {
    let mut world = EvaluationFixture::new(2, 1).await;
    world.rule(&RuleOwner::Operator, 1, &fast()).await;
    let evaluator = world.instance(&healthy);
    for vehicle in 0..2 {
        drive(&world, vehicle, "a", 80.0);
    }
    evaluator.evaluate_batch(&world.records()).await;
    let entries = world.memory.take_published();
    assert_eq!(entries.iter().map(|entry| (entry.lane, entry.events.len())).collect::<Vec<_>>(), [(Lane::Alerts, 1); 2]);
}

#[tokio::test]
async fn backlog_of_records_is_no_silence() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &silent(60)).await;
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "a", 50.0);
    world.evaluate_all(&evaluator).await;
    // Nothing is evaluated for ten minutes, in which the vehicle drives.
    for n in 0..60 {
        world.clock.advance_ms(10_000);
        drive(&world, 0, &n.to_string(), 50.0);
        if n % 6 == 0 {
            world.tick().await;
        }
    }
    world.evaluate_all(&evaluator).await;
    assert_eq!(world.messages(), []);
}

#[tokio::test]
async fn silence_is_raised_at_its_deadline_and_watched_until_then() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &silent(120)).await;
    let evaluator = world.instance(&healthy);
    let last = drive(&world, 0, "a", 50.0);
    world.poll(&evaluator).await;
    let watched = async |world: &EvaluationFixture| world.memory.watched(SHARD, None, 10).await.unwrap().len();
    assert_eq!(watched(&world).await, 1);
    for _ in 0..2 {
        world.clock.advance_ms(60_000);
        world.tick().await;
        world.evaluate_all(&evaluator).await;
    }
    let messages = world.messages();
    assert_eq!((messages.len(), messages[0].at, &messages[0].cause), (1, last.plus_ms(120_000), &None));
    assert_eq!(watched(&world).await, 0, "nothing more happens without data");
}

#[tokio::test]
async fn new_instance_finds_the_vehicles_that_fell_silent() {
    let mut world = EvaluationFixture::new(2, 1).await;
    world.rule(&world.owner(), 1, &silent(1800)).await;
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "a", 50.0);
    world.evaluate_all(&evaluator).await;
    world.process().await;
    drop(evaluator);
    let evaluator = world.instance(&healthy);
    for _ in 0..31 {
        world.clock.advance_ms(60_000);
        world.tick().await;
        world.evaluate_all(&evaluator).await;
    }
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn restored_instance_publishes_nothing_again_and_withdraws_nothing() {
    let mut world = EvaluationFixture::new(1, 1).await;
    let rule = world.rule(&world.owner(), 1, &fast()).await;
    let evaluator = world.instance(&healthy);
    for (n, speed) in [50.0, 80.0, 50.0, 90.0].into_iter().enumerate() {
        world.clock.advance_ms(40_000);
        drive(&world, 0, &n.to_string(), speed);
        world.evaluate_all(&evaluator).await;
    }
    let before = world.messages();
    assert_eq!(before.len(), 3, "raised, cleared, raised");
    // The log has nothing yet.
    let evaluator = world.instance(&healthy);
    world.clock.advance_ms(10_000);
    drive(&world, 0, "next", 90.0);
    let restored = world.poll(&evaluator).await;
    assert_eq!(restored[0].counts.restored, 1);
    assert!(restored[0].counts.read_again >= 4, "{:?}", restored[0].counts);
    assert_eq!(world.messages(), before);
    world.process().await;
    assert_eq!(world.present(), world.back_test(&[rule], world.clock.now()).await);
}

#[tokio::test]
async fn batch_that_was_given_up_is_read_again() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &fast()).await;
    let failing = FaultPlan::healthy();
    let evaluator = world.instance(&|port| if port == 7 { failing.clone() } else { FaultPlan::healthy() });
    drive(&world, 0, "a", 50.0);
    world.poll(&evaluator).await;
    let broken = FaultPlan::always(roadcast_testbed::Fault::Unavailable);
    let stubborn = world.instance(&|port| if port == 7 { broken.clone() } else { FaultPlan::healthy() });
    world.clock.advance_ms(10_000);
    drive(&world, 0, "b", 80.0);
    let outcomes = world.poll(&stubborn).await;
    assert_eq!(outcomes[0].retry_from, Some(0));
    assert_eq!(world.messages(), []);
    broken.heal();
    world.clock.advance_ms(10_000);
    world.evaluate_all(&stubborn).await;
    assert_eq!(world.messages().len(), 1);
}

/// Rules of both owners, and a vehicle of which each of them has stored a checkpoint.
async fn watched_vehicles() -> EvaluationFixture {
    let world = EvaluationFixture::new(2, 1).await;
    for (number, owner) in [(1, RuleOwner::Operator), (2, world.owner())] {
        world.rule(&owner, number, &fast()).await;
        world.rule(&owner, number + 2, &silent(600)).await;
    }
    for vehicle in 0..2 {
        drive(&world, vehicle, "a", 80.0);
    }
    world
}

#[tokio::test]
async fn erased_vehicle_in_memory_is_forgotten_after_the_next_batch() {
    let mut world = watched_vehicles().await;
    let evaluator = world.instance(&healthy);
    world.evaluate_all(&evaluator).await;
    world.process().await;
    assert_eq!(world.stored_of(0).len(), 6, "an alert, a checkpoint and a watched evaluation of each owner");
    assert_eq!(evaluator.vehicles().await.len(), 2);

    world.erase(0).await;
    assert_eq!(world.stored_of(0), Vec::<String>::new());
    world.clock.advance_ms(60_000);
    world.tick().await;
    world.evaluate_all(&evaluator).await;
    assert_eq!(evaluator.vehicles().await, [world.vids[1].clone()].into());
    // What the vehicle sent before, and sends now, is dropped.
    drive(&world, 0, "b", 30.0);
    world.evaluate_all(&evaluator).await;
    evaluator.evaluate_batch(&world.records()).await;
    assert_eq!((evaluator.vehicles().await.len(), world.stored_of(0)), (1, vec![]));
    assert_eq!(world.stored_of(1).len(), 6, "the other vehicle keeps what it had");
}

#[tokio::test]
async fn silence_of_an_erased_vehicle_raises_nothing() {
    let mut world = watched_vehicles().await;
    let evaluator = world.instance(&healthy);
    world.evaluate_all(&evaluator).await;
    world.process().await;
    let before = world.messages().len();
    world.erase(0).await;
    // The first batch after the erasure brings the deadline of both vehicles.
    world.clock.advance_ms(11 * 60_000);
    world.tick().await;
    world.evaluate_all(&evaluator).await;
    assert_eq!(world.messages().len(), before + 2, "one of each owner about the vehicle that stays");
    assert_eq!(world.stored_of(0), Vec::<String>::new());

    // A new instance finds nothing of it either.
    drop(evaluator);
    let evaluator = world.instance(&healthy);
    world.clock.advance_ms(60_000);
    world.tick().await;
    world.evaluate_all(&evaluator).await;
    assert_eq!(world.stored_of(0), Vec::<String>::new());
    assert!(!evaluator.vehicles().await.contains(&world.vids[0]));
}

#[tokio::test]
async fn alert_that_could_not_be_published_is_dropped_with_its_erased_vehicle() {
    let mut world = watched_vehicles().await;
    let broken = FaultPlan::always(roadcast_testbed::Fault::Unavailable);
    let evaluator = world.instance(&|port| if port == 7 { broken.clone() } else { FaultPlan::healthy() });
    let outcomes = world.poll(&evaluator).await;
    assert_eq!((outcomes[0].retry_from, world.messages().len()), (Some(0), 0));
    assert!(!world.stored_of(0).is_empty(), "the alert is in the log");
    world.erase(0).await;
    broken.heal();
    world.evaluate_all(&evaluator).await;
    assert_eq!(world.messages().len(), 2, "of the other vehicle");
    assert_eq!((world.stored_of(0), evaluator.vehicles().await.len()), (vec![], 1));
}

/// The checkpoint of a raised alert is kept until it is cleared, also if silence raised it.
#[tokio::test]
async fn silence_of_a_month_is_cleared_by_another_instance() {
    let mut world = EvaluationFixture::new(1, 1).await;
    world.rule(&world.owner(), 1, &silent(60)).await;
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "a", 50.0);
    world.evaluate_all(&evaluator).await;
    world.clock.advance_ms(120_000);
    world.tick().await;
    world.evaluate_all(&evaluator).await;
    world.process().await;
    world.clock.advance_ms(30 * 24 * 60 * 60 * 1000);
    let evaluator = world.instance(&healthy);
    drive(&world, 0, "b", 50.0);
    world.evaluate_all(&evaluator).await;
    let changes: Vec<AlertChange> = world.messages().iter().map(|alert| alert.change).collect();
    assert_eq!(changes, [AlertChange::Raised, AlertChange::Cleared]);
}
