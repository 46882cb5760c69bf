//! Making what a fleet needs to be delivered to, and removing it.

use std::future::Future;

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// The workflows that provision subscriptions, and remove what leaving fleets have.
pub trait ProvisioningWorkflow: Send + Sync {
    /// Starts it. Starting the same run again changes nothing.
    fn start(&self, run: &WorkflowRun) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A run of a workflow. `attempt` tells a run from an earlier one for the same thing that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum WorkflowRun {
    /// Brings a subscription to `active`.
    Provision {
        /// The fleet.
        fleet_id: FleetId,
        /// The subscription.
        subscription_id: SubscriptionId,
        /// Counts the runs for it, from 1.
        attempt: u32,
    },
    /// Removes everything that was made for a fleet.
    Offboard {
        /// The fleet.
        fleet_id: FleetId,
        /// Counts the runs for it, from 1.
        attempt: u32,
    },
}

impl WorkflowRun {
    /// A name that no other run has.
    pub fn name(&self) -> String {
        match self {
            Self::Provision { subscription_id, attempt, .. } => format!("{subscription_id}-{attempt}"),
            Self::Offboard { fleet_id, attempt, .. } => format!("{fleet_id}-{attempt}"),
        }
    }
}

/// A fleet's queue and rule. All methods may be repeated: they converge.
pub trait FleetChannel: Send + Sync {
    /// The queue, its dead-letter queue, and the right of the fleet's rule to send to them.
    fn ensure_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The rule on the fleet's delivery bus and its target, the queue.
    fn ensure_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes the rule and its target: nothing is delivered any more.
    fn remove_rule(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Whether the feed's queue holds nothing, neither visible nor taken; so it is where there is none. What came in a moment
    /// ago may not be counted yet.
    fn is_drained(&self, fleet: &Fleet) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Removes the queue and its dead-letter queue with all that is in them.
    fn remove_queue(&self, fleet: &Fleet) -> impl Future<Output = Result<(), PortError>> + Send;

    /// What of it is there.
    fn status(&self, fleet: &Fleet) -> impl Future<Output = Result<ChannelParts, PortError>> + Send;
}

/// What of a fleet's channel is there.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChannelParts {
    /// The feed's queue.
    pub queue: bool,
    /// The dead-letter queue of its rule.
    pub dead_letter_queue: bool,
    /// The rule with its target.
    pub rule: bool,
}

impl ChannelParts {
    /// Everything.
    pub const ALL: Self = Self { queue: true, dead_letter_queue: true, rule: true };
    /// Nothing.
    pub const NONE: Self = Self { queue: false, dead_letter_queue: false, rule: false };
}
