//! Provisioning: the steps of the workflow that makes a subscription `active`. Each step is idempotent.

use roadcast_domain::audit::Author;
use roadcast_domain::fleet::{Client, Fleet, FleetState};
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::{ChannelParts, FeedProofs, FleetChannel};
use roadcast_ports::subscriptions::Subscriptions;
use serde::{Deserialize, Serialize};

use super::app_clients::FleetClients;
use super::feed_prober::FeedProber;
use super::onboarding::FLEET_OFFBOARDING;
use super::subscription_changes::has_subscription;
use crate::ServiceError;

/// Another admin or a workflow changed the subscription.
const MODIFIED_CONCURRENTLY: &str = "the subscription is being modified concurrently; retry";

/// Executes the steps of the workflow.
pub struct Provisioning<Ports: PortSet> {
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The clients.
    pub clients: Ports::Clients,
    /// The user pool, which creates credentials.
    pub app_clients: Ports::AppClients,
    /// The subscriptions.
    pub subscriptions: Ports::Subscriptions,
    /// The fleets' queues and rules.
    pub channel: Ports::FleetChannel,
    /// Proves that events pass to a feed.
    pub prober: FeedProber<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The use case failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Not all probes arrived. A retry sends another round.
    #[error("{missing} probes did not arrive in the fleet's feed; the rule or the queue does not work yet")]
    FeedNotReady {
        /// The number of probes that did not arrive.
        missing: usize,
    },
}

impl StepError {
    /// Returns the name of the error, which the state machine and the reason of a failed run contain.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Service(_) => "StepFailed",
            Self::FeedNotReady { .. } => "FeedNotReady",
        }
    }
}

impl From<PortError> for StepError {
    fn from(error: PortError) -> Self {
        Self::Service(error.into())
    }
}

/// The result of [`Step::CheckFeed`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedCheck {
    /// Whether events pass to the feed. If not, the workflow waits and then probes it.
    pub proven: bool,
    /// Seconds to wait before the first probe.
    pub wait_seconds: u32,
}

/// A task of the workflow: one step of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The step to execute.
    pub step: Step,
    /// The fleet.
    pub fleet_id: FleetId,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The number of the attempt, from 1. Each attempt is one run of the workflow.
    pub attempt: u32,
    /// The name of the error that failed the workflow, for [`Step::HandleFailure`].
    #[serde(default)]
    pub error: Option<String>,
}

/// A step of the workflow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Ensures that the fleet's queue exists.
    EnsureQueue,
    /// Ensures that the fleet's rule exists.
    EnsureRule,
    /// Ensures that the fleet has an app client. Its secret stays in the user pool until an admin requests it.
    EnsureClient,
    /// Checks whether events are proven to pass to the feed. They are not after its queue or rule was created or changed.
    CheckFeed,
    /// Sends a round of probes through the whole path to the feed, and fails if not all of them arrive.
    ProbeFeed,
    /// Writes the grants and makes the subscription active.
    Activate,
    /// Handles the failure of the workflow: deletes resources that no subscription needs, and makes the subscription
    /// pending again with the reason.
    HandleFailure,
}

impl<Ports: PortSet> Provisioning<Ports> {
    /// Executes a step. Fails with `Conflict` if a later attempt has started, or if the fleet or subscription is in a state
    /// that does not allow the step.
    pub async fn step(&self, task: &Task) -> Result<Option<FeedCheck>, StepError> {
        let fleet = self.fleets.get(&task.fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let subscription =
            self.subscriptions.get(&task.fleet_id, &task.subscription_id).await?.ok_or(ServiceError::NotFound)?;
        if task.step != Step::HandleFailure {
            check_attempt(task, &fleet, &subscription)?;
        }
        match task.step {
            Step::EnsureQueue => {
                self.advance(subscription, SubscriptionState::Provisioning, None).await?;
                if !self.is_proven(&fleet).await? {
                    self.prober.proofs.invalidate(&fleet.fleet_id).await?;
                    self.channel.ensure_queue(&fleet).await?;
                }
            }
            Step::EnsureRule => {
                if !self.is_proven(&fleet).await? {
                    self.prober.proofs.invalidate(&fleet.fleet_id).await?;
                    self.channel.ensure_rule(&fleet).await?;
                }
            }
            Step::CheckFeed => {
                let proven = self.is_proven(&fleet).await?;
                return Ok(Some(FeedCheck { proven, wait_seconds: self.prober.wait_seconds }));
            }
            Step::ProbeFeed => match self.prober.probe(&fleet).await? {
                0 => {}
                missing => return Err(StepError::FeedNotReady { missing }),
            },
            Step::EnsureClient => self.fleet_clients().ensure(&fleet).await?,
            Step::Activate => self.activate(&fleet, subscription).await?,
            Step::HandleFailure => self.handle_failure(&fleet, subscription, task).await?,
        }
        Ok(None)
    }

    /// Whether events were proven to pass to the feed, and its channel is still the one that was proven.
    async fn is_proven(&self, fleet: &Fleet) -> Result<bool, PortError> {
        let proof = self.prober.proofs.get(&fleet.fleet_id).await?;
        Ok(proof.proven_at.is_some() && self.channel.is_current(fleet).await?)
    }

    /// Writes the grants before the state: an active subscription always has its grants, queue, rule and app client, and events
    /// pass to its feed.
    /// They are written under a version that this step claimed, as in `change_subscription`.
    async fn activate(&self, fleet: &Fleet, mut subscription: Subscription) -> Result<(), ServiceError> {
        debug_assert_eq!(fleet.fleet_id, subscription.fleet_id);
        if !matches!(subscription.state, SubscriptionState::Provisioning | SubscriptionState::Active) {
            // A delayed step must not resume a subscription that was suspended in the meantime.
            return Err(ServiceError::Conflict("the subscription's state does not allow this step"));
        }
        if self.channel.status(fleet).await? != ChannelParts::ALL || !self.fleet_clients().exist(fleet).await? {
            // The failure handling of another workflow run deleted it. This attempt fails, too; the next creates it again.
            return Err(ServiceError::Conflict("the fleet's queue, rule or app client does not exist; retry provisioning"));
        }
        if self.prober.proofs.get(&fleet.fleet_id).await?.proven_at.is_none() {
            return Err(ServiceError::Conflict("events are not proven to pass to the fleet's feed; retry provisioning"));
        }
        let claimed = self.subscriptions.claim_version(&subscription).await;
        claimed.map_err(|error| ServiceError::or_conflict(error, MODIFIED_CONCURRENTLY))?;
        subscription.version += 1;
        self.subscriptions.write_grants(&subscription).await?;
        self.advance(subscription, SubscriptionState::Active, None).await
    }

    /// Deletes the fleet's queue, rule and app clients whose secrets were never returned, unless another subscription of
    /// the fleet needs them.
    async fn handle_failure(&self, fleet: &Fleet, subscription: Subscription, task: &Task) -> Result<(), ServiceError> {
        use SubscriptionState::{Pending, Provisioning, Revoked};
        if task.attempt != subscription.attempts || !matches!(subscription.state, Pending | Provisioning | Revoked) {
            // A later attempt has started, or this one succeeded and only its result was lost.
            return Ok(());
        }
        if subscription.state != Revoked {
            // No remaining grant: deletes the grants.
            self.subscriptions.narrow_grants(&subscription, &subscription.vehicles, None).await?;
        }
        if self.may_remove_channel(&subscription).await? {
            self.channel.remove_rule(fleet).await?;
            self.channel.remove_queue(fleet).await?;
            // A client that an admin changed, for example by a second credential, is in use.
            let is_unused = |client: &Client| client.secret_shown_at.is_none() && client.version == 1;
            self.fleet_clients().remove_where(fleet, &Author::Provisioning, is_unused).await?;
        }
        if subscription.state == Revoked {
            return Ok(());
        }
        // Only the error's name: its cause may contain internal details. The execution log contains the cause.
        let error = task.error.as_deref().unwrap_or("unknown");
        self.advance(
            subscription,
            Pending,
            Some(format!("provisioning failed after several attempts ({error}); retry provisioning")),
        )
        .await
    }

    /// Whether no other subscription needs the channel. Removes the proof of the feed before it decides: a subscription that
    /// is created afterwards probes the feed again, and does not become active on a channel that is being removed.
    async fn may_remove_channel(&self, subscription: &Subscription) -> Result<bool, PortError> {
        if self.other_subscription_needs_channel(subscription).await? {
            return Ok(false);
        }
        self.prober.proofs.invalidate(&subscription.fleet_id).await?;
        Ok(!self.other_subscription_needs_channel(subscription).await?)
    }

    async fn other_subscription_needs_channel(&self, subscription: &Subscription) -> Result<bool, PortError> {
        let is_other = |other: &Subscription| other.subscription_id != subscription.subscription_id;
        let needs = |other: &Subscription| is_other(other) && other.state.needs_channel();
        has_subscription(&self.subscriptions, &subscription.fleet_id, needs).await
    }

    const fn fleet_clients(&self) -> FleetClients<'_, Ports> {
        FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock }
    }

    /// Updates the subscription's state and reason. Fails with `Conflict` if the transition is not allowed.
    async fn advance(
        &self,
        subscription: Subscription,
        next: SubscriptionState,
        reason: Option<String>,
    ) -> Result<(), ServiceError> {
        let from = subscription.state;
        if from == next && subscription.reason == reason {
            return Ok(());
        }
        if !from.can_transition_to(next) {
            return Err(ServiceError::Conflict("the subscription's state does not allow this step"));
        }
        let advanced = Subscription { state: next, reason, updated_at: self.clock.now(), ..subscription };
        let replaced = self.subscriptions.replace(&advanced, from).await;
        replaced.map_err(|error| ServiceError::or_conflict(error, MODIFIED_CONCURRENTLY))
    }
}

/// Succeeds if the task belongs to the latest attempt and the fleet is active.
fn check_attempt(task: &Task, fleet: &Fleet, subscription: &Subscription) -> Result<(), ServiceError> {
    if task.attempt != subscription.attempts {
        return Err(ServiceError::Conflict("a later attempt provisions the subscription"));
    }
    if fleet.state != FleetState::Active {
        return Err(FLEET_OFFBOARDING);
    }
    Ok(())
}
