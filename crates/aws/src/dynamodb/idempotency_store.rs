//! Idempotency keys and stored responses, in `reference`. The items expire.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_ports::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_LEASE_MS, REQUEST_RETENTION_MS, StoredResponse,
};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, PK};
use crate::sdk_error::{kind_of, port_error};

const CLAIM: &str = "claiming an idempotency key";
const STORE: &str = "storing a response";
const RELEASE: &str = "releasing an idempotency key";
/// The digest of the request body.
const BODY: &str = "body";
/// The time when the key was claimed, in milliseconds since the Unix epoch.
const SINCE: &str = "since";

/// Idempotency keys and stored responses in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoIdempotencyStore {
    client: Client,
    table: String,
}

impl DynamoIdempotencyStore {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl IdempotencyStore for DynamoIdempotencyStore {
    async fn claim(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyClaim, PortError> {
        let key = Key::keyed_request(&request.key);
        let mut item = claim_attributes(request, now);
        item.extend(key.attributes());
        // The key is free if it was never claimed, if it expired and the table has not deleted it yet, or if the same
        // request claimed it and was abandoned in progress.
        let free = "attribute_not_exists(#pk) OR #since < :expired \
                    OR (#since < :abandoned AND #body = :body AND attribute_not_exists(#record))";
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
            .expression_attribute_values(":expired", number(now.ms() - REQUEST_RETENTION_MS))
            .expression_attribute_values(":abandoned", number(now.ms() - REQUEST_LEASE_MS))
            .expression_attribute_values(":body", AttributeValue::S(request.body.clone()))
            .send()
            .await;
        match claimed {
            Ok(_) => return Ok(KeyClaim::Granted),
            Err(error) if kind_of(&error) == PortErrorKind::Conflict => {}
            Err(error) => return Err(port_error(CLAIM, error)),
        }
        let stored = item::get(&self.client, &self.table, &key, CLAIM).await?;
        match stored {
            // Released a moment ago.
            None => Err(PortError::new(PortErrorKind::Unavailable, CLAIM)),
            Some(item) => existing_claim(&item, request).map_err(|error| error.into_port_error(CLAIM)),
        }
    }

    async fn store_response(
        &self,
        request: &KeyedRequest,
        response: &StoredResponse,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::keyed_request(&request.key), response, STORE)?;
        item.extend(claim_attributes(request, now));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| port_error(STORE, error))
    }

    async fn release(&self, request: &KeyedRequest) -> Result<(), PortError> {
        let key = Key::keyed_request(&request.key).attributes();
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(|_| ()).map_err(|error| port_error(RELEASE, error))
    }
}

fn claim_attributes(request: &KeyedRequest, now: Timestamp) -> Item {
    let expires_at = (now.ms() + REQUEST_RETENTION_MS).div_euclid(1000) + 1;
    Item::from([
        (BODY.to_owned(), AttributeValue::S(request.body.clone())),
        (SINCE.to_owned(), number(now.ms())),
        (EXPIRES_AT.to_owned(), number(expires_at)),
    ])
}

fn existing_claim(item: &Item, request: &KeyedRequest) -> Result<KeyClaim, InvalidAttribute> {
    if item::text(item, BODY)? != request.body {
        Ok(KeyClaim::KeyReused)
    } else if item.contains_key(item::RECORD) {
        item::record(item).map(KeyClaim::Completed)
    } else {
        Ok(KeyClaim::InProgress)
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
