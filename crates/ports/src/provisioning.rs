//! Workflows and resources to provision and offboard fleets.

use std::future::Future;

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// The workflows that provision subscriptions and offboard fleets.
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
}

impl WorkflowRun {
    /// Returns the unique name of the run.
    pub fn name(&self) -> String {
        match self {
            Self::Provision { subscription_id, attempt, .. } => format!("{subscription_id}-{attempt}"),
            Self::Offboard { fleet_id, attempt, .. } => format!("{fleet_id}-{attempt}"),
        }
    }
}

/// The channel of a fleet: its queue, dead-letter queue and rule. All methods are idempotent.
pub trait FleetChannel: Send + Sync {
    /// Creates the queue, its dead-letter queue, and the permission of the fleet's rule to send to them. Succeeds if they
    /// exist.
    fn ensure_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Creates the rule on the fleet's delivery bus with the queue as its target. Succeeds if it exists.
    fn ensure_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes the rule and its target, so that no more events are delivered. Succeeds if they do not exist.
    fn remove_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Whether the queue is empty: it has neither visible messages nor messages in flight, or it does not exist. Eventually
    /// consistent: a message that arrived a moment ago may not be counted yet.
    fn is_drained(&self, fleet: &Fleet) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Removes the queue and its dead-letter queue with all messages. Succeeds if they do not exist.
    fn remove_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns which parts of the channel exist.
    fn status(&self, fleet: &Fleet) -> impl Future<Output = Result<ChannelParts, PortError>> + Send;
}

/// The parts of a fleet's channel that exist.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChannelParts {
    /// The queue of the feed.
    pub queue: bool,
    /// The dead-letter queue of the rule.
    pub dead_letter_queue: bool,
    /// The rule with its target.
    pub rule: bool,
}

impl ChannelParts {
    /// All parts exist.
    pub const ALL: Self = Self { queue: true, dead_letter_queue: true, rule: true };
    /// No part exists.
    pub const NONE: Self = Self { queue: false, dead_letter_queue: false, rule: false };
}
