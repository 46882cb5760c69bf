//! Workflows and resources to provision and offboard fleets.

use std::future::Future;

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ErasureId, FleetId, SubscriptionId};
use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// The workflows that provision subscriptions, offboard fleets and erase vehicles.
pub trait ProvisioningWorkflow: Send + Sync {
    /// Starts a run. Starting the same run again succeeds without a change.
    fn start(&self, run: &WorkflowRun) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A run of a workflow: one attempt for a resource. `attempt` distinguishes it from an earlier, failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum WorkflowRun {
    /// Provisions a subscription until it is `active`.
    Provision {
        /// The fleet.
        fleet_id: FleetId,
        /// The subscription.
        subscription_id: SubscriptionId,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// Removes all resources of a fleet.
    Offboard {
        /// The fleet.
        fleet_id: FleetId,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// Erases what is stored about vehicles.
    Erase {
        /// The erasure.
        erasure_id: ErasureId,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
}

impl WorkflowRun {
    /// Returns the unique name of the run.
    pub fn name(&self) -> String {
        match self {
            Self::Provision { subscription_id, attempt, .. } => format!("{subscription_id}-{attempt}"),
            Self::Offboard { fleet_id, attempt, .. } => format!("{fleet_id}-{attempt}"),
            Self::Erase { erasure_id, attempt } => format!("{erasure_id}-{attempt}"),
        }
    }
}

/// The channel of a fleet: its queue and rule. All methods are idempotent. A part that was created or changed may take a
/// minute to work.
pub trait FleetChannel: Send + Sync {
    /// Creates the queue, and the permission of the fleet's rule to send to it. Corrects a queue that exists and differs.
    fn ensure_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Creates the rule on the fleet's delivery bus with the queue as its target, and the bus if it does not exist. Corrects
    /// a rule that exists and differs. Fails if the bus has as many rules as it can hold.
    fn ensure_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes the rule and its target, so that no more events are delivered. Succeeds if they do not exist.
    fn remove_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Whether the queue is empty: it has neither visible messages nor messages in flight, or it does not exist. Eventually
    /// consistent: a message that arrived a moment ago may not be counted yet.
    fn is_drained(&self, fleet: &Fleet) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Removes the queue with all messages. Succeeds if it does not exist.
    fn remove_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns which parts of the channel exist.
    fn status(&self, fleet: &Fleet) -> impl Future<Output = Result<ChannelParts, PortError>> + Send;

    /// Whether the channel exists exactly as [`ensure_queue`](Self::ensure_queue) and [`ensure_rule`](Self::ensure_rule)
    /// create it, so that they would change nothing.
    fn is_current(&self, fleet: &Fleet) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// The proofs that events pass to the feeds of fleets. The proof of a fleet is removed before its channel is created or
/// changed, and stored after events have passed.
pub trait FeedProofs: Send + Sync {
    /// Returns the proof of a fleet, strongly consistent; generation 0 without a proof if none was ever stored.
    fn get(&self, fleet_id: &FleetId) -> impl Future<Output = Result<FeedProof, PortError>> + Send;

    /// Removes the proof of a fleet and starts the next generation, also if there is no proof: what was observed under an
    /// earlier generation proves nothing.
    fn invalidate(&self, fleet_id: &FleetId) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores that events passed at this time. Fails with `Conflict` if the fleet has another generation. May be repeated.
    fn prove(
        &self,
        fleet_id: &FleetId,
        generation: u64,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Whether events pass to the feed of a fleet.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedProof {
    /// Incremented before each creation or change of the channel.
    pub generation: u64,
    /// When events passed under this generation; `None` if that is not proven.
    pub proven_at: Option<Timestamp>,
}

/// The parts of a fleet's channel that exist.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChannelParts {
    /// The queue of the feed.
    pub queue: bool,
    /// The rule with its target.
    pub rule: bool,
}

impl ChannelParts {
    /// All parts exist.
    pub const ALL: Self = Self { queue: true, rule: true };
    /// No part exists.
    pub const NONE: Self = Self { queue: false, rule: false };
}
