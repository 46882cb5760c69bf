//! Webhook endpoints, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{EndpointId, FleetId};
use roadcast_domain::webhook::Endpoint;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::Endpoints;

use crate::dynamodb::attributes::{OFFBOARDING, VERSION};
use crate::dynamodb::fleet_items;
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const CREATE: &str = "creating an endpoint";
const READ: &str = "reading endpoints";
const REPLACE: &str = "replacing an endpoint";
const REMOVE: &str = "removing an endpoint";

/// Webhook endpoints in `DynamoDB`. Their secrets and header values are sealed before they are stored.
#[derive(Clone, Debug)]
pub struct DynamoEndpoints {
    client: Client,
    table: String,
}

impl DynamoEndpoints {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    fn put(&self, endpoint: &Endpoint, condition: Condition, context: &'static str) -> Result<Transaction, PortError> {
        let key = Key::endpoint(&endpoint.fleet_id, &endpoint.endpoint_id);
        let mut item = item::with_record(&key, endpoint, context)?;
        item.insert(VERSION.to_owned(), AttributeValue::N(endpoint.version.to_string()));
        Transaction::new(&self.client, context).put(&self.table, item, &key, condition)
    }

    /// Adds the next version of a fleet to a transaction.
    fn put_fleet(
        &self,
        transaction: Transaction,
        fleet: &Fleet,
        condition: Condition,
        context: &'static str,
    ) -> Result<Transaction, PortError> {
        let next = Fleet { version: fleet.version + 1, ..fleet.clone() };
        fleet_items::put(transaction, &self.table, &next, condition, context)
    }
}

impl Endpoints for DynamoEndpoints {
    async fn create(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let active = Condition::at_version(fleet.version).and_absent(OFFBOARDING);
        let transaction = self.put(endpoint, Condition::Absent, CREATE)?;
        self.put_fleet(transaction, fleet, active, CREATE)?.record_change(&self.table, change)?.commit().await
    }

    async fn get(&self, fleet_id: &FleetId, endpoint_id: &EndpointId) -> Result<Option<Endpoint>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::endpoint(fleet_id, endpoint_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, fleet_id: &FleetId) -> Result<Vec<Endpoint>, PortError> {
        let range = KeyRange::endpoints(fleet_id);
        item::records(&self.client, &self.table, &range, Endpoint::MAX_PER_FLEET, READ).await
    }

    async fn replace(&self, endpoint: &Endpoint, fleet: Option<&Fleet>, change: &Change) -> Result<(), PortError> {
        let next = Endpoint { version: endpoint.version + 1, ..endpoint.clone() };
        let mut transaction = self.put(&next, Condition::at_version(endpoint.version), REPLACE)?;
        if let Some(fleet) = fleet {
            transaction = self.put_fleet(transaction, fleet, Condition::at_version(fleet.version), REPLACE)?;
        }
        transaction.record_change(&self.table, change)?.commit().await
    }

    async fn remove(&self, endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let key = Key::endpoint(&endpoint.fleet_id, &endpoint.endpoint_id);
        let at_version = Condition::at_version(endpoint.version);
        let transaction = Transaction::new(&self.client, REMOVE).delete(&self.table, &key, at_version)?;
        let transaction = self.put_fleet(transaction, fleet, Condition::at_version(fleet.version), REMOVE)?;
        transaction.record_change(&self.table, change)?.commit().await
    }
}
