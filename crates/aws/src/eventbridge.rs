//! `EventBridge` adapters: the ingest bus, the delivery buses, and the rules of the fleets and of webhooks.

mod buses;
pub(crate) mod fleet_rules;
mod webhook_rule;

pub use buses::{BusEntry, EventBridgeDeliveryBus, EventBridgeIngestBus};
pub use fleet_rules::{FEED_INPUT_PATH, NotABusArn, feed_pattern};
pub use webhook_rule::WebhookRule;
