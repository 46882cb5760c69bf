//! Shows the attempts and the deliveries of an endpoint, as far as the fleet may see their events.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::{Attempt, Delivery, DeliveryKey};
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{AttemptPage, AttemptPosition, Attempts as _, Deliveries as _, Endpoints as _};

use super::visibility::is_visible_to_fleet;
use crate::authz::FleetManager;
use crate::cache::CachedEntitlements;
use crate::{CONCURRENT_READS, ServiceError};

/// Lists attempts and shows deliveries.
pub struct AttemptQueries<Ports: PortSet> {
    /// The endpoints.
    pub endpoints: Ports::Endpoints,
    /// The attempts.
    pub attempts: Ports::Attempts,
    /// The deliveries, whose events decide what is shown.
    pub deliveries: Ports::Deliveries,
    /// The entitlements of the fleet.
    pub entitlements: CachedEntitlements<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> AttemptQueries<Ports> {
    /// Returns a page of attempts, newest first, before `before`. A client of the fleet gets those whose events the fleet may see
    /// now, and an admin gets all. A page may be short, or empty, although more attempts follow.
    pub async fn list(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        before: Option<&AttemptPosition>,
        limit: usize,
    ) -> Result<AttemptPage, ServiceError> {
        self.endpoints.get(manager.fleet_id(), endpoint_id).await?.ok_or(ServiceError::NotFound)?;
        let page = self.attempts.list(endpoint_id, before, limit).await?;
        if manager.is_admin() {
            return Ok(page);
        }
        let visible = page.attempts.into_iter().map(|attempt| self.if_visible(attempt));
        let visible: Vec<Option<Attempt>> = stream::iter(visible).buffered(CONCURRENT_READS).try_collect().await?;
        Ok(AttemptPage { attempts: visible.into_iter().flatten().collect(), next: page.next })
    }

    /// Returns a delivery. A client of the fleet gets it only if the fleet may see its event now.
    pub async fn delivery(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        delivery_id: DeliveryId,
    ) -> Result<Delivery, ServiceError> {
        self.endpoints.get(manager.fleet_id(), endpoint_id).await?.ok_or(ServiceError::NotFound)?;
        let key = DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id };
        let delivery = self.deliveries.get(&key).await?;
        let delivery = delivery.filter(|delivery| delivery.fleet_id == *manager.fleet_id()).ok_or(ServiceError::NotFound)?;
        if manager.is_admin() || self.is_visible(&delivery).await? { Ok(delivery) } else { Err(ServiceError::NotFound) }
    }

    /// Returns the attempt if the fleet may see its event. An attempt whose delivery has expired is not shown, because it is not
    /// known what its event contained.
    async fn if_visible(&self, attempt: Attempt) -> Result<Option<Attempt>, PortError> {
        let is_visible = match (&attempt.vid, self.deliveries.get(&attempt.key).await?) {
            (_, Some(delivery)) => self.is_visible(&delivery).await?,
            (Some(_), None) => false,
            (None, None) => true,
        };
        Ok(is_visible.then_some(attempt))
    }

    async fn is_visible(&self, delivery: &Delivery) -> Result<bool, PortError> {
        is_visible_to_fleet(&self.entitlements, &self.clock, &delivery.fleet_id, &delivery.payload).await
    }
}
