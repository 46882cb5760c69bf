//! Reads and writes of `DynamoDB` items.

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_ports::{PortError, PortErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dynamodb::keys::{Key, KeyRange};
use crate::sdk_error::port_error;

/// The attributes of an item, or of a key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attribute of `reference` items that holds the record as JSON.
pub(crate) const RECORD: &str = "record";

/// An attribute that is missing or malformed.
#[derive(Debug, thiserror::Error)]
#[error("attribute {attribute:?} is missing or malformed")]
pub(crate) struct InvalidAttribute {
    attribute: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InvalidAttribute {
    pub(crate) fn new(attribute: &'static str) -> Self {
        Self { attribute, source: None }
    }

    pub(crate) fn with_source(attribute: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { attribute, source: Some(source.into()) }
    }

    /// Returns an `Internal` error: Roadcast wrote the item, so the fault is not in the data of a caller.
    pub(crate) fn into_port_error(self, context: &'static str) -> PortError {
        PortError::new(PortErrorKind::Internal, context).caused_by(self)
    }
}

/// Returns a string attribute.
pub(crate) fn text<'i>(item: &'i Item, name: &'static str) -> Result<&'i str, InvalidAttribute> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or_else(|| InvalidAttribute::new(name))
}

/// Parses a string attribute.
pub(crate) fn parsed<T>(item: &Item, name: &'static str) -> Result<T, InvalidAttribute>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text(item, name)?.parse().map_err(|error| InvalidAttribute::with_source(name, error))
}

/// Parses a number attribute; `None` if absent.
pub(crate) fn number<T: FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, InvalidAttribute> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let digits = value.as_n().map_err(|_| InvalidAttribute::new(name))?;
    digits.parse().map(Some).map_err(|_| InvalidAttribute::new(name))
}

/// Parses the record of an item.
pub(crate) fn record<T: DeserializeOwned>(item: &Item) -> Result<T, InvalidAttribute> {
    serde_json::from_str(text(item, RECORD)?).map_err(|error| InvalidAttribute::with_source(RECORD, error))
}

/// Returns an item of the key's attributes and the record.
pub(crate) fn with_record(key: &Key, record: &impl Serialize, context: &'static str) -> Result<Item, PortError> {
    let json = serde_json::to_string(record);
    let json = json.map_err(|error| InvalidAttribute::with_source(RECORD, error).into_port_error(context))?;
    let mut item = key.attributes();
    item.insert(RECORD.to_owned(), AttributeValue::S(json));
    Ok(item)
}

/// Reads one item, strongly consistent.
pub(crate) async fn get(client: &Client, table: &str, key: &Key, context: &'static str) -> Result<Option<Item>, PortError> {
    let request = client.get_item().table_name(table).set_key(Some(key.attributes())).consistent_read(true);
    Ok(request.send().await.map_err(|error| port_error(context, error))?.item)
}

/// A page of a query.
#[derive(Debug)]
pub(crate) struct Page {
    /// The items in the order of the range.
    pub(crate) items: Vec<Item>,
    /// The start key of the next page; `None` on the last page.
    pub(crate) next: Option<Item>,
}

/// Reads a page of a range, at most `limit` items if given. The range states consistency and order.
pub(crate) async fn page(
    client: &Client,
    table: &str,
    range: &KeyRange,
    limit: Option<usize>,
    start: Option<Item>,
    context: &'static str,
) -> Result<Page, PortError> {
    let output = client
        .query()
        .table_name(table)
        .key_condition_expression("#partition = :partition AND #sort BETWEEN :from AND :to")
        .expression_attribute_names("#partition", range.partition.0)
        .expression_attribute_names("#sort", range.sort)
        .expression_attribute_values(":partition", AttributeValue::S(range.partition.1.clone()))
        .expression_attribute_values(":from", AttributeValue::S(range.from.clone()))
        .expression_attribute_values(":to", AttributeValue::S(range.to.clone()))
        .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
        .set_exclusive_start_key(start)
        .consistent_read(range.consistent)
        .scan_index_forward(!range.descending)
        .send()
        .await
        .map_err(|error| port_error(context, error))?;
    Ok(Page { items: output.items.unwrap_or_default(), next: output.last_evaluated_key })
}

/// Reads all items of a range.
pub(crate) async fn all(
    client: &Client,
    table: &str,
    range: &KeyRange,
    context: &'static str,
) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    let mut start = None;
    loop {
        let page = page(client, table, range, None, start, context).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => start = Some(next),
            None => return Ok(items),
        }
    }
}

/// Reads the first `limit` records of a range. `DynamoDB` may end a page by its size before `limit` is reached; this reads
/// on.
pub(crate) async fn records<T: DeserializeOwned>(
    client: &Client,
    table: &str,
    range: &KeyRange,
    limit: usize,
    context: &'static str,
) -> Result<Vec<T>, PortError> {
    let mut records = Vec::new();
    let mut start = None;
    loop {
        let page = page(client, table, range, Some(limit.max(1) - records.len()), start, context).await?;
        let read = page.items.iter().map(record).collect::<Result<Vec<_>, _>>();
        records.extend(read.map_err(|error| error.into_port_error(context))?);
        match page.next {
            Some(next) if records.len() < limit => start = Some(next),
            _ => return Ok(records),
        }
    }
}
