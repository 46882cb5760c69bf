//! What was delivered to each fleet, by received time: table `feedIndex`.
//!
//! An item holds `feed` and `stamp`, its key; `events`, as [`roadcast_packing::pointers`] writes them; and `expiresAt`, after
//! which the table forgets it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_packing::pointers;
use roadcast_ports::PortError;
use roadcast_ports::feed::{FeedIndex, FeedPointer};

use crate::batch_write;
use crate::item::Item;
use crate::keys::{EXPIRES_AT, Key};

const RECORD: &str = "recording feed pointers";
const EVENTS: &str = "events";
/// As long as a queue may keep a message, with some left: who missed more reads the events themselves.
const KEPT_S: i64 = 14 * 24 * 60 * 60;

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
}

impl FeedIndex for DynamoFeedIndex {
    async fn record(&self, pointers: &[FeedPointer]) -> Result<(), PortError> {
        let items = pointers.iter().map(encode).collect();
        batch_write::put_all(&self.client, &self.table, items, RECORD).await
    }
}

fn encode(pointer: &FeedPointer) -> (Key, Item) {
    let key = Key::feed_pointer(&pointer.fleet_id, pointer.stamp);
    let expires_at = pointer.stamp.time().ms().div_euclid(1000) + KEPT_S;
    let mut item = key.attributes();
    item.insert(EVENTS.to_owned(), AttributeValue::B(Blob::new(pointers::encode(&pointer.events))));
    item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    (key, item)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::{Eid, FleetId, VehicleId};
    use roadcast_signals::Timestamp;

    use super::*;

    #[test]
    fn a_pointer_names_its_events_and_is_forgotten_14_days_after_its_stamp() {
        let now = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
        let events = vec![(VehicleId::from_random(1), Eid::first_at(now))];
        let (_, item) = encode(&FeedPointer::stamped(FleetId::from_random(2), events.clone(), now));
        assert_eq!(pointers::decode(item[EVENTS].as_b().unwrap().as_ref()).unwrap(), events);
        let expires_at: i64 = item[EXPIRES_AT].as_n().unwrap().parse().unwrap();
        assert_eq!(expires_at, Timestamp::parse_rfc3339("2026-11-17T09:59:59Z").unwrap().ms() / 1000);
    }
}
