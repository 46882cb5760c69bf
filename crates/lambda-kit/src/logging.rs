//! Structured logs: one JSON object per line, with the function, its stage, the request id and the trace id.
//!
//! A value is in the message and in a field; the name of a field includes its unit (`duration_ms`); each error is logged
//! once, where it is handled, with its causes. No VIN, token or secret is logged: their types omit them from `Debug` and
//! `Display`. Text from other code that looks like a VIN, such as in the error of a parser, is replaced when the line is
//! written.

use std::fmt;
use std::panic::{self, PanicHookInfo};

pub use roadcast_ports::error_chain;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

mod vin_redaction;

/// Installs the logger, once, at cold start. Every line has `service` and `stage`; `level` is a level or a filter such as
/// `info,roadcast_services=debug`.
pub fn init(service: &str, stage: &str, level: Option<&str>) {
    // After a second call, as in tests, the first logger stays in force.
    if subscriber(service, stage, level, std::io::stdout).try_init().is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

fn subscriber<W>(service: &str, stage: &str, level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // `Targets` in place of `EnvFilter`, which compiles regular expressions at every start.
    let filter =
        level.and_then(|level| level.parse().ok()).unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // Otherwise the runtime would log each failure a second time.
    let filter = filter.with_target("lambda_runtime", LevelFilter::OFF);
    let prefix = serde_json::json!({ "service": service, "stage": stage }).to_string().replace('}', ",");
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .map_event_format(|event_format| LineFormat { prefix, event_format });
    tracing_subscriber::registry().with(lines).with(filter)
}

/// Formats a line: the members that all lines share, then those of the event, without VINs.
struct LineFormat<EventFormat> {
    /// The start of the JSON object, with the shared members.
    prefix: String,
    event_format: EventFormat,
}

impl<Spans, Fields, EventFormat> FormatEvent<Spans, Fields> for LineFormat<EventFormat>
where
    Spans: Subscriber + for<'s> LookupSpan<'s>,
    Fields: for<'w> FormatFields<'w> + 'static,
    EventFormat: FormatEvent<Spans, Fields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, Spans, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.event_format.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&self.prefix)?;
        writer.write_str(&vin_redaction::redact_vins(line.strip_prefix('{').unwrap_or(&line)))
    }
}

/// Logs a panic like any other error, not as lines of plain text.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let error = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(location, error, "panicked at {location}: {error}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs `work` and returns the lines that it logged.
    fn logged_lines(work: impl FnOnce()) -> Vec<Value> {
        lines_at(None, work)
    }

    /// Runs `work` with this `LOG_LEVEL` and returns the lines that it logged.
    fn lines_at(level: Option<&str>, work: impl FnOnce()) -> Vec<Value> {
        let buffer = SharedBuffer::default();
        let writer = buffer.clone();
        tracing::subscriber::with_default(subscriber("a-function", "dev", level, move || writer.clone()), work);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_has_service_and_stage() {
        let lines = logged_lines(|| {
            tracing::info!("outside a request");
            let span = tracing::info_span!("request", request_id = "r-1");
            span.in_scope(|| tracing::warn!(rows = 3, "3 rows"));
        });
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert_eq!((&line["service"], &line["stage"]), (&"a-function".into(), &"dev".into()));
        }
        assert_eq!(lines[1]["span"]["request_id"], "r-1");
        assert_eq!(
            (&lines[1]["rows"], &lines[1]["message"], &lines[1]["level"]),
            (&3.into(), &"3 rows".into(), &"WARN".into())
        );
    }

    #[test]
    fn level_applies_to_all_targets_or_to_one() {
        let messages = |level| {
            let lines = lines_at(level, || {
                tracing::debug!(target: "roadcast_services::stream", "debug of services");
                tracing::debug!(target: "roadcast_domain", "debug of domain");
                tracing::info!(target: "roadcast_domain", "info of domain");
                tracing::error!(target: "lambda_runtime", "logged by the runtime");
            });
            lines.iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(messages(None), ["info of domain"]);
        assert_eq!(messages(Some("info,roadcast_services=debug")), ["debug of services", "info of domain"]);
        assert_eq!(messages(Some("debug")), ["debug of services", "debug of domain", "info of domain"]);
        assert_eq!(messages(Some("warn")), [""; 0]);
        assert_eq!(messages(Some("?=?")), ["info of domain"], "an invalid level");
    }

    #[test]
    fn vin_is_redacted_in_message_field_and_span() {
        let vin = "WVWZZZ3CZEE140287";
        let lines = logged_lines(|| {
            let span = tracing::info_span!("request", path = format!("/vehicles?externalId=vin%3A{vin}"));
            let error = format!("invalid value: string \"{vin}\"\n{vin}");
            span.in_scope(|| tracing::error!(error, "cannot be read: {error}"));
        });
        assert_eq!(lines[0]["error"], "invalid value: string \"(vin)\"\n(vin)");
        assert!(!lines[0].to_string().contains(vin), "{}", lines[0]);
    }
}
