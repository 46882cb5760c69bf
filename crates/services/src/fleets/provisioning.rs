//! Provisioning: the steps of the workflow that brings a subscription to `active`. Each may be repeated.

use roadcast_domain::audit::Author;
use roadcast_domain::fleet::{Client, Fleet, FleetState};
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::PortError;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};
use roadcast_ports::subscriptions::Subscriptions;
use serde::{Deserialize, Serialize};

use super::app_clients::FleetClients;
use super::transitions::any_subscription;
use crate::ServiceError;

/// Does the workflow's steps.
pub struct Provisioning<F, C, A, U, H, K> {
    /// The fleets.
    pub fleets: F,
    /// What is known of clients.
    pub clients: C,
    /// Where credentials are made.
    pub app_clients: A,
    /// The subscriptions.
    pub subscriptions: U,
    /// Where queues and rules are made.
    pub channel: H,
    /// The time.
    pub clock: K,
}

/// A task of the workflow: a step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What to do.
    pub step: Step,
    /// For which fleet.
    pub fleet_id: FleetId,
    /// For which subscription.
    pub subscription_id: SubscriptionId,
    /// In which of its runs.
    pub attempt: u32,
    /// The name of the error for which the workflow gave up, for [`Step::HandleFailure`].
    #[serde(default)]
    pub error: Option<String>,
}

/// What to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The fleet's queue exists.
    EnsureQueue,
    /// The fleet's rule exists.
    EnsureRule,
    /// The fleet has an app client. Its secret stays in the user pool until an admin asks for it.
    EnsureClient,
    /// The grants exist, and the subscription is active.
    Activate,
    /// The workflow gave up: what nobody needs is removed, and the subscription is pending again and says why.
    HandleFailure,
}

impl<F, C, A, U, H, K> Provisioning<F, C, A, U, H, K>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    U: Subscriptions,
    H: FleetChannel,
    K: Clock,
{
    /// Does a step.
    pub async fn step(&self, task: &Task) -> Result<(), ServiceError> {
        let fleet = self.fleets.get(&task.fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let subscription =
            self.subscriptions.get(&task.fleet_id, &task.subscription_id).await?.ok_or(ServiceError::NotFound)?;
        if task.step != Step::HandleFailure {
            may_go_on(task, &fleet, &subscription)?;
        }
        match task.step {
            Step::EnsureQueue => {
                self.advance(subscription, SubscriptionState::Provisioning, None).await?;
                self.channel.ensure_queue(&fleet).await?;
            }
            Step::EnsureRule => self.channel.ensure_rule(&fleet).await?,
            Step::EnsureClient => self.of_fleet().ensure(&fleet).await?,
            Step::Activate => self.activate(&fleet, subscription).await?,
            Step::HandleFailure => self.handle_failure(&fleet, subscription, task).await?,
        }
        Ok(())
    }

    /// Grants first: an active subscription never lacks one, nor anything that its events go through.
    async fn activate(&self, fleet: &Fleet, subscription: Subscription) -> Result<(), ServiceError> {
        debug_assert_eq!(fleet.fleet_id, subscription.fleet_id);
        if !matches!(subscription.state, SubscriptionState::Provisioning | SubscriptionState::Active) {
            // A step that comes late must not resume what was suspended since.
            return Err(ServiceError::Conflict("the subscription's state does not allow this step"));
        }
        if self.channel.status(fleet).await? != ChannelParts::ALL || !self.of_fleet().any(fleet).await? {
            // Somebody who gave up meanwhile removed it. The run is given up, too; the next one makes it anew.
            return Err(ServiceError::Conflict("the fleet's queue, rule or app client is gone"));
        }
        self.subscriptions.write_grants(&subscription).await?;
        self.advance(subscription, SubscriptionState::Active, None).await
    }

    /// Everything is there or nothing: queue, rule and the app client that nobody got to know go, unless another subscription of
    /// the fleet needs them.
    async fn handle_failure(&self, fleet: &Fleet, subscription: Subscription, task: &Task) -> Result<(), ServiceError> {
        use SubscriptionState::{Pending, Provisioning, Revoked};
        if task.attempt != subscription.attempts || !matches!(subscription.state, Pending | Provisioning | Revoked) {
            // A later run is under way, or this one got there and only the answer was lost.
            return Ok(());
        }
        if subscription.state != Revoked {
            self.subscriptions.narrow_grants(&subscription, &subscription.vehicles, None).await?;
        }
        if !self.is_needed_by_others(&subscription).await? {
            self.channel.remove_rule(fleet).await?;
            self.channel.remove_queue(fleet).await?;
            let was_never_shown = |client: &Client| client.secret_shown_at.is_none();
            self.of_fleet().remove_where(fleet, &Author::Provisioning, was_never_shown).await?;
        }
        if subscription.state == Revoked {
            return Ok(());
        }
        // The cause may hold what is none of the caller's business; the log of the execution has it.
        let error = task.error.as_deref().unwrap_or("unknown");
        self.advance(subscription, Pending, Some(format!("provisioning failed after several tries ({error})"))).await
    }

    async fn is_needed_by_others(&self, subscription: &Subscription) -> Result<bool, PortError> {
        let is_other = |other: &Subscription| other.subscription_id != subscription.subscription_id;
        let needs = |other: &Subscription| is_other(other) && other.state.needs_a_channel();
        any_subscription(&self.subscriptions, &subscription.fleet_id, needs).await
    }

    const fn of_fleet(&self) -> FleetClients<'_, C, A, K> {
        FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock }
    }

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
        if !from.may_become(next) {
            return Err(ServiceError::Conflict("the subscription's state does not allow this step"));
        }
        let advanced = Subscription { state: next, reason, updated_at: self.clock.now(), ..subscription };
        let replaced = self.subscriptions.replace(&advanced, from).await;
        replaced.map_err(|error| ServiceError::or_conflict(error, "the subscription changed meanwhile"))
    }
}

fn may_go_on(task: &Task, fleet: &Fleet, subscription: &Subscription) -> Result<(), ServiceError> {
    if task.attempt != subscription.attempts {
        // A later run is under way: this one has nothing left to say.
        return Err(ServiceError::Conflict("another run provisions the subscription"));
    }
    if fleet.state != FleetState::Active {
        return Err(ServiceError::Conflict("the fleet is leaving, or has left"));
    }
    Ok(())
}
