//! Ticks: records of the telemetry stream without data.
//!
//! A tick is in each shard every minute, so that time passes for the alert evaluator in the order of the records: while records
//! wait in a shard, so does the tick behind them, and a backlog never looks like the silence of a vehicle. A tick has no content that
//! could be false, so every sender that may put records may put one.

/// The content of a tick. No CloudEvent is like this.
pub const TICK: &str = r#"{"tick":"roadcast.stream.clock"}"#;

/// Whether the text of a record is a tick.
pub fn is_tick(text: &str) -> bool {
    text == TICK
}
