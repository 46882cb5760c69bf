//! Schemas of custom event types, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};
use crate::sdk_error::port_error;

const PUT: &str = "storing a schema";
const READ: &str = "reading schemas";

/// Schemas in `DynamoDB`: each version has an item of its own, and the latest of each type a copy in the list of all
/// schemas.
#[derive(Clone, Debug)]
pub struct DynamoSchemas {
    client: Client,
    table: String,
}

impl DynamoSchemas {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    async fn is_latest(&self, schema: &EventSchema) -> Result<bool, PortError> {
        let item = item::get(&self.client, &self.table, &Key::listed_schema(&schema.event_type), READ).await?;
        let latest: Option<EventSchema> =
            item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))?;
        Ok(latest.as_ref() == Some(schema))
    }

    async fn all(&self, range: &KeyRange) -> Result<Vec<EventSchema>, PortError> {
        let items = item::all(&self.client, &self.table, range, READ).await?;
        items.iter().map(item::record).collect::<Result<_, _>>().map_err(|error| error.into_port_error(READ))
    }
}

impl Schemas for DynamoSchemas {
    async fn put(&self, schema: &EventSchema) -> Result<(), PortError> {
        let number = |version: u32| AttributeValue::N(version.to_string());
        let key = Key::schema(&schema.event_type, schema.version);
        let listed = Key::listed_schema(&schema.event_type);
        let mut latest = item::with_record(&listed, schema, PUT)?;
        latest.insert(VERSION.to_owned(), number(schema.version));
        let condition = match schema.version {
            1 => Condition::Absent,
            version => Condition::Equals(VERSION, number(version.saturating_sub(1))),
        };
        let stored = Transaction::new(&self.client, PUT)
            .put(&self.table, item::with_record(&key, schema, PUT)?, &key, Condition::Absent)?
            .put(&self.table, latest, &listed, condition)?
            .commit()
            .await;
        if let Err(error) = stored
            && (error.kind() != PortErrorKind::Conflict || !self.is_latest(schema).await?)
        {
            return Err(error);
        }
        // After the schema is stored, because a reader of the new count must find the schema. Also on every retry, because
        // the count may have failed on an earlier attempt.
        let raise = self.client.update_item().table_name(&self.table);
        let raise = raise.set_key(Some(Key::schemas_version().attributes()));
        let raise = raise.update_expression("ADD #version :one").expression_attribute_names("#version", VERSION);
        let raise = raise.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        raise.send().await.map(|_| ()).map_err(|error| port_error(PUT, error))
    }

    async fn latest(&self) -> Result<Vec<EventSchema>, PortError> {
        self.all(&KeyRange::schemas()).await
    }

    async fn versions(&self, event_type: &CustomType) -> Result<Vec<EventSchema>, PortError> {
        self.all(&KeyRange::schema_versions(event_type)).await
    }

    async fn version(&self) -> Result<u64, PortError> {
        let Some(item) = item::get(&self.client, &self.table, &Key::schemas_version(), READ).await? else {
            return Ok(0);
        };
        let version = item::number(&item, VERSION).map_err(|error| error.into_port_error(READ))?;
        Ok(version.unwrap_or_default())
    }
}
