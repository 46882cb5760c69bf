//! The feed index, pointers to the events that were delivered to each fleet: table `feedIndex`.
//!
//! A restored part has an item of its own, without events, so that its pointers are written once ([`Key::restored_part`]).
//! An item holds its key, `feed` and `stamp`; `events`, as encoded by [`roadcast_event_log::pointers`]; `heldBy` or
//! `heldByAll`, the subscriptions of which any or all held the events back, if there are any; and `expiresAt`, when the table deletes it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::entitlement::Holders;
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_event_log::pointers;
use roadcast_ports::clock::Clock;
use roadcast_ports::feed::{
    DELIVERIES_PER_PART, Delivery, FeedIndex, FeedPage, FeedPointer, FeedRange, INDEX_GRACE_MS, INDEX_RETENTION_MS,
    RestoredPart,
};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::backoff;
use crate::clock::SystemClock;
use crate::dynamodb::batch_put;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, KeyRange, STAMP, next_hour};
use crate::dynamodb::transaction::{Condition, Transaction};

const RECORD: &str = "recording feed pointers";
const RECORD_PART: &str = "recording restored feed pointers";
const READ: &str = "reading feed pointers";
const EVENTS: &str = "events";
const HELD_BY: &str = "heldBy";
const HELD_BY_ALL: &str = "heldByAll";
/// Attempts of one write. Each has a stamp of its own, so an earlier attempt that succeeded although it returned an error
/// adds a duplicate pointer.
const MAX_ATTEMPTS: u32 = 5;
const MAX_CONCURRENT_REQUESTS: usize = 4;
/// Maximum number of hours that one page reads: a feed with few events must not make a request slow.
const MAX_HOURS_PER_PAGE: usize = 24;

/// The feed index in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoFeedIndex {
    client: Client,
    table: String,
}

impl DynamoFeedIndex {
    /// Creates the adapter on the given `feedIndex` table.
    pub fn new(client: Client, feed_index_table: impl Into<String>) -> Self {
        Self { client, table: feed_index_table.into() }
    }

    /// Writes as many deliveries as fit into one request. An attempt lasts at most four seconds, so no stamp is older than
    /// a reader expects.
    async fn write(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        let mut attempt = 1;
        loop {
            let now = SystemClock.now();
            let items: BTreeMap<Key, Item> =
                deliveries.iter().map(|delivery| encode(&delivery.fleet_id, &FeedPointer::new(delivery, now))).collect();
            match batch_put::put_without_retry(&self.client, &self.table, items, RECORD).await {
                Err(error) if error.is_retryable() && attempt < MAX_ATTEMPTS => backoff::wait(attempt).await,
                result => return result,
            }
            attempt += 1;
        }
    }
}

impl DynamoFeedIndex {
    /// Writes the pointers of a part and its mark in one request. An attempt has stamps of its own, as in [`Self::write`].
    async fn write_part(&self, part: &RestoredPart, deliveries: &[Delivery]) -> Result<(), PortError> {
        let now = SystemClock.now();
        let mark = Key::restored_part(part);
        let without_events = FeedPointer { stamp: ArrivalStamp::MIN, events: Vec::new(), held_by: Holders::None };
        let mark_item = encode_item(&mark, &without_events, now);
        let mut transaction = Transaction::new(&self.client, RECORD_PART);
        transaction = transaction.put(&self.table, mark_item, &mark, Condition::Absent)?;
        let pointers = deliveries.iter().map(|delivery| encode(&delivery.fleet_id, &FeedPointer::new(delivery, now)));
        // Equal deliveries have one key, which a transaction may contain once.
        for (key, item) in pointers.collect::<BTreeMap<Key, Item>>() {
            transaction = transaction.put(&self.table, item, &key, Condition::None)?;
        }
        transaction.commit_once().await
    }
}

impl FeedIndex for DynamoFeedIndex {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        // A loop, because the compiler rejects a closure over borrowed deliveries here as not general enough.
        let mut writes = Vec::new();
        for chunk in deliveries.chunks(batch_put::ITEMS_PER_REQUEST) {
            writes.push(self.write(chunk));
        }
        stream::iter(writes).buffer_unordered(MAX_CONCURRENT_REQUESTS).try_collect().await
    }

    async fn record_once(&self, part: &RestoredPart, deliveries: &[Delivery]) -> Result<bool, PortError> {
        if deliveries.len() > DELIVERIES_PER_PART {
            return Err(PortError::new(PortErrorKind::Rejected, RECORD_PART));
        }
        let mut attempt = 1;
        loop {
            match self.write_part(part, deliveries).await {
                Ok(()) => return Ok(true),
                // The part is recorded: before, or by an attempt whose response was lost.
                Err(error) if error.kind() == PortErrorKind::Conflict => return Ok(false),
                Err(error) if error.is_retryable() && attempt < MAX_ATTEMPTS => backoff::wait(attempt).await,
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        let limit = range.limit.max(1);
        let mut pointers = Vec::new();
        let mut from = range.from;
        for _ in 0..MAX_HOURS_PER_PAGE {
            if from > range.to {
                return Ok(FeedPage { pointers, next: None });
            }
            let keys = KeyRange::feed_pointers(&range.fleet_id, from, range.to);
            let page = item::page(&self.client, &self.table, &keys, Some(limit - pointers.len()), None, READ).await?;
            let read = page.items.iter().map(decode).collect::<Result<Vec<_>, _>>();
            pointers.extend(read.map_err(|error| error.into_port_error(READ))?);
            let last = pointers.last().map(|pointer: &FeedPointer| pointer.stamp);
            match last.filter(|_| page.next.is_some() || pointers.len() == limit).map(ArrivalStamp::next) {
                Some(Some(next)) if pointers.len() == limit => return Ok(FeedPage { pointers, next: Some(next) }),
                Some(Some(next)) => from = next,
                Some(None) => return Ok(FeedPage { pointers, next: None }),
                None => from = ArrivalStamp::lower_bound(next_hour(from.time())),
            }
        }
        Ok(FeedPage { pointers, next: Some(from) })
    }
}

fn encode(fleet_id: &FleetId, pointer: &FeedPointer) -> (Key, Item) {
    let key = Key::feed_pointer(fleet_id, pointer.stamp);
    let item = encode_item(&key, pointer, pointer.stamp.time());
    (key, item)
}

fn encode_item(key: &Key, pointer: &FeedPointer, written_at: Timestamp) -> Item {
    let expires_at = written_at.plus_ms(INDEX_RETENTION_MS + INDEX_GRACE_MS).ms().div_euclid(1000);
    let mut item = key.attributes();
    item.insert(EVENTS.to_owned(), AttributeValue::B(Blob::new(pointers::encode(&pointer.events))));
    item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    // A set of strings cannot be empty.
    let held_by = match &pointer.held_by {
        Holders::None => None,
        Holders::Any(subscriptions) => Some((HELD_BY, subscriptions)),
        Holders::All(subscriptions) => Some((HELD_BY_ALL, subscriptions)),
    };
    if let Some((name, subscriptions)) = held_by {
        item.insert(name.to_owned(), AttributeValue::Ss(subscriptions.iter().map(ToString::to_string).collect()));
    }
    item
}

/// Returns the events that an item points to.
pub(super) fn events_of(item: &Item) -> Result<Vec<(VehicleId, Eid)>, InvalidAttribute> {
    let bytes = item.get(EVENTS).and_then(|value| value.as_b().ok()).ok_or_else(|| InvalidAttribute::new(EVENTS))?;
    pointers::decode(bytes.as_ref()).map_err(|error| InvalidAttribute::with_source(EVENTS, error))
}

/// Returns an item that points to these events, and is equal otherwise.
pub(super) fn with_events(item: &Item, events: &[(VehicleId, Eid)]) -> Item {
    let mut item = item.clone();
    item.insert(EVENTS.to_owned(), AttributeValue::B(Blob::new(pointers::encode(events))));
    item
}

fn decode(item: &Item) -> Result<FeedPointer, InvalidAttribute> {
    let events = events_of(item)?;
    let held_by = match subscriptions(item, HELD_BY_ALL)? {
        all if all.is_empty() => Holders::any(subscriptions(item, HELD_BY)?),
        all => Holders::all(all),
    };
    Ok(FeedPointer { stamp: item::parsed(item, STAMP)?, events, held_by })
}

/// Returns the subscriptions of an attribute; none without it.
fn subscriptions(item: &Item, name: &'static str) -> Result<BTreeSet<SubscriptionId>, InvalidAttribute> {
    let Some(value) = item.get(name) else { return Ok(BTreeSet::new()) };
    let texts = value.as_ss().map_err(|_| InvalidAttribute::new(name))?;
    let ids = texts.iter().map(|text| text.parse());
    ids.collect::<Result<_, _>>().map_err(|error| InvalidAttribute::with_source(name, error))
}

#[cfg(test)]
mod tests;
