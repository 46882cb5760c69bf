//! The forms in which events travel and lie: records of the stream, entries of the buses and queues, items of the log.

pub mod incoming;

/// The media type of a telemetry block, as `datacontenttype` says it.
pub const BLOCK_CONTENT_TYPE: &str = "application/vnd.roadcast.block";
