//! What fleets and admins do with webhook endpoints: create, list, change, delete and test them, and rotate their secrets.

mod secrets;
mod settings;

use std::collections::BTreeMap;

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{Fleet, FleetState};
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::{Endpoint, EndpointHealth, EndpointStatus, TargetRules, WebhookInterest};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{DeliveryTask, EndpointHealths as _, Endpoints as _, Sealer as _, WaitingLine};

use super::notices::{send_notice, test_event};
use super::tasks::send_later;
use crate::authz::FleetManager;
use crate::cache::CachedEntitlements;
use crate::{ServiceError, VersionCondition};

use settings::check_any_port;
pub use settings::{EndpointSettings, RequestedState};

/// How often a change is tried again after a concurrent change of another endpoint of the fleet.
const ATTEMPTS: usize = 5;
const CHANGED_CONCURRENTLY: &str = "the endpoints of the fleet are being modified concurrently; retry";
const FLEET_NOT_ACTIVE: ServiceError = ServiceError::Conflict("the fleet is being offboarded");
const TOO_MANY: ServiceError = ServiceError::Conflict("the fleet has 20 endpoints, which is the maximum; delete one");

/// Manages webhook endpoints.
pub struct EndpointManagement<Ports: PortSet> {
    /// The endpoints.
    pub endpoints: Ports::Endpoints,
    /// The fleets, which state what their endpoints want.
    pub fleets: Ports::Fleets,
    /// The packages that endpoints may name.
    pub entitlements: CachedEntitlements<Ports>,
    /// The health of endpoints.
    pub health: Ports::EndpointHealths,
    /// The deliveries of test events.
    pub deliveries: Ports::Deliveries,
    /// The queues of the dispatcher.
    pub queue: Ports::DeliveryQueue,
    /// Seals secrets and headers.
    pub sealer: Ports::Sealer,
    /// Where webhooks may be sent.
    pub rules: TargetRules,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of ids and secrets.
    pub randomness: Ports::Randomness,
}

impl<Ports: PortSet> EndpointManagement<Ports> {
    /// Creates an endpoint, and returns it with its secret, which no later response contains. Fails with `Conflict` if the fleet
    /// has [`Endpoint::MAX_PER_FLEET`] endpoints or is being offboarded.
    pub async fn create(
        &self,
        manager: &FleetManager,
        settings: EndpointSettings,
    ) -> Result<(Endpoint, String), ServiceError> {
        self.validate(&settings).await?;
        if settings.any_port {
            check_any_port(manager)?;
        }
        let endpoint_id = EndpointId::from_random_bits(self.randomness.bits());
        let now = self.clock.now();
        let (secret, sealed) = self.new_secret(&endpoint_id, now).await?;
        let headers = settings.headers.clone().unwrap_or_default();
        let endpoint = Endpoint {
            fleet_id: manager.fleet_id().clone(),
            header_names: headers.keys().cloned().collect(),
            sealed_headers: self.seal_headers(&endpoint_id, &headers).await?,
            endpoint_id,
            url: settings.url,
            any_port: settings.any_port,
            description: settings.description,
            event_types: settings.event_types,
            packages: settings.packages,
            order: settings.order,
            rate_limit: settings.rate_limit,
            retry_schedule: settings.retry_schedule,
            status: settings.state.status(),
            secrets: vec![sealed],
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let change = Change::endpoint_changed(manager.author(), None, &endpoint, now);
        for _ in 0..ATTEMPTS {
            // Read before the endpoints: their changes increase its version.
            let fleet = self.fleet(manager).await?;
            if fleet.state != FleetState::Active {
                return Err(FLEET_NOT_ACTIVE);
            }
            let others = self.endpoints.list(manager.fleet_id()).await?;
            // A response may have been lost.
            if others.iter().any(|other| other.endpoint_id == endpoint.endpoint_id) {
                return Ok((endpoint, secret));
            }
            if others.len() >= Endpoint::MAX_PER_FLEET {
                return Err(TOO_MANY);
            }
            let fleet = with_interest(fleet, others.iter().chain([&endpoint]));
            match self.endpoints.create(&endpoint, &fleet, &change).await {
                Ok(()) => return Ok((endpoint, secret)),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Returns an endpoint.
    pub async fn get(&self, manager: &FleetManager, endpoint_id: &EndpointId) -> Result<Endpoint, ServiceError> {
        self.endpoints.get(manager.fleet_id(), endpoint_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns the health of an endpoint.
    pub async fn health(&self, manager: &FleetManager, endpoint_id: &EndpointId) -> Result<EndpointHealth, ServiceError> {
        self.get(manager, endpoint_id).await?;
        Ok(self.health.get(endpoint_id).await?)
    }

    /// Returns all endpoints of the fleet, by id.
    pub async fn list(&self, manager: &FleetManager) -> Result<Vec<Endpoint>, ServiceError> {
        self.fleet(manager).await?;
        Ok(self.endpoints.list(manager.fleet_id()).await?)
    }

    /// Replaces the settings of an endpoint. Fails with `Stale` unless its version satisfies `condition`. Waiting deliveries of an
    /// endpoint that becomes active are attempted.
    pub async fn replace(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        settings: EndpointSettings,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<Endpoint, ServiceError> {
        self.validate(&settings).await?;
        let condition = condition.into();
        let sealed_headers = match &settings.headers {
            Some(headers) => Some((headers.keys().cloned().collect(), self.seal_headers(endpoint_id, headers).await?)),
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let fleet = self.fleet(manager).await?;
            let before = self.get(manager, endpoint_id).await?;
            if !condition.allows(before.version) {
                return Err(ServiceError::Stale);
            }
            if settings.any_port && !before.any_port {
                check_any_port(manager)?;
            }
            let now = self.clock.now();
            let (header_names, sealed_headers) =
                sealed_headers.clone().unwrap_or_else(|| (before.header_names.clone(), before.sealed_headers.clone()));
            let after = Endpoint {
                url: settings.url.clone(),
                any_port: settings.any_port,
                description: settings.description.clone(),
                event_types: settings.event_types.clone(),
                packages: settings.packages.clone(),
                header_names,
                sealed_headers,
                order: settings.order,
                rate_limit: settings.rate_limit,
                retry_schedule: settings.retry_schedule.clone(),
                status: settings.state.status(),
                updated_at: now,
                ..before.clone()
            };
            let fleet = if after.event_types == before.event_types {
                None
            } else {
                let others = self.endpoints.list(manager.fleet_id()).await?;
                let others = others.iter().filter(|other| other.endpoint_id != *endpoint_id);
                Some(with_interest(fleet, others.chain([&after])))
            };
            let change = Change::endpoint_changed(manager.author(), Some(&before), &after, now);
            match self.endpoints.replace(&after, fleet.as_ref(), &change).await {
                Ok(()) => {
                    self.after_change(&before, &after).await?;
                    return Ok(Endpoint { version: before.version + 1, ..after });
                }
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Deletes an endpoint: what waits for it is dropped. Fails with `Stale` unless its version satisfies `condition`.
    pub async fn remove(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<(), ServiceError> {
        let condition = condition.into();
        for _ in 0..ATTEMPTS {
            let fleet = self.fleet(manager).await?;
            let endpoint = self.get(manager, endpoint_id).await?;
            if !condition.allows(endpoint.version) {
                return Err(ServiceError::Stale);
            }
            let others = self.endpoints.list(manager.fleet_id()).await?;
            let fleet = with_interest(fleet, others.iter().filter(|other| other.endpoint_id != *endpoint_id));
            let change = Change::endpoint_removed(manager.author(), &endpoint, self.clock.now());
            match self.endpoints.remove(&endpoint, &fleet, &change).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Sends a test event to an endpoint, whatever types it receives, and returns the id of its delivery.
    pub async fn test(&self, manager: &FleetManager, endpoint_id: &EndpointId) -> Result<DeliveryId, ServiceError> {
        let endpoint = self.get(manager, endpoint_id).await?;
        let delivery = test_event(&endpoint, self.randomness.bits(), self.clock.now())?;
        send_notice(&self.deliveries, &self.queue, &endpoint, &delivery).await?;
        Ok(delivery.key.delivery_id)
    }

    async fn fleet(&self, manager: &FleetManager) -> Result<Fleet, ServiceError> {
        self.fleets.get(manager.fleet_id()).await?.ok_or(ServiceError::NotFound)
    }

    /// Has the waiting deliveries attempted soon after an endpoint was activated. Otherwise, the scheduler finds them within five
    /// minutes; so it does for the lines of an ordered endpoint.
    async fn after_change(&self, before: &Endpoint, after: &Endpoint) -> Result<(), ServiceError> {
        if before.status == after.status || after.status != EndpointStatus::Active {
            return Ok(());
        }
        // An endpoint that was disabled must not be disabled again because of the attempts before.
        if matches!(before.status, EndpointStatus::Disabled { .. }) {
            let health = self.health.get(&after.endpoint_id).await?;
            if health.revision > 0 {
                let healthy =
                    EndpointHealth { revision: health.revision, ..EndpointHealth::healthy(after.endpoint_id.clone()) };
                match self.health.replace(&healthy).await {
                    Err(error) if error.kind() != PortErrorKind::Conflict => return Err(error.into()),
                    _ => {}
                }
            }
        }
        let (fleet_id, endpoint_id) = (after.fleet_id.clone(), after.endpoint_id.clone());
        let line = WaitingLine { fleet_id, endpoint_id, vid: None };
        // After the time for which functions may still know the endpoint as it was.
        let delay_s = u32::try_from(crate::cache::TTL_MS / 1000).unwrap_or(0) + 1;
        Ok(send_later(&self.queue, DeliveryTask::Line { line }, delay_s).await?)
    }

    async fn seal_headers(
        &self,
        endpoint_id: &EndpointId,
        headers: &BTreeMap<String, String>,
    ) -> Result<Option<String>, ServiceError> {
        if headers.is_empty() {
            return Ok(None);
        }
        let json = settings::header_json(headers)?;
        Ok(Some(self.sealer.seal(endpoint_id, &json).await?))
    }
}

/// Returns the fleet with what these endpoints want.
fn with_interest<'e>(fleet: Fleet, endpoints: impl IntoIterator<Item = &'e Endpoint>) -> Fleet {
    Fleet { webhooks: Some(WebhookInterest::of(endpoints)), ..fleet }
}
