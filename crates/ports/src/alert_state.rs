//! What the alert evaluator stores between its batches.

use std::future::Future;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::VehicleId;
use roadcast_signals::Timestamp;

use crate::PortError;

/// The evaluation of the rules of one owner on one vehicle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvaluationKey {
    /// The vehicle.
    pub vid: VehicleId,
    /// The owner of the rules.
    pub owner: RuleOwner,
}

/// From what an evaluation continues after its instance has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCheckpoint {
    /// The number of times that it was stored, from 1.
    pub revision: u64,
    /// Its content, which only the evaluator reads.
    pub content: Vec<u8>,
    /// When it is no longer needed.
    pub expires_at: Timestamp,
}

/// The checkpoints of evaluations. One is stored whenever an alert is raised, cleared or withdrawn.
pub trait AlertCheckpoints: Send + Sync {
    /// Returns the checkpoint of an evaluation, strongly consistent; `None` if there is none or it has expired.
    fn get(&self, key: &EvaluationKey) -> impl Future<Output = Result<Option<AlertCheckpoint>, PortError>> + Send;

    /// Stores the checkpoint of an evaluation. Fails with `Conflict` unless its revision follows the stored one, or is 1 if none is
    /// stored. Then another instance has evaluated the vehicle.
    fn replace(
        &self,
        key: &EvaluationKey,
        checkpoint: &AlertCheckpoint,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Which instance of the evaluator evaluates a shard, and the vehicles of the shard whose silence is watched.
///
/// The batches of a shard are processed one after the other, but any instance may get the next one.
pub trait ShardEvaluations: Send + Sync {
    /// Returns the instance that took the shard last, strongly consistent.
    fn instance(&self, shard: &str) -> impl Future<Output = Result<Option<String>, PortError>> + Send;

    /// Takes the shard for an instance.
    fn take(&self, shard: &str, instance: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Adds evaluations that may raise an alert without further data. Adding one again has no effect. Returns the result of each.
    fn watch(&self, shard: &str, keys: &[EvaluationKey]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Removes watched evaluations. Removing one that is not watched has no effect. Returns the result of each.
    fn unwatch(&self, shard: &str, keys: &[EvaluationKey]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Returns the watched evaluations of a shard after `after`, in order, at most `limit`.
    fn watched(
        &self,
        shard: &str,
        after: Option<&EvaluationKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<EvaluationKey>, PortError>> + Send;
}
