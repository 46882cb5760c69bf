//! Writing many items that need no condition.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::Item;
use crate::keys::Key;
use crate::sdk_error::port_error;

/// What `BatchWriteItem` takes.
pub(crate) const ITEMS_PER_REQUEST: usize = 25;
const REQUESTS_AT_ONCE: usize = 4;
const TRIES: u32 = 8;

/// Writes items by key, over whatever is there. Where it fails, some may be written: it is for writes that are repeated
/// whole.
pub(crate) async fn put_all(
    client: &Client,
    table: &str,
    items: BTreeMap<Key, Item>,
    context: &'static str,
) -> Result<(), PortError> {
    let requests: Vec<Vec<WriteRequest>> = puts(items).chunks(ITEMS_PER_REQUEST).map(<[_]>::to_vec).collect();
    stream::iter(requests)
        .map(|request| put_request(client, table, request, context))
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect()
        .await
}

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

async fn put_request(
    client: &Client,
    table: &str,
    mut left: Vec<WriteRequest>,
    context: &'static str,
) -> Result<(), PortError> {
    for attempt in 1..=TRIES {
        let answer = client.batch_write_item().request_items(table, left).send().await;
        let mut unprocessed = answer.map_err(|error| port_error(context, error))?.unprocessed_items.unwrap_or_default();
        left = unprocessed.remove(table).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        backoff::wait(attempt).await;
    }
    Err(PortError::new(PortErrorKind::Throttled, context))
}
