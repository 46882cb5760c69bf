//! Offboarding: the steps of the workflow that deletes a fleet's resources. Each step is idempotent.
//!
//! Delivery stops first; then the fleet may drain its feed, if the offboarding request allows it. The subscriptions are
//! revoked only afterwards, because a feed is redacted to what the fleet may see at the time of reading.

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState, OffboardingStatus};
use roadcast_domain::ids::FleetId;
use roadcast_domain::limits;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::alerts::AlertRules as _;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};
use roadcast_ports::webhooks::Endpoints as _;
use serde::{Deserialize, Serialize};

use super::app_clients::FleetClients;
use super::revocation::revoke_all;
use super::subscription_changes::has_subscription;
use crate::ServiceError;
use crate::alerts::removal::remove_all_rules;
use crate::webhooks::removal::remove_all;

/// The delay of a queue's message count, in milliseconds: before that, a count of zero does not prove that the queue is
/// empty.
const COUNTS_LAG_MS: i64 = 60 * 1000;
/// How long the workflow waits between two checks of the feed, in seconds. The interval grows: a feed that is never read
/// costs about four hundred checks.
const WAIT_S: std::ops::RangeInclusive<i64> = 15..=15 * 60;

/// Executes the steps of the workflow.
pub struct Offboarding<Ports: PortSet> {
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The clients.
    pub clients: Ports::Clients,
    /// The user pool, which creates credentials.
    pub app_clients: Ports::AppClients,
    /// The subscriptions.
    pub subscriptions: Ports::Subscriptions,
    /// The webhook endpoints.
    pub endpoints: Ports::Endpoints,
    /// The alert rules.
    pub alert_rules: Ports::AlertRules,
    /// The fleets' queues and rules.
    pub channel: Ports::FleetChannel,
    /// The clock.
    pub clock: Ports::Clock,
}

/// A task of the workflow: one step of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The step to execute.
    pub step: Step,
    /// The fleet.
    pub fleet_id: FleetId,
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
    /// Stops delivery to the feed.
    StopDelivery,
    /// Checks whether the feed is drained.
    Drain,
    /// Revokes every subscription, and deletes the webhook endpoints and the alert rules, which have no effect any more.
    Revoke,
    /// Deletes the fleet's feed queue.
    RemoveQueue,
    /// Deletes the app clients.
    RemoveClients,
    /// Verifies that no resource remains, and marks the fleet as offboarded.
    Finish,
    /// Handles the failure of the workflow: records the reason in the fleet. Deleted resources stay deleted; the next
    /// attempt deletes the rest.
    HandleFailure,
}

/// The result of [`Step::Drain`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Whether the feed is drained: empty, discarded, or past its retention.
    pub drained: bool,
    /// Seconds until the next check.
    pub wait_seconds: i64,
}

impl<Ports: PortSet> Offboarding<Ports> {
    /// Executes a step. Fails with `Conflict` if a later attempt has started.
    pub async fn step(&self, task: &Task) -> Result<Option<DrainStatus>, ServiceError> {
        let fleet = self.fleets.get(&task.fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let Some(status) = fleet.offboarding.clone().filter(|status| status.attempts == task.attempt) else {
            return if task.step == Step::HandleFailure { Ok(None) } else { Err(LATER_ATTEMPT) };
        };
        if fleet.state == FleetState::Offboarded {
            // The attempt succeeded, and only its result was lost.
            return Ok(None);
        }
        match task.step {
            Step::StopDelivery => self.channel.remove_rule(&fleet).await?,
            Step::Drain => return Ok(Some(self.drain(&fleet, &status).await?)),
            Step::Revoke => {
                revoke_all(&self.subscriptions, &self.clock, &Author::Offboarding, &fleet.fleet_id).await?;
                remove_all(&self.endpoints, &self.fleets, &self.clock, &Author::Offboarding, &fleet.fleet_id).await?;
                remove_all_rules(&self.alert_rules, &self.clock, &Author::Offboarding, &fleet.fleet_id).await?;
            }
            Step::RemoveQueue => self.channel.remove_queue(&fleet).await?,
            Step::RemoveClients => self.fleet_clients().remove_where(&fleet, &Author::Offboarding, |_| true).await?,
            Step::Finish => self.finish(fleet).await?,
            Step::HandleFailure => {
                // Only the error's name: its cause may contain internal details. The execution log contains the cause.
                let reason = format!(
                    "offboarding failed after several attempts ({}); start it again",
                    task.error.as_deref().unwrap_or("unknown")
                );
                let status = OffboardingStatus { reason: Some(reason), ..status };
                self.update(&fleet, Fleet { offboarding: Some(status), ..fleet.clone() }).await?;
            }
        }
        Ok(None)
    }

    async fn drain(&self, fleet: &Fleet, status: &OffboardingStatus) -> Result<DrainStatus, ServiceError> {
        let elapsed_ms = self.clock.now().ms_since(status.since);
        let wait_seconds = (elapsed_ms / 2000).clamp(*WAIT_S.start(), *WAIT_S.end());
        let is_discarded_or_expired =
            status.feed == FeedDisposition::Discard || elapsed_ms >= limits::FEED_RETENTION_S * 1000;
        let drained = is_discarded_or_expired || (elapsed_ms >= COUNTS_LAG_MS && self.channel.is_drained(fleet).await?);
        Ok(DrainStatus { drained, wait_seconds })
    }

    /// Marks the fleet as offboarded. Fails with `Conflict` if a resource remains: a concurrent provisioning workflow may
    /// have created it again.
    async fn finish(&self, fleet: Fleet) -> Result<(), ServiceError> {
        const RESOURCES_REMAIN: ServiceError = ServiceError::Conflict(
            "the fleet still has a queue, a rule, a client, an endpoint, an alert rule or a subscription",
        );
        if self.channel.status(&fleet).await? != ChannelParts::NONE || self.fleet_clients().exist(&fleet).await? {
            return Err(RESOURCES_REMAIN);
        }
        let is_live = |subscription: &Subscription| subscription.state != SubscriptionState::Revoked;
        let has_endpoints = !self.endpoints.list(&fleet.fleet_id).await?.is_empty();
        let has_rules = !self.alert_rules.list(&RuleOwner::Fleet(fleet.fleet_id.clone())).await?.is_empty();
        if has_endpoints || has_rules || has_subscription(&self.subscriptions, &fleet.fleet_id, is_live).await? {
            return Err(RESOURCES_REMAIN);
        }
        let offboarded = fleet.clone().finish_offboarding();
        self.update(&fleet, offboarded).await
    }

    async fn update(&self, before: &Fleet, after: Fleet) -> Result<(), ServiceError> {
        let change = Change::fleet_changed(Author::Offboarding, Some(before), &after, self.clock.now());
        let updated = if before.has_bus_place && !after.has_bus_place {
            self.fleets.release_bus(&after, &change).await
        } else {
            self.fleets.update(&after, &change).await
        };
        updated.map_err(|error| ServiceError::or_conflict(error, "the fleet is being modified concurrently; retry"))
    }

    const fn fleet_clients(&self) -> FleetClients<'_, Ports> {
        FleetClients { clients: &self.clients, app_clients: &self.app_clients, clock: &self.clock }
    }
}

const LATER_ATTEMPT: ServiceError = ServiceError::Conflict("a later attempt offboards the fleet");
