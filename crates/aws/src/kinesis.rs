//! Kinesis adapter: the telemetry stream.

mod telemetry_stream;

pub use telemetry_stream::KinesisTelemetryStream;
