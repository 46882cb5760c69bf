//! Records that are replaced under the condition of their revision, in `deliveries`.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;

use crate::clock::SystemClock;
use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, PK};
use crate::sdk_error::port_error;

/// The revision of a record. Conditions read it.
pub(crate) const REVISION: &str = "revision";

/// What a write requires of the stored item.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No item, or one that has expired.
    Absent,
    /// An item with this revision.
    Revision(u64),
}

/// Stores an item with the revision `next`. Fails with `Conflict` if the stored item is not the expected one.
pub(crate) async fn put(
    client: &Client,
    table: &str,
    mut item: Item,
    (expected, next): (Expected, u64),
    context: &'static str,
) -> Result<(), PortError> {
    item.insert(REVISION.to_owned(), AttributeValue::N(next.to_string()));
    let (condition, names, values) = match expected {
        Expected::Absent => {
            let now = expiry::seconds(SystemClock.now());
            ("attribute_not_exists(#pk) OR #expires <= :now", vec![("#pk", PK), ("#expires", EXPIRES_AT)], (":now", now))
        }
        Expected::Revision(revision) => {
            let revision = AttributeValue::N(revision.to_string());
            ("#revision = :revision", vec![("#revision", REVISION)], (":revision", revision))
        }
    };
    let names: HashMap<String, String> = names.into_iter().map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
    let put = client.put_item().table_name(table).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_names(Some(names)).expression_attribute_values(values.0, values.1);
    put.send().await.map(|_| ()).map_err(|error| port_error(context, error))
}

/// Returns an item that has not expired, strongly consistent.
pub(crate) async fn get(client: &Client, table: &str, key: &Key, context: &'static str) -> Result<Option<Item>, PortError> {
    Ok(item::get(client, table, key, context).await?.filter(|item| !expiry::is_expired(item)))
}
