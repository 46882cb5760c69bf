//! Names that move between vehicles: an event ends at the vehicle that had its name when the event was received, or in
//! quarantine.

mod model;

use proptest::prelude::*;
use roadcast_domain::name_history::RELEASE_DELAY_MS;
use roadcast_testbed::{Fault, FaultPlan};

use model::MovingNames;

/// A step of a random history. The numbers select vehicles, names and processors.
#[derive(Clone, Debug)]
enum Step {
    Wait { ms: i64 },
    Register { name: usize },
    Take { vehicle: usize, name: usize },
    Release { name: usize, lag_ms: i64 },
    Retire { vehicle: usize, lag_ms: i64 },
    SendByName { name: usize, key: usize },
    SendById { vehicle: usize },
    UploadByName { name: usize },
    UploadById { vehicle: usize },
    Process { shard: usize, records: usize, processor: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (vehicle, name) = (0_usize..8, 0_usize..3);
    // A change is stored before its release takes effect.
    let lag_ms = prop_oneof![Just(0), 0..RELEASE_DELAY_MS];
    prop_oneof![
        4 => prop_oneof![0_i64..1_500, 1_500_i64..6_000, Just(4_999), Just(5_000)].prop_map(|ms| Step::Wait { ms }),
        1 => (300_000_i64..900_000).prop_map(|ms| Step::Wait { ms }),
        3 => name.clone().prop_map(|name| Step::Register { name }),
        1 => (vehicle.clone(), name.clone()).prop_map(|(vehicle, name)| Step::Take { vehicle, name }),
        2 => (name.clone(), lag_ms.clone()).prop_map(|(name, lag_ms)| Step::Release { name, lag_ms }),
        1 => (vehicle.clone(), lag_ms).prop_map(|(vehicle, lag_ms)| Step::Retire { vehicle, lag_ms }),
        6 => (name.clone(), 0_usize..4).prop_map(|(name, key)| Step::SendByName { name, key }),
        2 => vehicle.clone().prop_map(|vehicle| Step::SendById { vehicle }),
        4 => name.prop_map(|name| Step::UploadByName { name }),
        2 => vehicle.prop_map(|vehicle| Step::UploadById { vehicle }),
        5 => (0_usize..2, 1_usize..5, 0_usize..3)
            .prop_map(|(shard, records, processor)| Step::Process { shard, records, processor }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Under random moves, delays, retries and ages of caches: an event of the stream is stored for the vehicle that had its
    /// name when it was received, or is quarantined because no vehicle had it. Over HTTP, a change takes effect within 5 s.
    #[test]
    fn event_ends_at_the_holder_of_its_name(steps in prop::collection::vec(step(), 10..90)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut names = MovingNames::new();
            for step in steps {
                match step {
                    Step::Wait { ms } => names.wait(ms),
                    Step::Register { name } => names.register(name).await,
                    Step::Take { vehicle, name } => names.take(vehicle, name).await,
                    Step::Release { name, lag_ms } => names.release(name, lag_ms).await,
                    Step::Retire { vehicle, lag_ms } => names.retire(vehicle, lag_ms).await,
                    Step::SendByName { name, key } => names.send_by_name(name, key),
                    Step::SendById { vehicle } => names.send_by_id(vehicle),
                    Step::UploadByName { name } => names.upload_by_name(name).await,
                    Step::UploadById { vehicle } => names.upload_by_id(vehicle).await,
                    Step::Process { shard, records, processor } => names.process(shard, records, processor).await,
                }
            }
            names.process_everything().await;
            names.check();
        });
    }
}

#[tokio::test]
async fn event_of_a_moved_name_never_reaches_the_former_holder() {
    let mut names = MovingNames::new();
    names.register(0).await;
    names.send_by_name(0, 1);
    names.process_everything().await;
    names.retire(0, 0).await;
    names.register(0).await;
    names.wait(10_000);
    for key in 0..6 {
        names.send_by_name(0, key);
    }
    names.process_everything().await;
    assert_eq!(names.stored_counts(), [1, 6]);
    names.check();
}

#[tokio::test]
async fn late_event_of_a_moved_name_never_reaches_the_new_holder() {
    let mut names = MovingNames::new();
    names.register(0).await;
    for key in 0..4 {
        names.send_by_name(0, key);
    }
    names.wait(60_000);
    names.release(0, 0).await;
    names.register(0).await;
    names.wait(60_000);
    names.process_everything().await;
    assert_eq!(names.stored_counts(), [4, 0]);
    names.check();
}

#[tokio::test]
async fn change_takes_effect_over_http_within_five_seconds() {
    let mut names = MovingNames::new();
    names.register(0).await;
    names.upload_by_name(0).await;
    names.upload_by_id(0).await;
    names.retire(0, 0).await;
    names.register(0).await;
    names.wait(5_000);
    names.upload_by_name(0).await;
    names.upload_by_id(0).await;
    names.process_everything().await;
    assert_eq!(names.stored_counts(), [2, 1]);
    names.check();
}

#[tokio::test]
async fn batch_whose_version_cannot_be_read_is_retried() {
    let mut names = MovingNames::new();
    names.register(0).await;
    names.send_by_name(0, 0);
    let outcome = names.pipeline.process_once(&|n| match n {
        9 => FaultPlan::always(Fault::Unavailable).only(&["version"]),
        _ => FaultPlan::healthy(),
    });
    assert_eq!(outcome.await.retry_from, Some(0));
    assert_eq!(names.stored_counts(), [0]);
}
