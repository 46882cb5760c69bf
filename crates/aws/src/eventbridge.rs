//! `EventBridge` adapters: the ingest bus, the delivery buses, and the rules of the fleets.

mod buses;
pub(crate) mod fleet_rules;

pub use buses::{BusEntry, EventBridgeDeliveryBus, EventBridgeIngestBus};
pub use fleet_rules::{FEED_INPUT_PATH, NotABusArn, feed_pattern};
