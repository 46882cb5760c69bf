//! Machine clients, in `reference`.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;

use crate::dynamodb::attributes::{OFFBOARDING, VERSION};
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const PUT: &str = "storing a client";
const REPLACE: &str = "updating a client";
const REMOVE: &str = "removing a client";
const READ: &str = "reading clients";
const READ_CHANGES: &str = "reading audit records of a client";

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
        let mut writes = self.put_copies(Transaction::new(&self.client, PUT), client, Condition::None, PUT)?;
        if let Some(fleet_id) = client.fleet_id() {
            writes = writes.check(&self.table, &Key::fleet(fleet_id), Condition::AttributeAbsent(OFFBOARDING))?;
        }
        writes.record_change(&self.table, change)?.commit().await
    }

    async fn replace(&self, before: &Client, after: &Client, change: &Change) -> Result<(), PortError> {
        let next = Client { version: before.version + 1, ..after.clone() };
        let at_version = Condition::at_version(before.version);
        let mut writes = self.put_copies(Transaction::new(&self.client, REPLACE), &next, at_version, REPLACE)?;
        let kept = copies(&next);
        for key in copies(before).iter().filter(|key| !kept.contains(key)) {
            writes = writes.delete(&self.table, key, Condition::None)?;
        }
        writes.record_change(&self.table, change)?.commit().await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::client(client_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(
        &self,
        kind: Option<ClientKind>,
        after: Option<&ClientPosition>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::clients(kind, after), limit, READ).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::clients_of_fleet(fleet_id, after), limit, READ).await
    }

    async fn remove(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        let at_version = Condition::at_version(client.version);
        let key = Key::client(&client.client_id);
        let mut writes = Transaction::new(&self.client, REMOVE).delete(&self.table, &key, at_version)?;
        for key in copies(client) {
            writes = writes.delete(&self.table, &key, Condition::None)?;
        }
        writes.record_change(&self.table, change)?.commit().await
    }

    async fn changes(&self, client_id: &ClientId, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::client_changes(client_id, before), limit, READ_CHANGES).await
    }
}

impl DynamoClients {
    /// Adds the writes of the client's own item, under the condition, and of its copies.
    fn put_copies(
        &self,
        writes: Transaction,
        client: &Client,
        condition: Condition,
        context: &'static str,
    ) -> Result<Transaction, PortError> {
        let key = Key::client(&client.client_id);
        let mut item = item::with_record(&key, client, context)?;
        item.insert(VERSION.to_owned(), AttributeValue::N(client.version.to_string()));
        let mut writes = writes.put(&self.table, item, &key, condition)?;
        for key in copies(client) {
            writes = writes.put(&self.table, item::with_record(&key, client, context)?, &key, Condition::None)?;
        }
        Ok(writes)
    }
}

/// The keys of the copies of a client: in the list of all clients and of its fleet's clients, and of each credential whose id
/// is not the client's own.
fn copies(client: &Client) -> Vec<Key> {
    let in_lists = [
        Some(Key::listed_client(&client.position())),
        client.fleet_id().map(|fleet_id| Key::client_of_fleet(fleet_id, &client.client_id)),
    ];
    let credential_ids = client.credentials.iter().map(|credential| &credential.client_id);
    let of_credentials = credential_ids.filter(|credential_id| **credential_id != client.client_id).map(Key::client);
    in_lists.into_iter().flatten().chain(of_credentials).collect()
}
