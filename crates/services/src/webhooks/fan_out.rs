//! Makes a delivery for each event of an entry of the delivery bus and each endpoint that wants it.

use futures::future::join_all;
use roadcast_codec::bus_entry::{self, Probe};
use roadcast_codec::failed_delivery;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{DeliveryId, FleetId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::webhook::{Delivery, DeliveryKey, Endpoint, FailureReason, Payload};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Deliveries as _, DeliveryPut, DeliveryTask, FailedDeliveries as _};
use roadcast_ports::{PortError, PortErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::tasks::{attempt_of, send_all};
use crate::cache::{CachedEndpoints, CachedEntitlements};

/// The bytes of an event, in the form of the bus, above which it fails from the start. Its body would exceed
/// [`Endpoint::MAX_BODY_BYTES`], also if the form of the bus is base64, and no item can hold it.
const MAX_STORED_BYTES: usize = 344 * 1024;
/// The bytes of an event above which its deliveries are stored one after another, so that the memory is bounded by two copies of
/// an event, whatever the number of endpoints.
const LARGE_EVENT_BYTES: usize = 32 * 1024;
/// The number of deliveries of a smaller event that are stored concurrently.
const CONCURRENT_PUTS: usize = 10;

/// Makes deliveries.
pub struct WebhookFanOut<Ports: PortSet> {
    /// The endpoints of fleets.
    pub endpoints: CachedEndpoints<Ports>,
    /// The packages, to which endpoints limit what they receive.
    pub entitlements: CachedEntitlements<Ports>,
    /// The deliveries.
    pub deliveries: Ports::Deliveries,
    /// The queues of the dispatcher.
    pub queue: Ports::DeliveryQueue,
    /// The queue of dead letters.
    pub failed: Ports::FailedDeliveries,
    /// The clock.
    pub clock: Ports::Clock,
}

/// The counts of an entry.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FanOutCounts {
    /// Events in the entry.
    pub events: usize,
    /// Deliveries that were stored.
    pub stored: usize,
    /// Deliveries that were stored before, because the entry was received again.
    pub repeated: usize,
}

/// Why an entry must be received again.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The message is not an entry of the delivery bus.
    #[error("the message is not an entry of the delivery bus")]
    Entry(#[from] serde_json::Error),
    /// An event is not readable. The others were delivered.
    #[error("event {index} of the entry is not readable")]
    Unreadable {
        /// The index of the event in the entry.
        index: usize,
        /// The cause.
        source: bus_entry::DecodeError,
    },
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An entry of the delivery bus, as a rule sends it to its target.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    detail: Detail<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    fleet_id: FleetId,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

impl<Ports: PortSet> WebhookFanOut<Ports> {
    /// Stores the deliveries of a message of the queue and sends their tasks. Can be repeated: a delivery that is stored is not
    /// stored again, and its task is sent again unless it is done. What fails does not affect the rest.
    pub async fn fan_out(&self, message: &str) -> Result<FanOutCounts, FanOutError> {
        let Entry { detail: Detail { fleet_id, events } } = serde_json::from_str(message)?;
        let endpoints = self.endpoints.list(&fleet_id).await?;
        let (mut counts, mut failed) = (FanOutCounts::default(), None);
        if endpoints.is_empty() {
            return Ok(counts);
        }
        let packages = self.entitlements.packages().await?;
        for (index, cloud_event) in events.into_iter().enumerate() {
            if Probe::decode(cloud_event.get()).is_some() {
                continue;
            }
            match bus_entry::decode(cloud_event.get()) {
                Ok(decoded) => {
                    for event in &decoded.events {
                        counts.events += 1;
                        if let Err(error) = self.deliver(&fleet_id, &endpoints, event, &packages, &mut counts).await {
                            failed = Some(error);
                        }
                    }
                }
                Err(source) => failed = Some(FanOutError::Unreadable { index, source }),
            }
        }
        failed.map_or(Ok(counts), Err)
    }

    /// Stores the deliveries of an event, and then sends their tasks.
    async fn deliver(
        &self,
        fleet_id: &FleetId,
        endpoints: &[Endpoint],
        event: &Event,
        packages: &Packages,
        counts: &mut FanOutCounts,
    ) -> Result<(), FanOutError> {
        let event_type = event.event_type();
        let wanting = endpoints.iter().filter(|endpoint| {
            endpoint.wants(event_type.as_str())
                && endpoint.coverage(packages).is_none_or(|covered| covered.redact(event).is_some())
        });
        let wanting: Vec<&Endpoint> = wanting.collect();
        if wanting.is_empty() {
            return Ok(());
        }
        // Without the consent epoch and always as JSON, so that the same content has the same id when it is published again.
        let encoded = bus_entry::encode(&[event], DeliveryFormat::Json, None).map_err(FanOutError::Entry)?;
        let Some(content) = encoded.into_iter().next().map(|entry| entry.json) else { return Ok(()) };
        let is_too_large = content.len() > MAX_STORED_BYTES;
        let new_delivery = |endpoint: &Endpoint| {
            let delivery_id = DeliveryId::for_event(&endpoint.endpoint_id, event.eid, &content);
            let payload = Payload::Event {
                vid: event.vid.clone(),
                eid: event.eid,
                event_type: event_type.as_str().to_owned(),
                cloud_event: content.clone(),
            };
            let key = DeliveryKey { endpoint_id: endpoint.endpoint_id.clone(), delivery_id };
            let delivery = Delivery::new(key, fleet_id.clone(), payload, self.clock.now());
            if !is_too_large {
                return delivery;
            }
            // At a time that is the same if the entry is received again, so that its dead letter is the same.
            let at = event.received;
            Delivery { created_at: at, ..delivery }.failed(FailureReason::TooLarge, at)
        };
        let concurrent = if content.len() > LARGE_EVENT_BYTES { 1 } else { CONCURRENT_PUTS };
        let (mut tasks, mut failed) = (Vec::with_capacity(wanting.len()), None);
        for endpoints in wanting.chunks(concurrent) {
            // A loop, because the compiler rejects a closure over borrowed endpoints here as not general enough.
            let mut puts = Vec::with_capacity(endpoints.len());
            for endpoint in endpoints {
                puts.push(self.put(endpoint, new_delivery(endpoint)));
            }
            for result in join_all(puts).await {
                match result {
                    Ok((put, task)) => {
                        counts.stored += usize::from(put == DeliveryPut::Stored);
                        counts.repeated += usize::from(put == DeliveryPut::Exists);
                        tasks.extend(task);
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        // A failure of one delivery does not delay the others.
        send_all(&self.queue, tasks).await?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Stores a delivery. Returns its task, unless it is done.
    async fn put(&self, endpoint: &Endpoint, delivery: Delivery) -> Result<(DeliveryPut, Option<DeliveryTask>), PortError> {
        if delivery.state.is_terminal() {
            return Ok((self.put_failed(delivery).await?, None));
        }
        let task = attempt_of(&delivery, endpoint);
        let put = self.deliveries.put(&delivery).await?;
        let is_done = put == DeliveryPut::Exists
            && self.deliveries.get(&delivery.key).await?.is_none_or(|stored| stored.state.is_terminal());
        Ok((put, (!is_done).then_some(task)))
    }

    /// Sends the dead letter of a delivery that fails from the start, and stores the delivery without the event.
    async fn put_failed(&self, mut delivery: Delivery) -> Result<DeliveryPut, PortError> {
        let record = failed_delivery::encode(&delivery)
            .map_err(|error| PortError::new(PortErrorKind::Internal, "encoding a failed delivery").caused_by(error))?;
        self.failed.send(&record).await?;
        if let Payload::Event { cloud_event, .. } = &mut delivery.payload {
            *cloud_event = String::new();
        }
        self.deliveries.put(&delivery).await
    }
}
