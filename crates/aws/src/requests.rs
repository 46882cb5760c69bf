//! What is remembered of requests, in `reference`: items that expire.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use roadcast_domain::ids::FleetId;
use roadcast_ports::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_KEPT_MS, REQUEST_LEASE_MS, RateCounter, StoredResponse,
};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::item::{self, Item, Unreadable};
use crate::keys::{EXPIRES_AT, Key, PK};
use crate::sdk_error::{kind_of, port_error};

const COUNT: &str = "counting requests";
const CLAIM: &str = "taking the key of a request";
const KEEP: &str = "keeping an answer";
const RELEASE: &str = "giving back the key of a request";
/// Requests counted so far.
const REQUESTS: &str = "requests";
/// Digest of the request's body.
const BODY: &str = "body";
/// Milliseconds since the epoch when the key was taken.
const SINCE: &str = "since";
/// A count is of use while its minute lasts.
const COUNT_KEPT_S: i64 = 10 * 60;

/// What is remembered of requests, in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoRequests {
    client: Client,
    table: String,
}

impl DynamoRequests {
    /// The requests in that table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl RateCounter for DynamoRequests {
    async fn add(&self, fleet_id: &FleetId, window: Timestamp, requests: u32) -> Result<u32, PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let counted = update
            .set_key(Some(Key::request_count(fleet_id, window).attributes()))
            .update_expression("ADD #requests :more SET #expires = :expires")
            .expression_attribute_names("#requests", REQUESTS)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":more", number(i64::from(requests)))
            .expression_attribute_values(":expires", number(window.ms().div_euclid(1000) + COUNT_KEPT_S))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| port_error(COUNT, error))?;
        let counted = item::number(&counted.attributes.unwrap_or_default(), REQUESTS);
        counted.map(Option::unwrap_or_default).map_err(|error| error.into_port_error(COUNT))
    }
}

impl IdempotencyStore for DynamoRequests {
    async fn claim(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyClaim, PortError> {
        let key = Key::keyed_request(&request.key);
        let mut item = claim_item(request, now);
        item.extend(key.attributes());
        // Free, or forgotten though the table has not swept it yet, or lost under way.
        let free = "attribute_not_exists(#pk) OR #since < :forgotten \
                    OR (#since < :lost AND #body = :body AND attribute_not_exists(#record))";
        let claimed = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(free)
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#since", SINCE)
            .expression_attribute_names("#body", BODY)
            .expression_attribute_names("#record", item::RECORD)
            .expression_attribute_values(":forgotten", number(now.ms() - REQUEST_KEPT_MS))
            .expression_attribute_values(":lost", number(now.ms() - REQUEST_LEASE_MS))
            .expression_attribute_values(":body", AttributeValue::S(request.body.clone()))
            .send()
            .await;
        match claimed {
            Ok(_) => return Ok(KeyClaim::Granted),
            Err(error) if kind_of(&error) == PortErrorKind::Conflict => {}
            Err(error) => return Err(port_error(CLAIM, error)),
        }
        let taken = item::get(&self.client, &self.table, &key, CLAIM).await?;
        match taken {
            // Given back just now.
            None => Err(PortError::new(PortErrorKind::Unavailable, CLAIM)),
            Some(item) => claim_of(&item, request).map_err(|error| error.into_port_error(CLAIM)),
        }
    }

    async fn keep(&self, request: &KeyedRequest, answer: &StoredResponse, now: Timestamp) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::keyed_request(&request.key), answer, KEEP)?;
        item.extend(claim_item(request, now));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| port_error(KEEP, error))
    }

    async fn release(&self, request: &KeyedRequest) -> Result<(), PortError> {
        let key = Key::keyed_request(&request.key).attributes();
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(|_| ()).map_err(|error| port_error(RELEASE, error))
    }
}

fn claim_item(request: &KeyedRequest, now: Timestamp) -> Item {
    let expires_at = (now.ms() + REQUEST_KEPT_MS).div_euclid(1000) + 1;
    Item::from([
        (BODY.to_owned(), AttributeValue::S(request.body.clone())),
        (SINCE.to_owned(), number(now.ms())),
        (EXPIRES_AT.to_owned(), number(expires_at)),
    ])
}

fn claim_of(item: &Item, request: &KeyedRequest) -> Result<KeyClaim, Unreadable> {
    if item::text(item, BODY)? != request.body {
        Ok(KeyClaim::KeyReused)
    } else if item.contains_key(item::RECORD) {
        item::record(item).map(KeyClaim::Answered)
    } else {
        Ok(KeyClaim::InProgress)
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
