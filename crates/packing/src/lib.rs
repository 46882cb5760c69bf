//! The forms in which events travel and lie: records of the stream, entries of the buses and queues, items of the log; and
//! files of bulk data.

pub mod bulk;
mod bytes;
pub mod incoming;
pub mod log;
pub mod origins;
pub mod pointers;
pub mod segment;
pub mod state;
pub mod wire;

#[cfg(test)]
mod tests;

/// The media type of a telemetry block, as `datacontenttype` says it.
pub const BLOCK_CONTENT_TYPE: &str = "application/vnd.roadcast.block";
