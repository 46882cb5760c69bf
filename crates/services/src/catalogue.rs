//! The catalogue: packages of signals and event types, and schemas of custom event types.

pub mod event_schemas;
pub mod packages;
