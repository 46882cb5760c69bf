//! Writing many items that need no condition.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use roadcast_ports::{PortError, PortErrorKind};

use crate::item::Item;
use crate::keys::Key;
use crate::sdk_error::port_error;

/// What `BatchWriteItem` takes.
pub(crate) const ITEMS_PER_REQUEST: usize = 25;

/// One try of one request, of 25 items at most, without the SDK's own further tries: for items that must be made anew for
/// each.
pub(crate) async fn put_once(
    client: &Client,
    table: &str,
    items: BTreeMap<Key, Item>,
    context: &'static str,
) -> Result<(), PortError> {
    let once = Config::builder().retry_config(RetryConfig::disabled());
    let request = client.batch_write_item().request_items(table, puts(items)).customize().config_override(once);
    let left = request.send().await.map_err(|error| port_error(context, error))?.unprocessed_items.unwrap_or_default();
    if left.values().all(Vec::is_empty) { Ok(()) } else { Err(PortError::new(PortErrorKind::Throttled, context)) }
}

fn puts(items: BTreeMap<Key, Item>) -> Vec<WriteRequest> {
    let put = |item| {
        let put = PutRequest::builder().set_item(Some(item)).build().ok()?;
        Some(WriteRequest::builder().put_request(put).build())
    };
    items.into_values().filter_map(put).collect()
}
