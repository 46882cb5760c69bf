//! Structured logs: one JSON object a line, with the request's and the trace's id.
//!
//! A value stands in the message and in a field; fields carry their unit in their name (`duration_ms`); each error is logged
//! once, where it is handled, with its causes. No VIN, token or secret is ever logged: their types print without them.

use std::error::Error;

use tracing_subscriber::EnvFilter;

/// Sets the log up, once, at cold start. `level` is a level or a filter such as `info,roadcast_services=debug`.
pub fn init(level: Option<&str>) {
    // The runtime would log each failure a second time.
    let quiet = "lambda_runtime=off";
    let level = level.unwrap_or("info");
    let filter = EnvFilter::try_new(format!("{level},{quiet}")).unwrap_or_else(|_| EnvFilter::new(format!("info,{quiet}")));
    // A second call, as in tests, leaves the first in force.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
}

/// An error and what caused it, in a line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
