//! Reads of many items by key.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::Key;
use crate::sdk_error::port_error;

/// The limit of `BatchGetItem`.
const KEYS_PER_REQUEST: usize = 100;
const MAX_CONCURRENT_REQUESTS: usize = 4;
/// The number of requests in which no key was processed before the read fails.
const MAX_IDLE_REQUESTS: u32 = 8;

/// Returns the existing items of these keys, in no particular order; reads are strongly consistent.
pub(crate) async fn get_all(
    client: &Client,
    table: &str,
    keys: BTreeSet<Key>,
    context: &'static str,
) -> Result<Vec<Item>, PortError> {
    let keys: Vec<Item> = keys.iter().map(Key::attributes).collect();
    let requests: Vec<Vec<Item>> = keys.chunks(KEYS_PER_REQUEST).map(<[_]>::to_vec).collect();
    let responses = stream::iter(requests).map(|request| get_request(client, table, request, context));
    Ok(responses.buffer_unordered(MAX_CONCURRENT_REQUESTS).try_collect::<Vec<_>>().await?.concat())
}

async fn get_request(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
    context: &'static str,
) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    let mut idle = 0;
    while !keys.is_empty() {
        let requested = keys.len();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let request = request.map_err(|error| PortError::new(PortErrorKind::Internal, context).caused_by(error))?;
        let output = client.batch_get_item().request_items(table, request).send().await;
        let output = output.map_err(|error| port_error(context, error))?;
        items.extend(output.responses.into_iter().flatten().flat_map(|(_, items)| items));
        keys = output.unprocessed_keys.into_iter().flatten().flat_map(|(_, unprocessed)| unprocessed.keys).collect();
        if keys.len() == requested {
            idle += 1;
            if idle == MAX_IDLE_REQUESTS {
                return Err(PortError::new(PortErrorKind::Throttled, context));
            }
            backoff::wait(idle).await;
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
