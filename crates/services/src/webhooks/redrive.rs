//! Makes failed deliveries pending again.
//!
//! A redrive has an id, which its caller chooses, and a record of its progress. A delivery is made pending under the condition of
//! its revision and states the redrive, so that a redrive which is repeated or interrupted has one effect on each delivery.

use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::redrive::RedriveDecision;
use roadcast_domain::webhook::{Delivery, DeliveryKey, Endpoint, EndpointRedrive, EndpointRedriveRequest};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Deliveries, DeliveryQueue, EndpointRedrives as _, Endpoints as _};
use roadcast_ports::{PortError, PortErrorKind};

use super::tasks::{attempt_of, send_all};
use crate::ServiceError;
use crate::authz::FleetManager;
use crate::requests::named_ids::check_named_ids;

/// The deliveries that are listed at a time.
const PAGE: usize = 25;
const OTHER_REQUEST: ServiceError = ServiceError::Conflict("the redrive id was used with another request");

/// Makes failed deliveries of endpoints pending again.
pub struct EndpointRedriver<Ports: PortSet> {
    /// The endpoints.
    pub endpoints: Ports::Endpoints,
    /// The deliveries.
    pub deliveries: Ports::Deliveries,
    /// The queues of the dispatcher.
    pub queue: Ports::DeliveryQueue,
    /// The records of redrives.
    pub redrives: Ports::EndpointRedrives,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> EndpointRedriver<Ports> {
    /// Starts the redrive with this id, or continues it, for `time_ms`, and returns its record. Fails with `Conflict` if the id
    /// has another request, and with `Invalid` if the request names no or too many deliveries.
    pub async fn run(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        id: &RedriveId,
        request: EndpointRedriveRequest,
        time_ms: i64,
    ) -> Result<EndpointRedrive, ServiceError> {
        validate(&request)?;
        let endpoint = self.endpoint(manager, endpoint_id).await?;
        let until = self.clock.now().plus_ms(time_ms);
        let mut redrive = self.start(manager, endpoint_id, id, request).await?;
        while !redrive.finished && self.clock.now() < until {
            let page = self.next_deliveries(&redrive).await?;
            if page.is_empty() {
                redrive.finished = true;
            }
            for delivery_id in page {
                let key = DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id };
                let redriven = match self.deliveries.get(&key).await? {
                    Some(delivery) => self.redrive(&endpoint, delivery, id).await?,
                    None => false,
                };
                redrive.redriven += u64::from(redriven);
                redrive.skipped += u64::from(!redriven);
                redrive.position = Some(delivery_id);
            }
            redrive.updated_at = self.clock.now();
            match self.redrives.replace(&redrive).await {
                Ok(()) => redrive.revision += 1,
                // Another request of the same redrive continues it.
                Err(error) if error.kind() == PortErrorKind::Conflict => return self.get(manager, endpoint_id, id).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(redrive)
    }

    /// Returns the record of a redrive.
    pub async fn get(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        id: &RedriveId,
    ) -> Result<EndpointRedrive, ServiceError> {
        self.endpoint(manager, endpoint_id).await?;
        self.redrives.get(endpoint_id, id).await?.ok_or(ServiceError::NotFound)
    }

    async fn endpoint(&self, manager: &FleetManager, endpoint_id: &EndpointId) -> Result<Endpoint, ServiceError> {
        self.endpoints.get(manager.fleet_id(), endpoint_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns the stored record, or creates it.
    async fn start(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        id: &RedriveId,
        request: EndpointRedriveRequest,
    ) -> Result<EndpointRedrive, ServiceError> {
        let now = self.clock.now();
        let new = EndpointRedrive {
            endpoint_id: endpoint_id.clone(),
            redrive_id: id.clone(),
            request,
            by: manager.author(),
            created_at: now,
            updated_at: now,
            revision: 0,
            finished: false,
            position: None,
            redriven: 0,
            skipped: 0,
        };
        match self.redrives.create(&new).await {
            Ok(()) => Ok(new),
            Err(error) if error.kind() == PortErrorKind::Conflict => {
                let stored = self.redrives.get(endpoint_id, id).await?.ok_or(ServiceError::NotFound)?;
                if stored.request == new.request { Ok(stored) } else { Err(OTHER_REQUEST) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the next deliveries of a redrive; none if all are done.
    async fn next_deliveries(&self, redrive: &EndpointRedrive) -> Result<Vec<DeliveryId>, PortError> {
        let since = match &redrive.request {
            EndpointRedriveRequest::Deliveries { delivery_ids } => {
                let done = redrive.position.and_then(|position| delivery_ids.iter().position(|id| *id == position));
                return Ok(delivery_ids.iter().skip(done.map_or(0, |done| done + 1)).take(PAGE).copied().collect());
            }
            EndpointRedriveRequest::Since { since } => Some(*since),
            EndpointRedriveRequest::All => None,
        };
        let page = self.deliveries.list(&redrive.endpoint_id, redrive.position, PAGE).await?;
        let ids = page.iter().map(|delivery| delivery.key.delivery_id);
        Ok(ids.take_while(|id| since.is_none_or(|since| id.time() >= since)).collect())
    }

    /// Returns whether the delivery is pending again because of this redrive.
    async fn redrive(&self, endpoint: &Endpoint, delivery: Delivery, id: &RedriveId) -> Result<bool, PortError> {
        redrive_delivery(&self.deliveries, &self.queue, endpoint, delivery, id, self.clock.now()).await
    }
}

/// Makes a failed delivery pending, and sends its task. Returns whether it is pending because of this redrive.
pub(crate) async fn redrive_delivery(
    deliveries: &impl Deliveries,
    queue: &impl DeliveryQueue,
    endpoint: &Endpoint,
    delivery: Delivery,
    id: &RedriveId,
    now: roadcast_domain::Timestamp,
) -> Result<bool, PortError> {
    let pending = match delivery.redriven(id, now) {
        RedriveDecision::Skip => return Ok(false),
        RedriveDecision::Resend => delivery,
        RedriveDecision::Redrive(pending) => match deliveries.replace(&pending).await {
            Ok(()) => *pending,
            // Another redrive, or the same one in another request, was first.
            Err(error) if error.kind() == PortErrorKind::Conflict => return Ok(false),
            Err(error) => return Err(error),
        },
    };
    send_all(queue, vec![attempt_of(&pending, endpoint)]).await?;
    Ok(true)
}

fn validate(request: &EndpointRedriveRequest) -> Result<(), ServiceError> {
    match request {
        EndpointRedriveRequest::Deliveries { delivery_ids } => {
            check_named_ids("deliveryIds", delivery_ids, EndpointRedriveRequest::MAX_DELIVERIES)
        }
        EndpointRedriveRequest::Since { .. } | EndpointRedriveRequest::All => Ok(()),
    }
}
