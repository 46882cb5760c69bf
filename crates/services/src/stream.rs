//! Processing of the stream: archive, validate, publish, store. Restoring from the archive: validate, record, store.
//!
//! The order makes each step repeatable after a failure of a later one: archived records can be processed again; published
//! events can be published again, because consumers deduplicate events by id; stored events are done, and a retry drops
//! them.
//!
//! A batch is usually one chunk. If its records decompress to more than fits into the function's memory, the processor
//! flushes the events validated so far before it reads the next event. If its records take too long, the remaining records
//! are retried. So a sender cannot make a batch fail that contains the records of other senders, whatever its own records
//! contain.
//!
//! Alerts of the alert evaluator are on the stream as well. They are archived and stored, and not published again.

mod alerts;
mod batch;
mod chunk;
mod dedup;
mod event_reader;
mod event_store;
mod process;
mod processor;
mod publish;
mod quarantine;
mod recent_events;
mod record_kind;
mod restorer;
mod store;
mod validate;

pub use alerts::AlertReader;
pub use batch::{BatchCounts, BatchOutcome, Record};
pub(crate) use event_reader::{EventReader, RecordContent};
pub use event_store::EventStore;
pub use processor::StreamProcessor;
pub use publish::Publisher;
pub use recent_events::RecentEvents;
pub use restorer::{RecordRestorer, RestoreScope, RestoreTarget};
pub use validate::EventValidator;
