//! The event log: the events of each vehicle in event-time order, on a table of items.
//!
//! Telemetry is stored in [`segment`]s, several events in one item; other events have an item each. [`SegmentedLog`] merges
//! overlapping segments at read. [`origins`] stores where the events of a segment came from, [`pointers`] the ids of events that
//! were delivered.

pub mod origins;
pub mod pointers;
pub mod segment;
mod segmented_log;

pub use segmented_log::{EventItems, ItemPage, ItemRange, LogItem, SegmentedLog};

#[cfg(test)]
mod tests;
