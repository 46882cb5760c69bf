//! What the alert evaluator stores between its batches, in `alertState`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _};
use roadcast_ports::PortError;
use roadcast_ports::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, KeyRange, SK, parse_watched};
use crate::dynamodb::revised_item::{self, Expected, REVISION};
use crate::sdk_error::port_error;

const READ: &str = "reading a checkpoint of alerts";
const REPLACE: &str = "replacing a checkpoint of alerts";
const INSTANCE: &str = "reading which instance evaluates a shard";
const TAKE: &str = "taking a shard for evaluation";
const WATCH: &str = "watching evaluations";
const UNWATCH: &str = "removing watched evaluations";
const WATCHED: &str = "reading watched evaluations";
/// The content of a checkpoint.
const CONTENT: &str = "content";
/// The instance that took a shard.
const TAKEN_BY: &str = "takenBy";
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// The state of the alert evaluator in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoAlertState {
    client: Client,
    table: String,
}

impl DynamoAlertState {
    /// Creates the adapter on the given `alertState` table.
    pub fn new(client: Client, alert_state_table: impl Into<String>) -> Self {
        Self { client, table: alert_state_table.into() }
    }

    async fn put_watched(&self, key: Key) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(key.attributes()));
        put.send().await.map(|_| ()).map_err(|error| port_error(WATCH, error))
    }

    async fn delete_watched(&self, key: Key) -> Result<(), PortError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key.attributes()));
        delete.send().await.map(|_| ()).map_err(|error| port_error(UNWATCH, error))
    }
}

impl AlertCheckpoints for DynamoAlertState {
    async fn get(&self, key: &EvaluationKey) -> Result<Option<AlertCheckpoint>, PortError> {
        let item = revised_item::get(&self.client, &self.table, &Key::alert_checkpoint(key), READ).await?;
        item.as_ref().map(decode).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn replace(&self, key: &EvaluationKey, checkpoint: &AlertCheckpoint) -> Result<(), PortError> {
        let mut item = Key::alert_checkpoint(key).attributes();
        item.insert(CONTENT.to_owned(), AttributeValue::B(Blob::new(checkpoint.content.clone())));
        item.extend([expiry::at(checkpoint.expires_at)]);
        let expected = match checkpoint.revision {
            0 | 1 => Expected::Absent,
            revision => Expected::Revision(revision - 1),
        };
        revised_item::put(&self.client, &self.table, item, (expected, checkpoint.revision), REPLACE).await
    }
}

impl ShardEvaluations for DynamoAlertState {
    async fn instance(&self, shard: &str) -> Result<Option<String>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::shard_instance(shard), INSTANCE).await?;
        let instance = item.map(|item| item::text(&item, TAKEN_BY).map(str::to_owned)).transpose();
        instance.map_err(|error| error.into_port_error(INSTANCE))
    }

    async fn take(&self, shard: &str, instance: &str) -> Result<(), PortError> {
        let mut item = Key::shard_instance(shard).attributes();
        item.insert(TAKEN_BY.to_owned(), AttributeValue::S(instance.to_owned()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| port_error(TAKE, error))
    }

    async fn watch(&self, shard: &str, keys: &[EvaluationKey]) -> Vec<Result<(), PortError>> {
        // A loop, because the compiler rejects a closure over borrowed keys here as not general enough.
        let mut puts = Vec::new();
        for key in keys {
            puts.push(self.put_watched(Key::watched_evaluation(shard, key)));
        }
        stream::iter(puts).buffered(MAX_CONCURRENT_REQUESTS).collect().await
    }

    async fn unwatch(&self, shard: &str, keys: &[EvaluationKey]) -> Vec<Result<(), PortError>> {
        let mut deletions = Vec::new();
        for key in keys {
            deletions.push(self.delete_watched(Key::watched_evaluation(shard, key)));
        }
        stream::iter(deletions).buffered(MAX_CONCURRENT_REQUESTS).collect().await
    }

    async fn watched(
        &self,
        shard: &str,
        after: Option<&EvaluationKey>,
        limit: usize,
    ) -> Result<Vec<EvaluationKey>, PortError> {
        let range = KeyRange::watched_evaluations(shard, after);
        // A page may end by its size before the limit; it is not empty then.
        let page = item::page(&self.client, &self.table, &range, Some(limit.max(1)), None, WATCHED).await?;
        let keys = page.items.iter().map(|item| {
            let sort = item::text(item, SK)?;
            parse_watched(sort).ok_or_else(|| InvalidAttribute::new(SK))
        });
        keys.collect::<Result<_, _>>().map_err(|error| error.into_port_error(WATCHED))
    }
}

fn decode(item: &Item) -> Result<AlertCheckpoint, InvalidAttribute> {
    let revision = item::number(item, REVISION)?.ok_or_else(|| InvalidAttribute::new(REVISION))?;
    let expires_s: i64 = item::number(item, EXPIRES_AT)?.ok_or_else(|| InvalidAttribute::new(EXPIRES_AT))?;
    let Some(AttributeValue::B(content)) = item.get(CONTENT) else { return Err(InvalidAttribute::new(CONTENT)) };
    let expires_at = Timestamp::from_ms(expires_s.saturating_mul(1000));
    Ok(AlertCheckpoint { revision, content: content.as_ref().to_vec(), expires_at })
}
