//! Webhook deliveries that wait, in `deliveries`. The items expire.
//!
//! A delivery of an ordered line has one item, by its id. A delivery of an unordered line has an item by the time when it is due,
//! and another one that states this time, to find the first if the time changes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::webhooks::{DueLine, LineContent, WaitingDeliveries, WaitingDelivery, WaitingLine};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, KeyRange};
use crate::dynamodb::waiting_lines::{DUE, RETENTION_DAYS, WaitingLines};
use crate::sdk_error::port_error;

const ADD: &str = "adding a waiting delivery";
const READ: &str = "reading waiting deliveries";
const REMOVE: &str = "removing waiting deliveries";
const DELIVERY: &str = "deliveryId";
/// When the time of the delivery ends, in milliseconds since the Unix epoch.
const ENDS: &str = "endsAt";
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Waiting deliveries in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoWaitingDeliveries {
    client: Client,
    table: String,
    lines: WaitingLines,
}

impl DynamoWaitingDeliveries {
    /// Creates the adapter on the given `deliveries` table.
    pub fn new(client: Client, deliveries_table: impl Into<String>) -> Self {
        let table = deliveries_table.into();
        Self { lines: WaitingLines::new(client.clone(), table.clone()), client, table }
    }

    /// States when a delivery of an unordered line is due. Returns the time that was stated before.
    async fn replace_due_time(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> Result<Option<Timestamp>, PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let updated = update
            .set_key(Some(Key::due_time(line, waiting.delivery_id).attributes()))
            .update_expression("SET #due = :due, #expires = :expires")
            .expression_attribute_names("#due", DUE)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":due", milliseconds(waiting.due_at))
            .expression_attribute_values(":expires", expiry::after_days(RETENTION_DAYS).1)
            .return_values(ReturnValue::UpdatedOld)
            .send()
            .await
            .map_err(|error| port_error(ADD, error))?;
        let before = item::number(&updated.attributes.unwrap_or_default(), DUE);
        Ok(before.map_err(|error| error.into_port_error(ADD))?.map(Timestamp::from_ms))
    }

    /// Deletes the item of a waiting delivery, if it is due at that time.
    async fn delete(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> Result<(), PortError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete
            .set_key(Some(key(line, waiting).attributes()))
            .condition_expression("#due = :due")
            .expression_attribute_names("#due", DUE)
            .expression_attribute_values(":due", milliseconds(waiting.due_at))
            .send()
            .await
            .map_err(|error| port_error(REMOVE, error));
        match deleted {
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

impl WaitingDeliveries for DynamoWaitingDeliveries {
    async fn add(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(line, waiting)));
        put.send().await.map_err(|error| port_error(ADD, error))?;
        if line.vid.is_none()
            && let Some(before) = self.replace_due_time(line, waiting).await?
            && before != waiting.due_at
        {
            self.delete(line, &WaitingDelivery { due_at: before, ..waiting.clone() }).await?;
        }
        // Last: a caller that removes the line because nothing waits in it finds the delivery, or another revision.
        self.lines.count_addition(line, waiting.due_at).await
    }

    async fn first(&self, line: &WaitingLine, limit: usize) -> Result<LineContent, PortError> {
        let revision = self.lines.revision(line).await?;
        let range = KeyRange::waiting(line);
        let page = item::page(&self.client, &self.table, &range, Some(limit.max(1)), None, READ).await?;
        let waiting = page.items.iter().map(decode).collect::<Result<_, _>>();
        Ok(LineContent { revision, waiting: waiting.map_err(|error| error.into_port_error(READ))? })
    }

    async fn remove(&self, line: &WaitingLine, waiting: &[WaitingDelivery]) -> Result<(), PortError> {
        // A loop, because the compiler rejects a closure over borrowed deliveries here as not general enough.
        let mut deletions = Vec::new();
        for waiting in waiting {
            deletions.push(self.delete(line, waiting));
        }
        stream::iter(deletions).buffer_unordered(MAX_CONCURRENT_REQUESTS).try_collect().await
    }

    async fn lines(&self, now: Timestamp, after: Option<&WaitingLine>, limit: usize) -> Result<Vec<DueLine>, PortError> {
        self.lines.due(now, after, limit).await
    }

    async fn reschedule(&self, line: &WaitingLine, due_at: Option<Timestamp>, revision: u64) -> Result<(), PortError> {
        self.lines.reschedule(line, due_at, revision).await
    }
}

/// Returns the key by which a line is read.
fn key(line: &WaitingLine, waiting: &WaitingDelivery) -> Key {
    match line.vid {
        Some(_) => Key::waiting_in_order(line, waiting.delivery_id),
        None => Key::waiting_until(line, waiting.due_at, waiting.delivery_id),
    }
}

fn encode(line: &WaitingLine, waiting: &WaitingDelivery) -> Item {
    let mut item = key(line, waiting).attributes();
    item.extend([
        (DELIVERY.to_owned(), AttributeValue::S(waiting.delivery_id.to_string())),
        (DUE.to_owned(), milliseconds(waiting.due_at)),
        (ENDS.to_owned(), milliseconds(waiting.expires_at)),
        expiry::after_days(RETENTION_DAYS),
    ]);
    item
}

fn decode(item: &Item) -> Result<WaitingDelivery, InvalidAttribute> {
    let time = |name| Ok(Timestamp::from_ms(item::number(item, name)?.ok_or_else(|| InvalidAttribute::new(name))?));
    Ok(WaitingDelivery { delivery_id: item::parsed(item, DELIVERY)?, due_at: time(DUE)?, expires_at: time(ENDS)? })
}

fn milliseconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.ms().to_string())
}
