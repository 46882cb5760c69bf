//! Machine clients, in `reference`.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_ports::clients::Clients;
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::attributes::OFFBOARDING;
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const PUT: &str = "storing a client";
const PUT_INGEST: &str = "storing an ingest client";
const RECORD_SHOWN: &str = "recording that a client secret was shown";
const REMOVE: &str = "removing a client";
const READ: &str = "reading clients";
/// Whether the secret of the client was shown. A condition reads it.
const SHOWN: &str = "shown";

/// Machine clients in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoClients {
    client: DynamoDb,
    table: String,
}

impl DynamoClients {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: DynamoDb, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Clients for DynamoClients {
    async fn put(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let mut writes = self.put_client(Transaction::new(&self.client, PUT), client, Condition::None, PUT)?;
        if let Some(fleet_id) = client.fleet_id() {
            writes = writes.check(&self.table, &Key::fleet(fleet_id), Condition::AttributeAbsent(OFFBOARDING))?;
        }
        writes.record_change(&self.table, change)?.commit().await
    }

    async fn put_ingest(&self, client: &Client) -> Result<(), PortError> {
        if client.fleet_id().is_some() {
            return Err(PortError::new(PortErrorKind::Rejected, PUT_INGEST));
        }
        let writes = Transaction::new(&self.client, PUT_INGEST);
        self.put_client(writes, client, Condition::None, PUT_INGEST)?.commit().await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::client(client_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::clients(fleet_id, after), limit, READ).await
    }

    async fn record_secret_shown(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let not_shown = Condition::Equals(SHOWN, AttributeValue::Bool(false));
        self.put_client(Transaction::new(&self.client, RECORD_SHOWN), client, not_shown, RECORD_SHOWN)?
            .record_change(&self.table, change)?
            .commit()
            .await
    }

    async fn remove(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let key = Key::client(&client.client_id);
        let mut writes = Transaction::new(&self.client, REMOVE).delete(&self.table, &key, Condition::Exists)?;
        if let Some(fleet_id) = client.fleet_id() {
            let listed = Key::listed_client(fleet_id, &client.client_id);
            writes = writes.delete(&self.table, &listed, Condition::None)?;
        }
        writes.record_change(&self.table, change)?.commit().await
    }
}

impl DynamoClients {
    /// Adds the writes of the client's own item, under the condition, and of its copy in the list of its fleet's clients.
    fn put_client(
        &self,
        mut writes: Transaction,
        client: &Client,
        condition: Condition,
        context: &'static str,
    ) -> Result<Transaction, PortError> {
        let key = Key::client(&client.client_id);
        let mut item = item::with_record(&key, client, context)?;
        item.insert(SHOWN.to_owned(), AttributeValue::Bool(client.secret_shown_at.is_some()));
        writes = writes.put(&self.table, item, &key, condition)?;
        let Some(fleet_id) = client.fleet_id() else { return Ok(writes) };
        let listed = Key::listed_client(fleet_id, &client.client_id);
        writes.put(&self.table, item::with_record(&listed, client, context)?, &listed, Condition::None)
    }
}
