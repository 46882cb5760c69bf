//! Reading many items by key.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::Item;
use crate::keys::Key;
use crate::sdk_error::port_error;

/// What `BatchGetItem` takes.
const KEYS_PER_REQUEST: usize = 100;
const REQUESTS_AT_ONCE: usize = 4;
const TRIES: u32 = 8;

/// The items of these keys, as far as they are there, in no order; read consistently.
pub(crate) async fn get_all(
    client: &Client,
    table: &str,
    keys: BTreeSet<Key>,
    context: &'static str,
) -> Result<Vec<Item>, PortError> {
    let keys: Vec<Item> = keys.iter().map(Key::attributes).collect();
    let requests: Vec<Vec<Item>> = keys.chunks(KEYS_PER_REQUEST).map(<[_]>::to_vec).collect();
    let answers = stream::iter(requests).map(|request| get_request(client, table, request, context));
    Ok(answers.buffer_unordered(REQUESTS_AT_ONCE).try_collect::<Vec<_>>().await?.concat())
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
        let asked = keys.len();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let request = request.map_err(|error| PortError::new(PortErrorKind::Rejected, context).caused_by(error))?;
        let answer = client.batch_get_item().request_items(table, request).send().await;
        let answer = answer.map_err(|error| port_error(context, error))?;
        items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
        keys = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
        if keys.len() == asked {
            idle += 1;
            if idle == TRIES {
                return Err(PortError::new(PortErrorKind::Throttled, context));
            }
            backoff::wait(idle).await;
        }
    }
    Ok(items)
}
