//! Checkpoints and the ledger of bulk imports, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::vehicle_mapping::ImportLedger;
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, CHECKPOINT_RETENTION_MS, Checkpoint, ImportProgress};
use roadcast_ports::clock::Clock as _;

use crate::clock::SystemClock;
use crate::dynamodb::item;
use crate::dynamodb::keys::{EXPIRES_AT, Key};
use crate::sdk_error::port_error;

const CHECKPOINT: &str = "reading or saving an import checkpoint";
const LEDGER: &str = "reading or replacing the import ledger";
/// The revision of the ledger. A condition reads it.
const REVISION: &str = "revision";

/// Import progress in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoImportProgress {
    client: Client,
    table: String,
}

impl DynamoImportProgress {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl ImportProgress for DynamoImportProgress {
    async fn checkpoint(&self, file: &BulkFile) -> Result<Option<Checkpoint>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::bulk_checkpoint(&file.version), CHECKPOINT).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(CHECKPOINT))
    }

    async fn save_checkpoint(&self, file: &BulkFile, checkpoint: &Checkpoint) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::bulk_checkpoint(&file.version), checkpoint, CHECKPOINT)?;
        let expires_at = (SystemClock.now().ms() + CHECKPOINT_RETENTION_MS).div_euclid(1000);
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| port_error(CHECKPOINT, error))
    }

    async fn ledger(&self) -> Result<ImportLedger, PortError> {
        let item = item::get(&self.client, &self.table, &Key::bulk_ledger(), LEDGER).await?;
        let ledger = item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(LEDGER));
        ledger.map(Option::unwrap_or_default)
    }

    async fn replace_ledger(&self, ledger: &ImportLedger) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::bulk_ledger(), ledger, LEDGER)?;
        item.insert(REVISION.to_owned(), AttributeValue::N(ledger.revision.to_string()));
        let before = ledger.revision.saturating_sub(1);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":before", AttributeValue::N(before.to_string()));
        let put = if before == 0 {
            put.condition_expression("attribute_not_exists(#revision) OR #revision = :before")
        } else {
            put.condition_expression("#revision = :before")
        };
        put.send().await.map(|_| ()).map_err(|error| port_error(LEDGER, error))
    }
}
