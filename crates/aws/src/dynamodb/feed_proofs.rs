//! The proofs that events pass to the feeds of fleets, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::FleetId;
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{FeedProof, FeedProofs};
use roadcast_signals::Timestamp;

use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::Key;
use crate::sdk_error::port_error;

const READ: &str = "reading the proof of a feed";
const INVALIDATE: &str = "removing the proof of a feed";
const PROVE: &str = "storing the proof of a feed";
/// The number of creations and changes of the channel.
const GENERATION: &str = "generation";
/// When events passed, in milliseconds since the Unix epoch.
const PROVEN_AT: &str = "provenAt";

/// The proofs in `DynamoDB`: each fleet has an item of its own, so that a proof does not conflict with changes of the fleet.
#[derive(Clone, Debug)]
pub struct DynamoFeedProofs {
    client: Client,
    table: String,
}

impl DynamoFeedProofs {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl FeedProofs for DynamoFeedProofs {
    async fn get(&self, fleet_id: &FleetId) -> Result<FeedProof, PortError> {
        let item = item::get(&self.client, &self.table, &Key::feed_proof(fleet_id), READ).await?;
        item.as_ref().map_or(Ok(FeedProof::default()), proof).map_err(|error| error.into_port_error(READ))
    }

    async fn invalidate(&self, fleet_id: &FleetId) -> Result<(), PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .set_key(Some(Key::feed_proof(fleet_id).attributes()))
            .update_expression("ADD #generation :one REMOVE #proven")
            .expression_attribute_names("#generation", GENERATION)
            .expression_attribute_names("#proven", PROVEN_AT)
            .expression_attribute_values(":one", number(&1));
        update.send().await.map(|_| ()).map_err(|error| port_error(INVALIDATE, error))
    }

    async fn prove(&self, fleet_id: &FleetId, generation: u64, at: Timestamp) -> Result<(), PortError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .set_key(Some(Key::feed_proof(fleet_id).attributes()))
            .update_expression("SET #proven = :at")
            .condition_expression("#generation = :generation")
            .expression_attribute_names("#generation", GENERATION)
            .expression_attribute_names("#proven", PROVEN_AT)
            .expression_attribute_values(":generation", number(&generation))
            .expression_attribute_values(":at", number(&at.ms()));
        update.send().await.map(|_| ()).map_err(|error| port_error(PROVE, error))
    }
}

fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn proof(item: &Item) -> Result<FeedProof, InvalidAttribute> {
    let generation = item::number(item, GENERATION)?.unwrap_or_default();
    Ok(FeedProof { generation, proven_at: item::number(item, PROVEN_AT)?.map(Timestamp::from_ms) })
}
