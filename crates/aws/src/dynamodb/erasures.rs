//! The records of erasures, in `reference`. They do not expire.

use aws_sdk_dynamodb::Client;
use roadcast_domain::erasure::Erasure;
use roadcast_domain::ids::ErasureId;
use roadcast_ports::PortError;
use roadcast_ports::erasure::Erasures;

use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::revised_item::{self, Expected};

const CREATE: &str = "storing an erasure";
const READ: &str = "reading erasures";
const REPLACE: &str = "replacing an erasure";

/// The records of erasures in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoErasures {
    client: Client,
    table: String,
}

impl DynamoErasures {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Erasures for DynamoErasures {
    async fn create(&self, erasure: &Erasure) -> Result<(), PortError> {
        let item = item::with_record(&Key::erasure(&erasure.erasure_id), erasure, CREATE)?;
        revised_item::put(&self.client, &self.table, item, (Expected::Absent, erasure.revision), CREATE).await
    }

    async fn get(&self, erasure_id: &ErasureId) -> Result<Option<Erasure>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::erasure(erasure_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, after: Option<&ErasureId>, limit: usize) -> Result<Vec<Erasure>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::erasures(after), limit, READ).await
    }

    async fn replace(&self, erasure: &Erasure) -> Result<(), PortError> {
        let next = Erasure { revision: erasure.revision + 1, ..erasure.clone() };
        let item = item::with_record(&Key::erasure(&next.erasure_id), &next, REPLACE)?;
        let revisions = (Expected::Revision(erasure.revision), next.revision);
        revised_item::put(&self.client, &self.table, item, revisions, REPLACE).await
    }
}
