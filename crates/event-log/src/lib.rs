//! The event log: the events of each vehicle in event-time order, on a table of items.
//!
//! Telemetry is stored in [`segment`]s, several events per item; every other event has its own item, an
//! [`encoded_event`]. [`SegmentedLog`] merges
//! overlapping segments at read. [`segment_plan`] decides which events share a segment, [`origins`] encodes the origin of
//! each event of a segment, and [`pointers`] encodes the ids of delivered events.

pub mod encoded_event;
pub mod json_text;
mod log_item;
pub mod origins;
mod page_builder;
pub mod pointers;
pub mod segment;
pub mod segment_plan;
mod segmented_log;
mod table;

pub use log_item::{EventItems, ItemPage, ItemRange, LogItem};
pub use segmented_log::SegmentedLog;
