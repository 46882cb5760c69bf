//! The expiry of items. A table deletes expired items with a delay of up to some days, so readers filter them.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_ports::clock::Clock as _;
use roadcast_signals::Timestamp;

use crate::clock::SystemClock;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::EXPIRES_AT;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Returns the attribute of an item that expires after a number of days from now.
pub(crate) fn after_days(days: i64) -> (String, AttributeValue) {
    at(SystemClock.now().plus_ms(days * DAY_MS))
}

/// Returns the attribute of an item that expires at a time.
pub(crate) fn at(time: Timestamp) -> (String, AttributeValue) {
    (EXPIRES_AT.to_owned(), seconds(time))
}

/// Returns a time as the table compares it.
pub(crate) fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.ms().div_euclid(1000).to_string())
}

/// Whether an item has expired, although the table has not deleted it yet.
pub(crate) fn is_expired(item: &Item) -> bool {
    let now = SystemClock.now().ms().div_euclid(1000);
    item::number::<i64>(item, EXPIRES_AT).is_ok_and(|expires_at| expires_at.is_some_and(|expires_at| expires_at <= now))
}
