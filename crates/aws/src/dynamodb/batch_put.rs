//! Writes of many items without conditions.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::item::Item;
use crate::dynamodb::keys::Key;
use crate::sdk_error::port_error;

/// The limit of `BatchWriteItem`.
pub(crate) const ITEMS_PER_REQUEST: usize = 25;

/// Sends one `BatchWriteItem` request of at most 25 items, without the retries of the SDK: for items that the caller must
/// rebuild for each attempt. Fails with `Throttled` if items were left unprocessed.
pub(crate) async fn put_without_retry(
    client: &Client,
    table: &str,
    items: BTreeMap<Key, Item>,
    context: &'static str,
) -> Result<(), PortError> {
    let no_retries = Config::builder().retry_config(RetryConfig::disabled());
    let request =
        client.batch_write_item().request_items(table, puts(items, context)?).customize().config_override(no_retries);
    let output = request.send().await.map_err(|error| port_error(context, error))?;
    let unprocessed = output.unprocessed_items.unwrap_or_default();
    if unprocessed.values().all(Vec::is_empty) { Ok(()) } else { Err(PortError::new(PortErrorKind::Throttled, context)) }
}

fn puts(items: BTreeMap<Key, Item>, context: &'static str) -> Result<Vec<WriteRequest>, PortError> {
    let put = |item| {
        let put = PutRequest::builder().set_item(Some(item)).build();
        let put = put.map_err(|error| PortError::new(PortErrorKind::Internal, context).caused_by(error))?;
        Ok(WriteRequest::builder().put_request(put).build())
    };
    items.into_values().map(put).collect()
}
