//! Processing the stream: archive, validate, publish, store.
//!
//! In that order, because each step makes the next one safe to lose: what is archived can be processed again, what is
//! published can be published again (consumers know an event by its id), and what is stored is done: a retry that finds an
//! event stored has nothing left to do.
//!
//! A batch is usually one chunk. Where its records unpack to more than is good for the function's memory, what was judged so
//! far is carried on before the next event is read; where they take long, the rest of them comes again. So no sender can make
//! a batch fail that holds others' records, whatever is in his.

mod chunk;
mod dedup;
mod processor;
mod publish;
mod quarantine;
mod recent_events;
mod store;

pub use processor::{BatchCounts, BatchOutcome, Record, StreamProcessor};
pub use recent_events::RecentEvents;
