//! Redrives of webhook deliveries, in `deliveries`. The items expire.

use aws_sdk_dynamodb::Client;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::EndpointId;
use roadcast_domain::webhook::EndpointRedrive;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::EndpointRedrives;

use crate::dynamodb::expiry;
use crate::dynamodb::item;
use crate::dynamodb::keys::Key;
use crate::dynamodb::revised_item::{self, Expected};

const CREATE: &str = "creating a redrive of deliveries";
const READ: &str = "reading a redrive of deliveries";
const REPLACE: &str = "replacing a redrive of deliveries";
/// As long as a failed delivery.
const RETENTION_DAYS: i64 = 30;

/// Redrives of webhook deliveries in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoEndpointRedrives {
    client: Client,
    table: String,
}

impl DynamoEndpointRedrives {
    /// Creates the adapter on the given `deliveries` table.
    pub fn new(client: Client, deliveries_table: impl Into<String>) -> Self {
        Self { client, table: deliveries_table.into() }
    }

    async fn put(&self, redrive: &EndpointRedrive, expected: Expected, context: &'static str) -> Result<(), PortError> {
        let key = Key::endpoint_redrive(&redrive.endpoint_id, &redrive.redrive_id);
        let mut item = item::with_record(&key, redrive, context)?;
        item.extend([expiry::after_days(RETENTION_DAYS)]);
        revised_item::put(&self.client, &self.table, item, (expected, redrive.revision), context).await
    }
}

impl EndpointRedrives for DynamoEndpointRedrives {
    async fn create(&self, redrive: &EndpointRedrive) -> Result<(), PortError> {
        self.put(redrive, Expected::Absent, CREATE).await
    }

    async fn get(&self, endpoint_id: &EndpointId, redrive_id: &RedriveId) -> Result<Option<EndpointRedrive>, PortError> {
        let key = Key::endpoint_redrive(endpoint_id, redrive_id);
        let item = revised_item::get(&self.client, &self.table, &key, READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn replace(&self, redrive: &EndpointRedrive) -> Result<(), PortError> {
        let next = EndpointRedrive { revision: redrive.revision + 1, ..redrive.clone() };
        self.put(&next, Expected::Revision(redrive.revision), REPLACE).await
    }
}
