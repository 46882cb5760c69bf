//! Offboarding: the steps of the workflow that removes what a leaving fleet has. Each may be repeated.
//!
//! Delivery stops first, and what is in the feed may be read to its end where that was asked for. Only then the subscriptions
//! are revoked: a feed is cut to what the fleet may see at the moment that it reads.

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState, OffboardingStatus};
use roadcast_domain::ids::FleetId;
use roadcast_domain::limits;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};
use roadcast_ports::subscriptions::Subscriptions;
use serde::{Deserialize, Serialize};

use super::app_clients::FleetClients;
use super::transitions::{any_subscription, revoke_all};
use crate::ServiceError;

/// A queue counts what came in with a delay: before that, an empty one says nothing.
const COUNTS_LAG_MS: i64 = 60 * 1000;
/// How long the workflow waits until it looks again, in seconds. It looks less and less often: a feed that nobody reads costs
/// some four hundred looks.
const WAIT_S: std::ops::RangeInclusive<i64> = 15..=15 * 60;

/// Does the workflow's steps.
pub struct Offboarding<F, C, A, U, H, K> {
    /// The fleets.
    pub fleets: F,
    /// What is known of clients.
    pub clients: C,
    /// Where credentials are made.
    pub app_clients: A,
    /// The subscriptions.
    pub subscriptions: U,
    /// Where queues and rules are removed.
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
    /// Nothing new comes into the feed.
    StopDelivery,
    /// Looks whether the feed is done with.
    Drain,
    /// Every subscription is revoked.
    Revoke,
    /// The queues are gone.
    RemoveQueue,
    /// The app clients are gone.
    RemoveClients,
    /// Nothing is left, and the fleet's record says so.
    Finish,
    /// The workflow gave up: the fleet's record says why. What is removed stays so; the next run goes on from there.
    HandleFailure,
}

/// How far a feed is drained: the answer to [`Step::Drain`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// Whether it is done with.
    pub drained: bool,
    /// After how many seconds to look again.
    pub wait_seconds: i64,
}

impl<F, C, A, U, H, K> Offboarding<F, C, A, U, H, K>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    U: Subscriptions,
    H: FleetChannel,
    K: Clock,
{
    /// Does a step.
    pub async fn step(&self, task: &Task) -> Result<Option<Draining>, ServiceError> {
        let fleet = self.fleets.get(&task.fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let Some(status) = fleet.offboarding.clone().filter(|status| status.attempts == task.attempt) else {
            // A later run is under way: this one has nothing left to say.
            return if task.step == Step::HandleFailure { Ok(None) } else { Err(ANOTHER_RUN) };
        };
        if fleet.state == FleetState::Offboarded {
            // It got there, and only the answer was lost.
            return Ok(None);
        }
        match task.step {
            Step::StopDelivery => self.channel.remove_rule(&fleet).await?,
            Step::Drain => return Ok(Some(self.drain(&fleet, &status).await?)),
            Step::Revoke => {
                revoke_all(&self.subscriptions, &self.clock, &Author::Offboarding, &fleet.fleet_id).await?;
            }
            Step::RemoveQueue => self.channel.remove_queue(&fleet).await?,
            Step::RemoveClients => self.of_fleet().remove_where(&fleet, &Author::Offboarding, |_| true).await?,
            Step::Finish => self.finish(fleet, status).await?,
            Step::HandleFailure => {
                // The cause may hold what is none of the caller's business; the log of the execution has it.
                let reason =
                    format!("offboarding failed after several tries ({})", task.error.as_deref().unwrap_or("unknown"));
                let status = OffboardingStatus { reason: Some(reason), ..status };
                self.update(&fleet, Fleet { offboarding: Some(status), ..fleet.clone() }).await?;
            }
        }
        Ok(None)
    }

    async fn drain(&self, fleet: &Fleet, status: &OffboardingStatus) -> Result<Draining, ServiceError> {
        let elapsed_ms = self.clock.now().ms_since(status.since);
        let wait_seconds = (elapsed_ms / 2000).clamp(*WAIT_S.start(), *WAIT_S.end());
        let nothing_is_left = status.feed == FeedDisposition::Discard || elapsed_ms >= limits::FEED_RETENTION_S * 1000;
        let drained = nothing_is_left || (elapsed_ms >= COUNTS_LAG_MS && self.channel.is_drained(fleet).await?);
        Ok(Draining { drained, wait_seconds })
    }

    /// Looks once more: somebody who was provisioning meanwhile may have made anew what was gone.
    async fn finish(&self, fleet: Fleet, status: OffboardingStatus) -> Result<(), ServiceError> {
        const STILL: ServiceError =
            ServiceError::Conflict("the fleet still has a queue, a rule, a client or a subscription");
        if self.channel.status(&fleet).await? != ChannelParts::NONE || self.of_fleet().any(&fleet).await? {
            return Err(STILL);
        }
        let lives = |subscription: &Subscription| subscription.state != SubscriptionState::Revoked;
        if any_subscription(&self.subscriptions, &fleet.fleet_id, lives).await? {
            return Err(STILL);
        }
        let status = OffboardingStatus { reason: None, ..status };
        self.update(&fleet, Fleet { state: FleetState::Offboarded, offboarding: Some(status), ..fleet.clone() }).await
    }

    async fn update(&self, before: &Fleet, after: Fleet) -> Result<(), ServiceError> {
        let change = Change::of_fleet(Author::Offboarding, Some(before), &after, self.clock.now());
        let updated = self.fleets.update(&after, Some(&change)).await;
        updated.map_err(|error| ServiceError::or_conflict(error, "the fleet changed meanwhile"))
    }

    const fn of_fleet(&self) -> FleetClients<'_, C, A, K> {
        FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock }
    }
}

const ANOTHER_RUN: ServiceError = ServiceError::Conflict("another run offboards the fleet");
