//! Webhook deliveries, in `deliveries`. The items expire.
//!
//! An item holds its key; `record`, the delivery without its event; `event`, the event as a zstd frame; `revision`; and
//! `expiresAt`. That of an alert has less than a kilobyte, which is one write unit.

use std::io::Read as _;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::{Delivery, DeliveryKey, DeliveryState, Payload};
use roadcast_ports::webhooks::{Deliveries, DeliveryPut};
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::revised_item::{self, Expected};

const PUT: &str = "storing a delivery";
const REPLACE: &str = "replacing a delivery";
const READ: &str = "reading deliveries";
const EVENT: &str = "event";
/// How long a delivered delivery can be looked up.
const DELIVERED_RETENTION_DAYS: i64 = 7;
/// How long any other delivery can be looked up. Longer than it can be pending.
const RETENTION_DAYS: i64 = 30;
/// Maximum bytes of a compressed event: the limit of an item is 400 KB, and the record has some kilobytes.
const MAX_COMPRESSED_BYTES: usize = 360_000;
/// Maximum bytes of an event. An entry of a bus is smaller.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
const COMPRESSION_LEVEL: i32 = 3;

/// Webhook deliveries in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoDeliveries {
    client: Client,
    table: String,
}

impl DynamoDeliveries {
    /// Creates the adapter on the given `deliveries` table.
    pub fn new(client: Client, deliveries_table: impl Into<String>) -> Self {
        Self { client, table: deliveries_table.into() }
    }
}

impl Deliveries for DynamoDeliveries {
    async fn put(&self, delivery: &Delivery) -> Result<DeliveryPut, PortError> {
        let revisions = (Expected::Absent, delivery.revision);
        match revised_item::put(&self.client, &self.table, encode(delivery, PUT)?, revisions, PUT).await {
            Ok(()) => Ok(DeliveryPut::Stored),
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(DeliveryPut::Exists),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &DeliveryKey) -> Result<Option<Delivery>, PortError> {
        let item = revised_item::get(&self.client, &self.table, &Key::delivery(key), READ).await?;
        item.as_ref().map(decode).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn replace(&self, delivery: &Delivery) -> Result<(), PortError> {
        let next = Delivery { revision: delivery.revision + 1, ..delivery.clone() };
        let revisions = (Expected::Revision(delivery.revision), next.revision);
        revised_item::put(&self.client, &self.table, encode(&next, REPLACE)?, revisions, REPLACE).await
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let Some(to) = before.map_or(Some(DeliveryId::MAX), DeliveryId::previous) else { return Ok(Vec::new()) };
        let range = KeyRange::deliveries(endpoint_id, to);
        let mut deliveries = Vec::new();
        let mut start = None;
        loop {
            let rest = Some(limit.max(1) - deliveries.len());
            let page = item::page(&self.client, &self.table, &range, rest, start, READ).await?;
            for item in page.items.iter().filter(|item| !expiry::is_expired(item)) {
                deliveries.push(decode(item).map_err(|error| error.into_port_error(READ))?);
            }
            // A page may end by its size, or contain expired items. Only an empty list means the end.
            match page.next {
                Some(next) if deliveries.is_empty() => start = Some(next),
                _ => return Ok(deliveries),
            }
        }
    }
}

fn encode(delivery: &Delivery, context: &'static str) -> Result<Item, PortError> {
    let (record, event) = without_event(delivery);
    let compressed = zstd::bulk::compress(event.as_bytes(), COMPRESSION_LEVEL)
        .map_err(|error| InvalidAttribute::with_source(EVENT, error).into_port_error(context))?;
    if compressed.len() > MAX_COMPRESSED_BYTES || event.len() > MAX_EVENT_BYTES {
        return Err(PortError::new(PortErrorKind::Rejected, context).caused_by("the event is too large for an item"));
    }
    let mut item = item::with_record(&Key::delivery(&delivery.key), &record, context)?;
    item.insert(EVENT.to_owned(), AttributeValue::B(Blob::new(compressed)));
    let days = if delivery.state == DeliveryState::Delivered { DELIVERED_RETENTION_DAYS } else { RETENTION_DAYS };
    item.extend([expiry::after_days(days)]);
    Ok(item)
}

fn decode(item: &Item) -> Result<Delivery, InvalidAttribute> {
    let mut delivery: Delivery = item::record(item)?;
    let frame = item.get(EVENT).and_then(|value| value.as_b().ok()).ok_or_else(|| InvalidAttribute::new(EVENT))?;
    let mut text = String::new();
    // The limit is that of the writer: an item never makes the reader allocate more.
    zstd::stream::read::Decoder::new(frame.as_ref())
        .and_then(|decoder| decoder.take(MAX_EVENT_BYTES as u64).read_to_string(&mut text))
        .map_err(|error| InvalidAttribute::with_source(EVENT, error))?;
    *event_of(&mut delivery.payload) = text;
    Ok(delivery)
}

/// Returns the delivery without its event, and the event.
fn without_event(delivery: &Delivery) -> (Delivery, String) {
    let mut record = delivery.clone();
    let event = std::mem::take(event_of(&mut record.payload));
    (record, event)
}

fn event_of(payload: &mut Payload) -> &mut String {
    match payload {
        Payload::Event { cloud_event, .. } | Payload::Notice { cloud_event, .. } => cloud_event,
    }
}
