//! [`AlertCheckpoints`] and [`ShardEvaluations`].

use roadcast_domain::alert::RuleOwner;

use super::fixtures::Fixtures;
use crate::PortErrorKind;
use crate::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations};
use crate::clock::{Clock, Randomness};

/// Checks [`AlertCheckpoints`].
pub async fn alert_checkpoints(checkpoints: &impl AlertCheckpoints, clock: &impl Clock, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let of_fleet = EvaluationKey { vid: fixtures.vid(), owner: RuleOwner::Fleet(fixtures.fleet_id()) };
    let of_operator = EvaluationKey { owner: RuleOwner::Operator, ..of_fleet.clone() };
    let checkpoint = |revision: u64, byte: u8, days: i64| AlertCheckpoint {
        revision,
        content: vec![byte; 2000],
        // Whole seconds, which is as exact as an expiry must be.
        expires_at: roadcast_signals::Timestamp::from_ms(clock.now().ms() / 1000 * 1000 + days * 24 * 60 * 60 * 1000),
    };
    let get = async |key: &EvaluationKey| checkpoints.get(key).await.expect("get succeeds");
    let replace = async |key: &EvaluationKey, checkpoint: &AlertCheckpoint| {
        checkpoints.replace(key, checkpoint).await.map_err(|error| error.kind())
    };
    assert_eq!(get(&of_fleet).await, None, "nothing is stored");
    assert_eq!(replace(&of_fleet, &checkpoint(2, 1, 1)).await, Err(PortErrorKind::Conflict), "the first revision is 1");
    let first = checkpoint(1, 1, 1);
    replace(&of_fleet, &first).await.expect("replace succeeds");
    assert_eq!(get(&of_fleet).await, Some(first), "it is read as it was stored");
    assert_eq!(get(&of_operator).await, None, "another owner has a checkpoint of its own");
    assert_eq!(replace(&of_fleet, &checkpoint(1, 2, 1)).await, Err(PortErrorKind::Conflict), "another instance was first");
    assert_eq!(replace(&of_fleet, &checkpoint(3, 2, 1)).await, Err(PortErrorKind::Conflict), "no revision is skipped");
    let second = checkpoint(2, 2, 2);
    replace(&of_fleet, &second).await.expect("replace succeeds");
    assert_eq!(get(&of_fleet).await, Some(second));

    replace(&of_operator, &checkpoint(1, 3, -1)).await.expect("replace succeeds");
    assert_eq!(get(&of_operator).await, None, "it has expired");
    replace(&of_operator, &checkpoint(1, 4, 1)).await.expect("an expired checkpoint counts as absent");
    assert_eq!(get(&of_operator).await, Some(checkpoint(1, 4, 1)));
}

/// Checks [`ShardEvaluations`].
pub async fn shard_evaluations(shards: &impl ShardEvaluations, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let [shard, other] = [1, 2].map(|n| format!("shardId-{:x}-{n}", random.bits()));
    let instance = async |shard: &str| shards.instance(shard).await.expect("instance succeeds");
    assert_eq!(instance(&shard).await, None, "no instance has taken the shard");
    for taken_by in ["a", "b", "b"] {
        shards.take(&shard, taken_by).await.expect("take succeeds");
        assert_eq!(instance(&shard).await.as_deref(), Some(taken_by));
    }
    assert_eq!(instance(&other).await, None, "another shard is not taken");

    // More than one request of a store takes.
    let fleet_id = fixtures.fleet_id();
    let mut keys: Vec<EvaluationKey> =
        (0..60).map(|_| EvaluationKey { vid: fixtures.vid(), owner: RuleOwner::Fleet(fleet_id.clone()) }).collect();
    keys.push(EvaluationKey { owner: RuleOwner::Operator, ..keys[0].clone() });
    keys.sort();
    let watched =
        async |after: Option<&EvaluationKey>, limit| shards.watched(&shard, after, limit).await.expect("watched succeeds");
    assert_eq!(watched(None, 10).await, [], "nothing is watched");
    for _ in 0..2 {
        assert!(shards.watch(&shard, &keys).await.iter().all(Result::is_ok), "watch succeeds, also again");
    }
    assert_eq!(watched(None, 100).await, keys, "in order");
    assert_eq!(watched(None, 7).await, keys[..7]);
    assert_eq!(watched(Some(&keys[6]), 7).await, keys[7..14]);
    assert_eq!(shards.watched(&other, None, 10).await.expect("watched succeeds"), [], "another shard");
    let (removed, kept) = keys.split_at(55);
    for _ in 0..2 {
        assert!(shards.unwatch(&shard, removed).await.iter().all(Result::is_ok), "unwatch succeeds, also again");
    }
    assert_eq!(watched(None, 100).await, kept);
    assert!(shards.unwatch(&shard, kept).await.iter().all(Result::is_ok));
    assert!(shards.watch(&shard, &[]).await.is_empty() && shards.unwatch(&shard, &[]).await.is_empty());
}
