//! The catalogue: packages of signals and event types, and the schemas of custom event types.

pub mod event_schemas;
pub mod packages;
