//! Wire formats: encoding of events, files and state as bytes, and decoding.
//!
//! | module | format |
//! |---|---|
//! | [`stream_record`] | records of the telemetry stream: JSON, zstd frames, events whose data is a block |
//! | [`tick`] | records of the telemetry stream that only state that time passes |
//! | [`alert_record`] | records of alerts on the telemetry stream |
//! | [`bus_entry`] | events on buses, in queues and in feeds: CloudEvents in JSON, or telemetry of one vehicle as a block |
//! | [`cloudevents_http`] | CloudEvents in binary content mode, from HTTP headers and body |
//! | [`alert_checkpoint`] | checkpoints of the evaluation of alert rules |
//! | [`archive_text`] | the start of the text of an archived object |
//! | [`bulk_file`] | bulk files: decompression, lines, rows |
//! | [`dead_letter`] | messages of the queue of dead letters, and failure records of Lambda |
//! | [`erasure`] | archived records, quarantined items and dead letters without what belongs to erased vehicles |
//! | [`telemetry_block`] | telemetry events of one vehicle as a columnar block |
//! | [`vehicle_state`] | the last-known values of a vehicle |
//! | [`bytes`], [`percent`] | LEB128 numbers and length-prefixed texts; percent-encoding |
//! | [`byte_order_mark`] | the mark that some programs write before JSON |

pub mod alert_checkpoint;
pub mod alert_notice;
pub mod alert_record;
pub mod archive_text;
pub mod bulk_file;
pub mod bus_entry;
pub mod byte_order_mark;
pub mod bytes;
pub mod cloudevents_http;
pub mod dead_letter;
pub mod erasure;
pub mod failed_delivery;
pub mod percent;
pub mod stream_record;
pub mod telemetry_block;
pub mod tick;
pub mod vehicle_state;

/// The media type of a telemetry block, used as `datacontenttype`.
pub const BLOCK_CONTENT_TYPE: &str = "application/vnd.roadcast.block";
