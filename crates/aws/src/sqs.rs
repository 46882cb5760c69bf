//! SQS adapters: the feed queues of the fleets, and their creation and deletion.

mod feed_queue;
pub(crate) mod fleet_queues;

pub use feed_queue::SqsFeedQueue;
