//! Subscriptions: taken in, changed, moved from state to state, and read.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::Change;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::package::PackageName;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;

use super::onboarding::{FLEET_IS_OFFBOARDING, Onboarding, admin, may_see};
use super::transitions::{Transition, change_subscription, move_subscription};
use crate::{InvalidField, ServiceError};

/// What a fleet is asked to be given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The vehicles.
    pub vehicles: Vec<VehicleId>,
    /// The packages.
    pub packages: Vec<PackageName>,
    /// In which form telemetry comes; JSON where it is not said.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// From when. Where it is not said: from now on, and where the subscription is there already, as it is.
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    pub valid_from: Option<Timestamp>,
    /// Until when; for good where it is not said.
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    pub valid_until: Option<Timestamp>,
}

impl<F, C, A, U, V, E, W, K, R> Onboarding<F, C, A, U, V, E, W, K, R>
where
    F: Fleets,
    U: Subscriptions,
    V: Vehicles,
    E: Entitlements,
    W: ProvisioningWorkflow,
    K: Clock,
    R: Randomness,
{
    /// Takes in a subscription and starts provisioning it.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        request: SubscriptionRequest,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        self.staying(fleet_id).await?;
        let now = self.clock.now();
        let validity = Validity { valid_from: request.valid_from.unwrap_or(now), valid_until: request.valid_until };
        self.check(&request, validity).await?;
        let subscription = Subscription {
            subscription_id: SubscriptionId::from_random(self.randomness.bits()),
            fleet_id: fleet_id.clone(),
            vehicles: request.vehicles,
            packages: request.packages,
            delivery_format: request.delivery_format,
            validity,
            state: SubscriptionState::Pending,
            attempts: 1,
            reason: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let change = Change::of_subscription(author, None, &subscription);
        let created = self.subscriptions.create(&subscription, Some(&change)).await;
        created
            .map_err(|error| if error.kind() == PortErrorKind::Conflict { FLEET_IS_OFFBOARDING } else { error.into() })?;
        self.workflow.start(&provisioning_of(&subscription)).await?;
        Ok(subscription)
    }

    /// Starts provisioning a subscription that has not become active, once more: it failed, or nobody went on with it. Every
    /// step may be repeated, so whatever was made is found made.
    pub async fn provision_again(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        let known = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        self.staying(fleet_id).await?;
        if !matches!(known.state, SubscriptionState::Pending | SubscriptionState::Provisioning) {
            return Err(ServiceError::Conflict("only a subscription that has not become active yet is provisioned"));
        }
        let (attempts, updated_at) = (known.attempts + 1, self.clock.now());
        let mut again = Subscription { attempts, reason: None, updated_at, ..known.clone() };
        let change = Change::of_subscription(author, Some(&known), &again);
        let updated = self.subscriptions.update(&again, Some(&change)).await;
        updated.map_err(|error| ServiceError::or_conflict(error, "the subscription changed meanwhile"))?;
        again.version += 1;
        self.workflow.start(&provisioning_of(&again)).await?;
        Ok(again)
    }

    /// Changes what a subscription is for, if it is still at `version`. What it no longer covers is gone when this answers, but
    /// for the moment that others remember what they read.
    pub async fn replace_subscription(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        request: SubscriptionRequest,
        version: u64,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        let kept = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        self.staying(fleet_id).await?;
        if kept.state == SubscriptionState::Revoked {
            return Err(ServiceError::Conflict("a revoked subscription does not change; subscribe anew"));
        }
        if kept.version != version {
            return Err(ServiceError::Stale);
        }
        let valid_from = request.valid_from.unwrap_or(kept.validity.valid_from);
        let validity = Validity { valid_from, valid_until: request.valid_until };
        self.check(&request, validity).await?;
        let SubscriptionRequest { vehicles, packages, delivery_format, .. } = request;
        let wanted = Subscription { vehicles, packages, delivery_format, validity, ..kept.clone() };
        let changed = change_subscription(&self.subscriptions, &self.clock, author, kept, wanted).await;
        changed.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::Stale,
            _ => error.into(),
        })
    }

    /// Moves a subscription from one state to another. Where it is there already, that is no error.
    pub async fn move_subscription(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        step: Transition,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        if step == Transition::Resume {
            self.staying(fleet_id).await?;
        }
        move_subscription(&self.subscriptions, &self.clock, &author, (fleet_id, subscription_id), step).await
    }

    /// A page of a fleet's subscriptions, by id, after one.
    pub async fn subscriptions(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, ServiceError> {
        may_see(caller, fleet_id)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.subscriptions.list(fleet_id, after, limit).await?)
    }

    /// The subscription of that id.
    pub async fn subscription(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        may_see(caller, fleet_id)?;
        self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)
    }

    async fn check(&self, request: &SubscriptionRequest, validity: Validity) -> Result<(), ServiceError> {
        let mut wrong = Vec::new();
        if request.vehicles.is_empty() || request.vehicles.len() > limits::VEHICLES_PER_SUBSCRIPTION {
            let detail = format!("1 to {} vehicles", limits::VEHICLES_PER_SUBSCRIPTION);
            wrong.push(InvalidField::new("/vehicles", detail));
        }
        if request.packages.is_empty() {
            wrong.push(InvalidField::new("/packages", "at least one package"));
        }
        let packages = self.entitlements.packages().await?;
        for (place, name) in request.packages.iter().enumerate() {
            if packages.get(name).is_none() {
                wrong.push(InvalidField::new(format!("/packages/{place}"), "no such package"));
            }
        }
        if validity.valid_until.is_some_and(|until| until <= validity.valid_from) {
            wrong.push(InvalidField::new("/validUntil", "must be later than validFrom"));
        }
        if wrong.is_empty() {
            for (place, vid) in request.vehicles.iter().enumerate() {
                if self.vehicles.get(vid).await?.is_none() {
                    wrong.push(InvalidField::new(format!("/vehicles/{place}"), "no such vehicle"));
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(wrong)) }
    }
}

/// The run that provisions a subscription.
fn provisioning_of(subscription: &Subscription) -> WorkflowRun {
    WorkflowRun::Provision {
        fleet_id: subscription.fleet_id.clone(),
        subscription_id: subscription.subscription_id.clone(),
        attempt: subscription.attempts,
    }
}
