//! SQS adapters: the feed queues of the fleets, their creation and deletion, the delay of failed messages, the queues of the
//! dispatcher of webhooks and of back-tests, and the sender of dead letters.

mod back_test_queue;
mod delivery_queue;
mod failed_deliveries;
mod feed_queue;
pub(crate) mod fleet_queues;
mod message_batch;
mod message_delay;

pub use back_test_queue::SqsBackTestQueue;
pub use delivery_queue::SqsDeliveryQueue;
pub use failed_deliveries::SqsFailedDeliveries;
pub use feed_queue::SqsFeedQueue;
pub use message_delay::SqsMessageDelay;
