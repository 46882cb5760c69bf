//! What was delivered to each fleet, by received time: table `feedIndex`.
//!
//! An item holds `feed` and `stamp`, its key; `events`, as [`roadcast_event_log::pointers`] writes them; and `expiresAt`, after
//! which the table forgets it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::ids::{Eid, FleetId};
use roadcast_event_log::pointers;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::feed::{Delivery, FeedIndex, FeedPage, FeedPointer, FeedRange, INDEX_KEPT_MS};

use crate::clock::SystemClock;
use crate::item::{self, Item, Unreadable};
use crate::keys::{EXPIRES_AT, Key, KeyRange, STAMP};
use crate::{backoff, batch_write};

const RECORD: &str = "recording feed pointers";
const READ: &str = "reading feed pointers";
const EVENTS: &str = "events";
/// Tries of one write. Each has a stamp of its own: what an earlier one may have written after all stands there besides.
const TRIES: u32 = 5;
const REQUESTS_AT_ONCE: usize = 4;
/// Hours that one page looks into: a fleet that gets little must not make a request long.
const HOURS_AT_ONCE: usize = 24;

/// The feed index in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoFeedIndex {
    client: Client,
    table: String,
}

impl DynamoFeedIndex {
    /// The index in that table.
    pub fn new(client: Client, feed_index_table: impl Into<String>) -> Self {
        Self { client, table: feed_index_table.into() }
    }

    /// Writes as many as one request takes. A try lasts four seconds at most, so no stamp is older than a reader expects.
    async fn write(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        let mut attempt = 1;
        loop {
            let now = SystemClock.now();
            let items: BTreeMap<Key, Item> = deliveries
                .iter()
                .map(|delivery| encode(&delivery.fleet_id, &FeedPointer::stamped(delivery.events.clone(), now)))
                .collect();
            match batch_write::put_once(&self.client, &self.table, items, RECORD).await {
                Err(error) if error.is_retryable() && attempt < TRIES => backoff::wait(attempt).await,
                done => return done,
            }
            attempt += 1;
        }
    }
}

impl FeedIndex for DynamoFeedIndex {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        // A loop, because a closure over borrowed deliveries is not general enough for the compiler here.
        let mut writes = Vec::new();
        for chunk in deliveries.chunks(batch_write::ITEMS_PER_REQUEST) {
            writes.push(self.write(chunk));
        }
        stream::iter(writes).buffer_unordered(REQUESTS_AT_ONCE).try_collect().await
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        let limit = range.limit.max(1);
        let mut pointers = Vec::new();
        let mut from = range.from;
        for _ in 0..HOURS_AT_ONCE {
            if from > range.to {
                return Ok(FeedPage { pointers, next: None });
            }
            let keys = KeyRange::feed_pointers(&range.fleet_id, from, range.to);
            let found = item::page(&self.client, &self.table, &keys, Some(limit - pointers.len()), None, READ).await?;
            let read = found.items.iter().map(decode).collect::<Result<Vec<_>, _>>();
            pointers.extend(read.map_err(|error| error.into_port_error(READ))?);
            let last = pointers.last().map(|pointer: &FeedPointer| pointer.stamp);
            match last.filter(|_| found.next.is_some() || pointers.len() == limit).map(Eid::next) {
                Some(Some(next)) if pointers.len() == limit => return Ok(FeedPage { pointers, next: Some(next) }),
                Some(Some(next)) => from = next,
                Some(None) => return Ok(FeedPage { pointers, next: None }),
                None => from = Eid::first_at(crate::keys::next_hour(from.time())),
            }
        }
        Ok(FeedPage { pointers, next: Some(from) })
    }
}

fn encode(fleet_id: &FleetId, pointer: &FeedPointer) -> (Key, Item) {
    let key = Key::feed_pointer(fleet_id, pointer.stamp);
    let expires_at = pointer.stamp.time().plus_ms(INDEX_KEPT_MS).ms().div_euclid(1000);
    let mut item = key.attributes();
    item.insert(EVENTS.to_owned(), AttributeValue::B(Blob::new(pointers::encode(&pointer.events))));
    item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    (key, item)
}

fn decode(item: &Item) -> Result<FeedPointer, Unreadable> {
    let bytes = item.get(EVENTS).and_then(|value| value.as_b().ok()).ok_or_else(|| Unreadable::at(EVENTS))?;
    let events = pointers::decode(bytes.as_ref()).map_err(|error| Unreadable::because(EVENTS, error))?;
    Ok(FeedPointer { stamp: item::parsed(item, STAMP)?, events })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::VehicleId;
    use roadcast_signals::Timestamp;

    use super::*;

    #[test]
    fn a_pointer_names_its_events_and_is_forgotten_14_days_after_its_stamp() {
        let now = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
        let events = vec![(VehicleId::from_random(1), Eid::first_at(now))];
        let pointer = FeedPointer::stamped(events.clone(), now);
        let (_, item) = encode(&FleetId::from_random(2), &pointer);
        assert_eq!(decode(&item).unwrap(), pointer);
        assert_eq!(pointers::decode(item[EVENTS].as_b().unwrap().as_ref()).unwrap(), events);
        let expires_at: i64 = item[EXPIRES_AT].as_n().unwrap().parse().unwrap();
        assert_eq!(expires_at, Timestamp::parse_rfc3339("2026-11-17T09:59:59Z").unwrap().ms() / 1000);
    }
}
