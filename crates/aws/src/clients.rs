//! Machine clients, in `reference`.

use aws_sdk_dynamodb::Client as DynamoDb;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Client;
use roadcast_domain::ids::ClientId;
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;

use crate::item;
use crate::keys::Key;
use crate::transaction::{Condition, Transaction};

const PUT: &str = "keeping a client";
const READ: &str = "reading a client";

/// Machine clients in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoClients {
    client: DynamoDb,
    table: String,
}

impl DynamoClients {
    /// The clients in that table.
    pub fn new(client: DynamoDb, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Clients for DynamoClients {
    async fn put(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        let key = Key::client(&client.client_id);
        Transaction::new(&self.client, PUT)
            .put(&self.table, item::with_record(&key, client, PUT)?, &key, Condition::None)?
            .keep(&self.table, change)?
            .commit()
            .await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::client(client_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }
}
