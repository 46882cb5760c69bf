//! Kinesis adapters: the telemetry stream, reads of it and its clock.

mod stream_clock;
mod stream_reader;
mod telemetry_stream;

pub use stream_clock::KinesisStreamClock;
pub use stream_reader::KinesisStreamReader;
pub use telemetry_stream::KinesisTelemetryStream;
