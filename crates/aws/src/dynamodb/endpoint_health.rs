//! The health of webhook endpoints, their slots and their counts of attempts, in `deliveries`. The items expire.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use rand::seq::IndexedRandom as _;
use roadcast_domain::ids::EndpointId;
use roadcast_domain::webhook::EndpointHealth;
use roadcast_ports::webhooks::EndpointHealths;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key};
use crate::dynamodb::revised_item::{self, Expected};
use crate::sdk_error::port_error;

const READ: &str = "reading the health of an endpoint";
const REPLACE: &str = "replacing the health of an endpoint";
const TAKE: &str = "taking a slot of an endpoint";
const RETURN: &str = "returning a slot of an endpoint";
const COUNT: &str = "counting attempts to an endpoint";
/// An endpoint of which nothing was stored for so long counts as healthy.
const RETENTION_DAYS: i64 = 30;
/// A count is used during its second only.
const COUNT_RETENTION_MS: i64 = 10 * 60 * 1000;
/// The number of attempts in a second.
const ATTEMPTS: &str = "attempts";
/// Attempts to take a slot while others take slots of the same endpoint.
const MAX_TRIES: usize = 5;

/// The health of webhook endpoints in `DynamoDB`. The slots of an endpoint are one item with an attribute for each slot that was
/// ever taken: the time until which it is taken, in milliseconds.
#[derive(Clone, Debug)]
pub struct DynamoEndpointHealths {
    client: Client,
    table: String,
}

impl DynamoEndpointHealths {
    /// Creates the adapter on the given `deliveries` table.
    pub fn new(client: Client, deliveries_table: impl Into<String>) -> Self {
        Self { client, table: deliveries_table.into() }
    }

    /// Takes a slot that seemed free. Returns whether it was.
    async fn take(&self, endpoint_id: &EndpointId, slot: u32, now: Timestamp, until: Timestamp) -> Result<bool, PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let taken = update
            .set_key(Some(Key::endpoint_slots(endpoint_id).attributes()))
            .update_expression("SET #slot = :until, #expires = :expires")
            .condition_expression("attribute_not_exists(#slot) OR #slot <= :now")
            .expression_attribute_names("#slot", slot_attribute(slot))
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":until", milliseconds(until))
            .expression_attribute_values(":now", milliseconds(now))
            .expression_attribute_values(":expires", expiry::after_days(1).1)
            .send()
            .await
            .map_err(|error| port_error(TAKE, error));
        match taken {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl EndpointHealths for DynamoEndpointHealths {
    async fn get(&self, endpoint_id: &EndpointId) -> Result<EndpointHealth, PortError> {
        let item = revised_item::get(&self.client, &self.table, &Key::endpoint_health(endpoint_id), READ).await?;
        let health = item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))?;
        Ok(health.unwrap_or_else(|| EndpointHealth::healthy(endpoint_id.clone())))
    }

    async fn replace(&self, health: &EndpointHealth) -> Result<(), PortError> {
        let next = EndpointHealth { revision: health.revision + 1, ..health.clone() };
        let mut item = item::with_record(&Key::endpoint_health(&health.endpoint_id), &next, REPLACE)?;
        item.extend([expiry::after_days(RETENTION_DAYS)]);
        let expected = if health.revision == 0 { Expected::Absent } else { Expected::Revision(health.revision) };
        revised_item::put(&self.client, &self.table, item, (expected, next.revision), REPLACE).await
    }

    async fn take_slot(
        &self,
        endpoint_id: &EndpointId,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, PortError> {
        let key = Key::endpoint_slots(endpoint_id);
        for _ in 0..MAX_TRIES {
            let item = item::get(&self.client, &self.table, &key, TAKE).await?.unwrap_or_default();
            let free = free_slots(&item, slots, now).map_err(|error| error.into_port_error(TAKE))?;
            // A random one: functions that read the item at the same time choose different slots.
            let Some(slot) = free.choose(&mut rand::rng()) else { return Ok(None) };
            if self.take(endpoint_id, *slot, now, until).await? {
                return Ok(Some(*slot));
            }
        }
        // As if no slot were free: others take them faster than they can be read.
        Ok(None)
    }

    async fn count_attempt(&self, endpoint_id: &EndpointId, second: Timestamp) -> Result<u32, PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let counted = update
            .set_key(Some(Key::attempt_count(endpoint_id, second).attributes()))
            .update_expression("ADD #attempts :one SET #expires = :expires")
            .expression_attribute_names("#attempts", ATTEMPTS)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":expires", expiry::at(second.plus_ms(COUNT_RETENTION_MS)).1)
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| port_error(COUNT, error))?;
        let counted = item::number(&counted.attributes.unwrap_or_default(), ATTEMPTS);
        counted.map(Option::unwrap_or_default).map_err(|error| error.into_port_error(COUNT))
    }

    async fn return_slot(&self, endpoint_id: &EndpointId, slot: u32) -> Result<(), PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update.set_key(Some(Key::endpoint_slots(endpoint_id).attributes()));
        let names = HashMap::from([("#slot".to_owned(), slot_attribute(slot))]);
        let update = update.update_expression("REMOVE #slot").set_expression_attribute_names(Some(names));
        update.send().await.map(|_| ()).map_err(|error| port_error(RETURN, error))
    }
}

/// Returns the slots that are free at `now`, among those with a number less than `slots`.
fn free_slots(item: &Item, slots: u32, now: Timestamp) -> Result<Vec<u32>, InvalidAttribute> {
    let mut free = Vec::new();
    for slot in 0..slots {
        let until = match item.get(&slot_attribute(slot)) {
            None => None,
            Some(value) => Some(milliseconds_of(value)?),
        };
        if until.is_none_or(|until| until <= now.ms()) {
            free.push(slot);
        }
    }
    Ok(free)
}

fn slot_attribute(slot: u32) -> String {
    format!("slot{slot}")
}

fn milliseconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.ms().to_string())
}

fn milliseconds_of(value: &AttributeValue) -> Result<i64, InvalidAttribute> {
    let invalid = || InvalidAttribute::new("slot");
    value.as_n().map_err(|_| invalid())?.parse().map_err(|_| invalid())
}
