//! The keys of all tables. No other module formats a key.
//!
//! One child module per group of tables: `vehicle_tables` (`vehicles`, `vehicleEvents`, `vehicleState`), `feed_index`,
//! `dead_letters`, `alert_state`, and `reference` and `erasures`, which document the layout of the `reference` table.

mod alert_state;
mod alerts;
mod dead_letters;
mod deliveries;
mod erasures;
mod feed_index;
mod reference;
#[cfg(test)]
mod tests;
mod vehicle_tables;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub(crate) use alert_state::parse_watched;
pub(crate) use feed_index::next_hour;

/// Partition key of `vehicles`, `vehicleEvents` and `vehicleState`.
pub const VID: &str = "vid";
/// Sort key of `vehicleEvents`.
pub const EID: &str = "eid";
/// Partition key of `feedIndex`.
pub const FEED: &str = "feed";
/// Sort key of `feedIndex`.
pub const STAMP: &str = "stamp";
/// Partition key of `reference` and `deadLetters`.
pub const PK: &str = "pk";
/// Sort key of `reference` and `deadLetters`.
pub const SK: &str = "sk";
/// Expiry of an item of `feedIndex`, `reference` or `deadLetters`, in seconds since the Unix epoch.
pub const EXPIRES_AT: &str = "expiresAt";

/// The primary key of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    partition: (&'static str, String),
    sort: Option<(&'static str, String)>,
}

impl Key {
    /// Returns the name of the partition key attribute, which every item of the table has.
    pub fn partition_attribute(&self) -> &'static str {
        self.partition.0
    }

    /// Returns the value of the partition key.
    pub fn partition_value(&self) -> &str {
        &self.partition.1
    }

    /// Returns the key attributes.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        let text = |(name, value): &(&'static str, String)| ((*name).to_owned(), AttributeValue::S(value.clone()));
        std::iter::once(&self.partition).chain(&self.sort).map(text).collect()
    }
}

/// A range of sort keys in one partition, from `from` to `to`, both inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Attribute name and value of the partition key.
    pub partition: (&'static str, String),
    /// Attribute name of the sort key.
    pub sort: &'static str,
    /// The smallest sort key.
    pub from: String,
    /// The largest sort key.
    pub to: String,
    /// Whether the read is strongly consistent.
    pub consistent: bool,
    /// Whether items are returned in descending order of the sort key.
    pub descending: bool,
}

impl KeyRange {
    /// Returns the same range, read eventually consistent at half the price.
    #[must_use]
    pub fn eventually_consistent(self) -> Self {
        Self { consistent: false, ..self }
    }
}
