//! Provisioning: the steps of the workflow that brings a subscription to `active`. Each may be repeated.

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::FleetChannel;
use roadcast_ports::subscriptions::Subscriptions;
use serde::{Deserialize, Serialize};

use crate::ServiceError;

/// Does the workflow's steps.
pub struct Provision<F, U, H, K> {
    /// The fleets.
    pub fleets: F,
    /// The subscriptions.
    pub subscriptions: U,
    /// Where queues and rules are made.
    pub channel: H,
    /// The time.
    pub clock: K,
}

/// A task of the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What to do.
    pub step: Step,
    /// For which fleet.
    pub fleet_id: FleetId,
    /// For which subscription.
    pub subscription_id: SubscriptionId,
    /// Why the workflow failed, for [`Step::Fail`].
    #[serde(default)]
    pub error: Option<WorkflowError>,
}

/// An error as Step Functions hands it to a catcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WorkflowError {
    /// Its name.
    pub error: String,
    /// Its cause, for the log only.
    #[serde(default)]
    pub cause: String,
}

/// What to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The fleet's queue exists.
    EnsureQueue,
    /// The fleet's rule exists.
    EnsureRule,
    /// The grants exist, and the subscription is active.
    Activate,
    /// The workflow gave up: the subscription is pending again, and says why.
    Fail,
}

impl<F: Fleets, U: Subscriptions, H: FleetChannel, K: Clock> Provision<F, U, H, K> {
    /// Does a step.
    pub async fn step(&self, task: &Task) -> Result<(), ServiceError> {
        let fleet = self.fleets.get(&task.fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let subscription =
            self.subscriptions.get(&task.fleet_id, &task.subscription_id).await?.ok_or(ServiceError::NotFound)?;
        match task.step {
            Step::EnsureQueue => {
                self.advance(subscription, SubscriptionState::Provisioning, None).await?;
                self.channel.ensure_queue(&fleet).await?;
            }
            Step::EnsureRule => self.channel.ensure_rule(&fleet).await?,
            Step::Activate => self.activate(&fleet, subscription).await?,
            Step::Fail => {
                // The cause may hold what is none of the caller's business; the log of the execution has it.
                let name = task.error.as_ref().map_or("unknown", |error| error.error.as_str());
                let reason = format!("provisioning failed after several tries ({name})");
                self.advance(subscription, SubscriptionState::Pending, Some(reason)).await?;
            }
        }
        Ok(())
    }

    /// Grants first: an active subscription never lacks one.
    async fn activate(&self, fleet: &Fleet, subscription: Subscription) -> Result<(), ServiceError> {
        debug_assert_eq!(fleet.fleet_id, subscription.fleet_id);
        self.subscriptions.write_grants(&subscription).await?;
        self.advance(subscription, SubscriptionState::Active, None).await
    }

    async fn advance(
        &self,
        subscription: Subscription,
        next: SubscriptionState,
        reason: Option<String>,
    ) -> Result<(), ServiceError> {
        let from = subscription.state;
        if from == next {
            return Ok(());
        }
        if !from.may_become(next) {
            return Err(ServiceError::Conflict("the subscription's state does not allow this step"));
        }
        let advanced = Subscription { state: next, reason, updated_at: self.clock.now(), ..subscription };
        let replaced = self.subscriptions.replace(&advanced, from).await;
        replaced.map_err(|error| ServiceError::or_conflict(error, "the subscription changed meanwhile"))
    }
}
