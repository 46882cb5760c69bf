//! The ports of webhooks under the meter.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId};
use roadcast_domain::webhook::{Attempt, Delivery, DeliveryKey, Endpoint, EndpointHealth, Payload};
use roadcast_ports::PortError;
use roadcast_ports::webhooks::{
    AttemptPage, AttemptPosition, Attempts, Deliveries, DeliveryPut, DeliveryQueue, DeliveryTask, DueLine, EndpointHealths,
    Endpoints, FailedDeliveries, LineContent, Sealer, WaitingDeliveries, WaitingDelivery, WaitingLine, WebhookRequest,
    WebhookResponse, WebhookSender,
};
use serde::Serialize;

use crate::GIB;
use crate::meter::{Item, Meter, Metered, rules, waits};

/// How long an endpoint takes to respond, in seconds. A function is billed while it waits.
const RESPONSE_S: f64 = 0.1;
/// Bytes that the client sends to open a connection with TLS 1.3, packets included. Rare requests share no connection.
const HANDSHAKE_BYTES: usize = 2000;
/// Bytes of the request line and of the headers that the client adds.
const HEAD_BYTES: usize = 200;
/// Bytes of the log line of an attempt.
const ATTEMPT_LOG_BYTES: f64 = 600.0;
/// Bytes of an item of a line or of a waiting delivery.
const WAITING_BYTES: usize = 200;
/// The part of a month for which the items of a delivered event are stored: seven days.
const STORED_MONTHS: f64 = 7.0 / 30.0;

impl Meter {
    fn write_item(&self, bytes: usize, stored: bool) {
        self.count(Item::DynamodbWriteUnit, rules::write_units(bytes));
        self.wait(waits::DYNAMODB_WRITE * 16.0);
        if stored {
            self.count(Item::DynamodbStorage, (bytes as f64 + rules::STORED_OVERHEAD_BYTES) / GIB * STORED_MONTHS);
        }
    }

    fn read_items(&self, bytes: usize) {
        self.count(Item::DynamodbReadUnit, rules::read_units(bytes));
        self.wait(waits::DYNAMODB_READ * 16.0);
    }

    fn call_queue(&self) {
        self.count(Item::SqsRequest, 1.0);
        self.wait(waits::SQS);
    }
}

/// Bytes of an item as JSON: more than those of its attributes.
fn bytes_of(item: &impl Serialize) -> usize {
    serde_json::to_vec(item).map_or(0, |json| json.len())
}

/// Bytes of a delivery, whose event is compressed.
fn delivery_bytes(delivery: &Delivery) -> usize {
    let (Payload::Event { cloud_event, .. } | Payload::Notice { cloud_event, .. }) = &delivery.payload;
    let compressed = zstd::bulk::compress(cloud_event.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL);
    bytes_of(delivery) - bytes_of(cloud_event) + compressed.map_or(cloud_event.len(), |compressed| compressed.len())
}

impl<Port: Deliveries> Deliveries for Metered<Port> {
    async fn put(&self, delivery: &Delivery) -> Result<DeliveryPut, PortError> {
        self.meter.write_item(delivery_bytes(delivery), true);
        self.inner.put(delivery).await
    }

    async fn get(&self, key: &DeliveryKey) -> Result<Option<Delivery>, PortError> {
        let found = self.inner.get(key).await?;
        self.meter.read_items(found.as_ref().map_or(0, delivery_bytes));
        Ok(found)
    }

    async fn replace(&self, delivery: &Delivery) -> Result<(), PortError> {
        self.meter.write_item(delivery_bytes(delivery), false);
        self.inner.replace(delivery).await
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let found = self.inner.list(endpoint_id, before, limit).await?;
        self.meter.read_items(found.iter().map(delivery_bytes).sum());
        Ok(found)
    }
}

impl<Port: Attempts> Attempts for Metered<Port> {
    async fn record(&self, attempts: &[Attempt]) -> Result<(), PortError> {
        for attempt in attempts {
            self.meter.write_item(bytes_of(attempt), true);
            self.meter.count(Item::LogGb, ATTEMPT_LOG_BYTES / GIB);
        }
        self.inner.record(attempts).await
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<&AttemptPosition>,
        limit: usize,
    ) -> Result<AttemptPage, PortError> {
        let page = self.inner.list(endpoint_id, before, limit).await?;
        self.meter.read_items(page.attempts.iter().map(bytes_of).sum());
        Ok(page)
    }
}

impl<Port: Endpoints> Endpoints for Metered<Port> {
    async fn create(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        self.inner.create(endpoint, fleet, change).await
    }

    async fn get(&self, fleet_id: &FleetId, endpoint_id: &EndpointId) -> Result<Option<Endpoint>, PortError> {
        let found = self.inner.get(fleet_id, endpoint_id).await?;
        self.meter.read_items(bytes_of(&found));
        Ok(found)
    }

    async fn list(&self, fleet_id: &FleetId) -> Result<Vec<Endpoint>, PortError> {
        let found = self.inner.list(fleet_id).await?;
        self.meter.read_items(bytes_of(&found));
        Ok(found)
    }

    async fn replace(&self, endpoint: &Endpoint, fleet: Option<&Fleet>, change: &Change) -> Result<(), PortError> {
        self.inner.replace(endpoint, fleet, change).await
    }

    async fn remove(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        self.inner.remove(endpoint, fleet, change).await
    }
}

impl<Port: EndpointHealths> EndpointHealths for Metered<Port> {
    async fn get(&self, endpoint_id: &EndpointId) -> Result<EndpointHealth, PortError> {
        self.meter.read_items(WAITING_BYTES);
        self.inner.get(endpoint_id).await
    }

    async fn replace(&self, health: &EndpointHealth) -> Result<(), PortError> {
        self.meter.write_item(bytes_of(health), false);
        self.inner.replace(health).await
    }

    async fn take_slot(
        &self,
        endpoint_id: &EndpointId,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, PortError> {
        self.meter.write_item(WAITING_BYTES, false);
        self.inner.take_slot(endpoint_id, slots, now, until).await
    }

    async fn count_attempt(&self, endpoint_id: &EndpointId, second: Timestamp) -> Result<u32, PortError> {
        self.meter.write_item(WAITING_BYTES, false);
        self.inner.count_attempt(endpoint_id, second).await
    }

    async fn return_slot(&self, endpoint_id: &EndpointId, slot: u32) -> Result<(), PortError> {
        self.meter.write_item(WAITING_BYTES, false);
        self.inner.return_slot(endpoint_id, slot).await
    }
}

impl<Port: WaitingDeliveries> WaitingDeliveries for Metered<Port> {
    async fn add(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> Result<(), PortError> {
        // The waiting delivery, and the line.
        self.meter.write_item(WAITING_BYTES, false);
        self.meter.write_item(WAITING_BYTES, false);
        self.inner.add(line, waiting).await
    }

    async fn first(&self, line: &WaitingLine, limit: usize) -> Result<LineContent, PortError> {
        let content = self.inner.first(line, limit).await?;
        // The line, then a query of what waits in it.
        self.meter.read_items(WAITING_BYTES);
        self.meter.read_items(WAITING_BYTES * content.waiting.len());
        Ok(content)
    }

    async fn remove(&self, line: &WaitingLine, waiting: &[WaitingDelivery]) -> Result<(), PortError> {
        for _ in waiting {
            self.meter.write_item(WAITING_BYTES, false);
        }
        self.inner.remove(line, waiting).await
    }

    async fn lines(&self, now: Timestamp, after: Option<&WaitingLine>, limit: usize) -> Result<Vec<DueLine>, PortError> {
        let lines = self.inner.lines(now, after, limit).await?;
        self.meter.read_items(WAITING_BYTES * lines.len());
        Ok(lines)
    }

    async fn reschedule(&self, line: &WaitingLine, due_at: Option<Timestamp>, revision: u64) -> Result<(), PortError> {
        self.meter.write_item(WAITING_BYTES, false);
        self.inner.reschedule(line, due_at, revision).await
    }
}

impl<Port: DeliveryQueue> DeliveryQueue for Metered<Port> {
    async fn send(&self, tasks: &[(DeliveryTask, u32)]) -> Vec<Result<(), PortError>> {
        // Ten messages per request.
        for _ in tasks.chunks(10) {
            self.meter.call_queue();
        }
        self.inner.send(tasks).await
    }

    async fn send_ordered(&self, tasks: &[DeliveryTask]) -> Vec<Result<(), PortError>> {
        for _ in tasks.chunks(10) {
            self.meter.call_queue();
        }
        self.inner.send_ordered(tasks).await
    }
}

impl<Port: FailedDeliveries> FailedDeliveries for Metered<Port> {
    async fn send(&self, record: &str) -> Result<(), PortError> {
        self.meter.call_queue();
        self.inner.send(record).await
    }
}

impl<Port: Sealer> Sealer for Metered<Port> {
    async fn seal(&self, endpoint_id: &EndpointId, text: &str) -> Result<String, PortError> {
        self.meter.count(Item::KmsRequest, 1.0);
        self.inner.seal(endpoint_id, text).await
    }

    async fn open(&self, endpoint_id: &EndpointId, sealed: &str) -> Result<String, PortError> {
        self.meter.count(Item::KmsRequest, 1.0);
        self.inner.open(endpoint_id, sealed).await
    }
}

impl<Port: WebhookSender> WebhookSender for Metered<Port> {
    async fn post(&self, request: &WebhookRequest) -> WebhookResponse {
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let bytes = HANDSHAKE_BYTES + HEAD_BYTES + headers + request.body.len();
        self.meter.count(Item::DataOut, bytes as f64 / GIB);
        let response = self.inner.post(request).await;
        let is_timeout = response.status.is_none();
        self.meter.wait(if is_timeout { WebhookRequest::TIMEOUT_MS as f64 / 1000.0 } else { RESPONSE_S });
        response
    }
}
