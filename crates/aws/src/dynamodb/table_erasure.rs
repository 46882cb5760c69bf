//! Erases vehicles from the tables, part by part.
//!
//! The log, the states, the grants and the mappings are found by key. The state of the alert evaluator, the feed
//! index, the deliveries and the dead letters have other keys, so these tables are scanned, page by page. Deletions have no conditions: what they delete is that of an erased
//! vehicle, from every sender.

mod scan;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use roadcast_domain::erasure::{ErasureScope, StoreCounts};
use roadcast_domain::ids::FleetId;
use roadcast_ports::erasure::ErasedPart;
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::batch_get;
use crate::dynamodb::batch_put::ITEMS_PER_REQUEST;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{EID, Key, KeyRange, PK, SK, VID};
use crate::sdk_error::port_error;

const GRANTS: &str = "erasing grants";
const MAPPINGS: &str = "erasing vehicle mappings";
const EVENTS: &str = "erasing events";
const STATES: &str = "erasing states";
/// Fleets whose mappings are erased in one part.
const FLEETS_PER_PART: usize = 25;
/// Events that are erased in one part.
const EVENTS_PER_PART: usize = 500;
/// Attempts of a request in which items are left unprocessed.
const MAX_ATTEMPTS: u32 = 8;

/// The names of the tables.
#[derive(Clone, Debug)]
pub struct ErasedTables {
    /// Fleets, subscriptions, grants and mappings.
    pub reference: String,
    /// The event log.
    pub vehicle_events: String,
    /// The last-known values.
    pub vehicle_state: String,
    /// The state of the alert evaluator.
    pub alert_state: String,
    /// The feed index.
    pub feed_index: String,
    /// Webhook deliveries.
    pub deliveries: String,
    /// Dead letters.
    pub dead_letters: String,
}

/// Erases vehicles from the tables.
#[derive(Clone, Debug)]
pub(crate) struct TableErasure {
    client: Client,
    tables: ErasedTables,
}

impl TableErasure {
    pub(crate) const fn new(client: Client, tables: ErasedTables) -> Self {
        Self { client, tables }
    }

    /// Erases the grants and the epochs of the vehicles. The copies by fleet are deleted first, because they are found by those by
    /// vehicle. Then caches learn of it.
    pub(crate) async fn grants(&self, scope: &ErasureScope) -> Result<ErasedPart, PortError> {
        let table = &self.tables.reference;
        let mut removed = 0;
        for vid in scope.vehicles() {
            let items = item::all(&self.client, table, &KeyRange::grants_to_vehicle(vid), GRANTS).await?;
            let sort_keys = items.iter().map(|item| item::text(item, SK)).collect::<Result<Vec<_>, _>>();
            let sort_keys = sort_keys.map_err(|error| error.into_port_error(GRANTS))?;
            let copies = sort_keys.iter().filter_map(|sort| Key::fleet_copy(vid, sort)).map(|key| key.attributes());
            self.delete(table, copies.collect(), GRANTS).await?;
            removed += items.len();
            self.delete(table, items.iter().map(|item| key_of(item, [PK, SK])).collect(), GRANTS).await?;
        }
        let raise = self.client.update_item().table_name(table).set_key(Some(Key::entitlements_version().attributes()));
        let raise = raise.update_expression("ADD #version :one").expression_attribute_names("#version", VERSION);
        let raise = raise.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        raise.send().await.map_err(|error| port_error(GRANTS, error))?;
        Ok(whole(removed))
    }

    /// Erases the mappings of the vehicles to some fleets, from the fleet `after` on.
    pub(crate) async fn mappings(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let table = &self.tables.reference;
        let after: Option<FleetId> = after.and_then(|position| position.parse().ok());
        let range = KeyRange::fleets(after.as_ref());
        let page = item::page(&self.client, table, &range, Some(FLEETS_PER_PART), None, MAPPINGS).await?;
        let fleets = page.items.iter().map(|item| item::parsed(item, SK)).collect::<Result<Vec<FleetId>, _>>();
        let fleets = fleets.map_err(|error| error.into_port_error(MAPPINGS))?;
        let pairs = fleets.iter().flat_map(|fleet_id| scope.vehicles().iter().map(move |vid| Key::mapping(fleet_id, vid)));
        let removed = self.delete_existing(table, pairs.collect(), MAPPINGS).await?;
        let next = page.next.is_some().then(|| fleets.last().map(ToString::to_string)).flatten();
        Ok(ErasedPart { next, ..whole(removed) })
    }

    /// Erases some events of the vehicles. The part after it starts again at the first event that is left.
    pub(crate) async fn events(&self, scope: &ErasureScope) -> Result<ErasedPart, PortError> {
        let table = &self.tables.vehicle_events;
        for vid in scope.vehicles() {
            // `~` sorts after every character of a key.
            let range = KeyRange::events(vid, "0", "~");
            let page = item::page(&self.client, table, &range, Some(EVENTS_PER_PART), None, EVENTS).await?;
            if !page.items.is_empty() {
                let keys = page.items.iter().map(|item| key_of(item, [VID, EID])).collect();
                self.delete(table, keys, EVENTS).await?;
                return Ok(ErasedPart { next: Some(vid.to_string()), ..whole(page.items.len()) });
            }
        }
        Ok(ErasedPart::default())
    }

    /// Erases the states of the vehicles.
    pub(crate) async fn states(&self, scope: &ErasureScope) -> Result<ErasedPart, PortError> {
        let keys = scope.vehicles().iter().map(Key::state).collect();
        Ok(whole(self.delete_existing(&self.tables.vehicle_state, keys, STATES).await?))
    }

    /// Deletes those items that exist, and returns their number.
    async fn delete_existing(&self, table: &str, keys: BTreeSet<Key>, context: &'static str) -> Result<usize, PortError> {
        let names: Vec<String> = keys.iter().flat_map(|key| key.attributes().into_keys()).collect();
        let names: BTreeSet<String> = names.into_iter().collect();
        let items = batch_get::get_all(&self.client, table, keys, context).await?;
        let key_of = |item: Item| item.into_iter().filter(|(name, _)| names.contains(name)).collect();
        let found: Vec<Item> = items.into_iter().map(key_of).collect();
        let count = found.len();
        self.delete(table, found, context).await?;
        Ok(count)
    }

    async fn delete(&self, table: &str, keys: Vec<Item>, context: &'static str) -> Result<(), PortError> {
        let delete = |key| {
            let request = DeleteRequest::builder().set_key(Some(key)).build();
            let request = request.map_err(|error| PortError::new(PortErrorKind::Internal, context).caused_by(error))?;
            Ok(WriteRequest::builder().delete_request(request).build())
        };
        self.write(table, keys.into_iter().map(delete).collect::<Result<_, PortError>>()?, context).await
    }

    async fn put(&self, table: &str, items: Vec<Item>, context: &'static str) -> Result<(), PortError> {
        let put = |item| {
            let request = PutRequest::builder().set_item(Some(item)).build();
            let request = request.map_err(|error| PortError::new(PortErrorKind::Internal, context).caused_by(error))?;
            Ok(WriteRequest::builder().put_request(request).build())
        };
        self.write(table, items.into_iter().map(put).collect::<Result<_, PortError>>()?, context).await
    }

    /// Sends the writes, 25 in each request, and those again that were not processed.
    async fn write(&self, table: &str, writes: Vec<WriteRequest>, context: &'static str) -> Result<(), PortError> {
        for request in writes.chunks(ITEMS_PER_REQUEST) {
            let mut pending = request.to_vec();
            let mut attempt = 1;
            while !pending.is_empty() {
                if attempt > MAX_ATTEMPTS {
                    return Err(PortError::new(PortErrorKind::Throttled, context));
                }
                if attempt > 1 {
                    backoff::wait(attempt).await;
                }
                let output = self.client.batch_write_item().request_items(table, pending).send().await;
                let output = output.map_err(|error| port_error(context, error))?;
                pending = output.unprocessed_items.into_iter().flatten().flat_map(|(_, writes)| writes).collect();
                attempt += 1;
            }
        }
        Ok(())
    }
}

/// Returns the part of a store that was erased as a whole.
fn whole(removed: usize) -> ErasedPart {
    ErasedPart { next: None, counts: counts(removed, removed, 0) }
}

fn counts(examined: usize, removed: usize, rewritten: usize) -> StoreCounts {
    StoreCounts { examined: examined as u64, removed: removed as u64, rewritten: rewritten as u64 }
}

/// Returns the key attributes of an item.
fn key_of(item: &Item, names: [&str; 2]) -> Item {
    names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect()
}

/// Whether a text attribute of an item contains the id of one of the vehicles.
fn mentions_vehicle(item: &Item, scope: &ErasureScope) -> bool {
    item.values().filter_map(|value| value.as_s().ok()).any(|text| scope.mentions_id(text))
}
