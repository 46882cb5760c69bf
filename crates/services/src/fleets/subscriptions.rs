//! Subscriptions: creates, provisions, replaces, transitions and reads them.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::audit::Change;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::package::PackageName;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;

use super::onboarding::{FLEET_OFFBOARDING, Onboarding};
use super::revocation::{Transition, transition_subscription};
use super::subscription_changes::change_subscription;
use crate::authz::{Admin, FleetReader};
use crate::{CONCURRENT_READS, InvalidField, ServiceError, VersionCondition};

/// A request to create or replace a subscription.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The vehicles.
    pub vehicles: Vec<VehicleId>,
    /// The packages.
    pub packages: Vec<PackageName>,
    /// The delivery format of telemetry; JSON by default.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// The start of the validity, inclusive. Defaults to now for a new subscription, and to the current value for an
    /// existing one.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub valid_from: Option<Timestamp>,
    /// The end of the validity, exclusive; unlimited by default.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub valid_until: Option<Timestamp>,
}

impl SubscriptionRequest {
    /// Returns the faults of its lists: their lengths and repeated entries.
    fn list_faults(&self) -> Vec<InvalidField> {
        let vehicles = list_faults("vehicles", &self.vehicles, limits::VEHICLES_PER_SUBSCRIPTION);
        let packages = list_faults("packages", &self.packages, limits::PACKAGES_PER_SUBSCRIPTION);
        vehicles.into_iter().chain(packages).collect()
    }
}

/// Returns the faults of a list of 1 to `max` distinct entries: its length, or else each entry that is a repetition.
fn list_faults<Entry: Ord>(member: &'static str, entries: &[Entry], max: usize) -> Vec<InvalidField> {
    if entries.is_empty() || entries.len() > max {
        return vec![InvalidField::new([member], format!("must contain 1 to {max} entries"))];
    }
    let mut first_index: BTreeMap<&Entry, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let first = *first_index.entry(entry).or_insert(index);
        if first != index {
            let detail = format!("repeats /{member}/{first}; remove one of them");
            faults.push(InvalidField::new(JsonPointer::from([member]).index(index), detail));
        }
    }
    faults
}

impl<Ports: PortSet> Onboarding<Ports> {
    /// Creates a subscription and starts to provision it. Fails with `Conflict` if the fleet is being offboarded.
    pub async fn subscribe(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        request: SubscriptionRequest,
    ) -> Result<Subscription, ServiceError> {
        self.active_fleet(fleet_id).await?;
        let now = self.clock.now();
        let validity = Validity { valid_from: request.valid_from.unwrap_or(now), valid_until: request.valid_until };
        self.validate(&request, validity).await?;
        let subscription = Subscription {
            subscription_id: SubscriptionId::from_random_bits(self.randomness.bits()),
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
        let change = Change::subscription_changed(admin.author(), None, &subscription);
        let created = self.subscriptions.create(&subscription, &change).await;
        created.map_err(|error| if error.kind() == PortErrorKind::Conflict { FLEET_OFFBOARDING } else { error.into() })?;
        self.workflow.start(&provisioning_run(&subscription)).await?;
        Ok(subscription)
    }

    /// Restarts the provisioning of a subscription that is not active yet, because an earlier attempt failed or stopped.
    /// Every step is idempotent, so existing resources are reused. Fails with `Conflict` if the subscription is in another
    /// state.
    pub async fn retry_provisioning(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        let before = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        self.active_fleet(fleet_id).await?;
        if !matches!(before.state, SubscriptionState::Pending | SubscriptionState::Provisioning) {
            return Err(ServiceError::Conflict("only a pending or provisioning subscription can be provisioned"));
        }
        let (attempts, updated_at) = (before.attempts + 1, self.clock.now());
        let mut retried = Subscription { attempts, reason: None, updated_at, ..before.clone() };
        let change = Change::subscription_changed(admin.author(), Some(&before), &retried);
        let updated = self.subscriptions.update(&retried, &change).await;
        updated
            .map_err(|error| ServiceError::or_conflict(error, "the subscription is being modified concurrently; retry"))?;
        retried.version += 1;
        self.workflow.start(&provisioning_run(&retried)).await?;
        Ok(retried)
    }

    /// Replaces a subscription's content. Fails with `Stale` unless its version satisfies `condition`, and with `Conflict` if
    /// it is revoked. What the subscription no longer covers is inaccessible when this returns, except in caches until they
    /// expire.
    pub async fn replace_subscription(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        request: SubscriptionRequest,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<Subscription, ServiceError> {
        let before = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        self.active_fleet(fleet_id).await?;
        if before.state == SubscriptionState::Revoked {
            return Err(ServiceError::Conflict("the subscription is revoked; create a new subscription"));
        }
        if !condition.into().allows(before.version) {
            return Err(ServiceError::Stale);
        }
        let valid_from = request.valid_from.unwrap_or(before.validity.valid_from);
        let validity = Validity { valid_from, valid_until: request.valid_until };
        self.validate(&request, validity).await?;
        let SubscriptionRequest { vehicles, packages, delivery_format, .. } = request;
        let wanted = Subscription { vehicles, packages, delivery_format, validity, ..before.clone() };
        let changed = change_subscription(&self.subscriptions, &self.clock, admin.author(), before, wanted).await;
        changed.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::Stale,
            _ => error.into(),
        })
    }

    /// Transitions a subscription. Idempotent: a transition to the current state succeeds. Fails with `Conflict` if the
    /// transition is not allowed in the current state.
    pub async fn transition_subscription(
        &self,
        admin: &Admin,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        transition: Transition,
    ) -> Result<Subscription, ServiceError> {
        if transition == Transition::Resume {
            self.active_fleet(fleet_id).await?;
        }
        transition_subscription(&self.subscriptions, &self.clock, &admin.author(), (fleet_id, subscription_id), transition)
            .await
    }

    /// Returns a page of a fleet's subscriptions, by id, after `after`.
    pub async fn subscriptions(
        &self,
        fleet: &FleetReader,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, ServiceError> {
        self.fleets.get(fleet.fleet_id()).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.subscriptions.list(fleet.fleet_id(), after, limit).await?)
    }

    /// Returns the subscription.
    pub async fn subscription(
        &self,
        fleet: &FleetReader,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        self.subscriptions.get(fleet.fleet_id(), subscription_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Validates the request. Fails with `Invalid` and every invalid field.
    async fn validate(&self, request: &SubscriptionRequest, validity: Validity) -> Result<(), ServiceError> {
        let mut invalid = request.list_faults();
        if invalid.is_empty() {
            let packages = self.entitlements.packages().await?;
            for (index, name) in request.packages.iter().enumerate() {
                if packages.get(name.as_str()).is_none() {
                    invalid.push(InvalidField::new(
                        JsonPointer::from(["packages"]).index(index),
                        "no such package; GET /packages lists them",
                    ));
                }
            }
        }
        if validity.valid_until.is_some_and(|until| until <= validity.valid_from) {
            invalid.push(InvalidField::new(["validUntil"], "must be later than validFrom"));
        }
        if invalid.is_empty() {
            invalid = self.unknown_vehicles(&request.vehicles).await?;
        }
        if invalid.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(invalid)) }
    }

    /// Returns a fault for each vehicle that is not registered, in the order of `vids`. Reads the vehicles concurrently.
    async fn unknown_vehicles(&self, vids: &[VehicleId]) -> Result<Vec<InvalidField>, ServiceError> {
        // A loop, because the compiler rejects a closure over borrowed ids here.
        let mut reads = Vec::with_capacity(vids.len());
        for vid in vids {
            reads.push(self.vehicles.get(vid));
        }
        let vehicles: Vec<_> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        let unknown = vehicles.into_iter().enumerate().filter(|(_, vehicle)| vehicle.is_none());
        let fault = |index| InvalidField::new(JsonPointer::from(["vehicles"]).index(index), "no vehicle has this vid");
        Ok(unknown.map(|(index, _)| fault(index)).collect())
    }
}

/// Returns the workflow run that provisions the subscription.
fn provisioning_run(subscription: &Subscription) -> WorkflowRun {
    WorkflowRun::Provision {
        fleet_id: subscription.fleet_id.clone(),
        subscription_id: subscription.subscription_id.clone(),
        attempt: subscription.attempts,
    }
}

#[cfg(test)]
mod tests;
