//! Request counts of fleets, in `reference`. The items expire.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use roadcast_domain::ids::FleetId;
use roadcast_ports::PortError;
use roadcast_ports::requests::RateCounter;
use roadcast_signals::Timestamp;

use crate::dynamodb::item;
use crate::dynamodb::keys::{EXPIRES_AT, Key};
use crate::sdk_error::port_error;

const COUNT: &str = "counting requests";
/// The number of requests so far.
const REQUESTS: &str = "requests";
/// A count is only used during its minute.
const COUNT_RETENTION_S: i64 = 10 * 60;

/// Request counts in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoRateCounter {
    client: Client,
    table: String,
}

impl DynamoRateCounter {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl RateCounter for DynamoRateCounter {
    async fn add(&self, fleet_id: &FleetId, window: Timestamp, requests: u32) -> Result<u32, PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let counted = update
            .set_key(Some(Key::request_count(fleet_id, window).attributes()))
            .update_expression("ADD #requests :added SET #expires = :expires")
            .expression_attribute_names("#requests", REQUESTS)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":added", number(i64::from(requests)))
            .expression_attribute_values(":expires", number(window.ms().div_euclid(1000) + COUNT_RETENTION_S))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| port_error(COUNT, error))?;
        let counted = item::number(&counted.attributes.unwrap_or_default(), REQUESTS);
        counted.map(Option::unwrap_or_default).map_err(|error| error.into_port_error(COUNT))
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
