//! Structured logs: one JSON object a line, with the function, its stage, and the request's and the trace's id.
//!
//! A value stands in the message and in a field; fields carry their unit in their name (`duration_ms`); each error is logged
//! once, where it is handled, with its causes. No VIN, token or secret is ever logged: their types print without them. What
//! looks like a VIN in a text of somebody else, such as a parser's complaint, is hidden as the line is written.

use std::fmt;
use std::panic::{self, PanicHookInfo};

pub use roadcast_ports::chain;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

mod vins;

/// Sets the log up, once, at cold start. `service` and `stage` stand on every line; `level` is a level or a filter such as
/// `info,roadcast_services=debug`.
pub fn init(service: &str, stage: &str, level: Option<&str>) {
    // A second call, as in tests, leaves the first in force.
    if log(service, stage, level, std::io::stdout).try_init().is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

fn log<W>(service: &str, stage: &str, level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The runtime would log each failure a second time.
    let quiet = "lambda_runtime=off";
    let level = level.unwrap_or("info");
    let filter = EnvFilter::try_new(format!("{level},{quiet}")).unwrap_or_else(|_| EnvFilter::new(format!("info,{quiet}")));
    let head = serde_json::json!({ "service": service, "stage": stage }).to_string().replace('}', ",");
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .map_event_format(|members| Line { head, members })
        .finish()
}

/// A line: what is the same on all of them, and what the event says, without VINs.
struct Line<F> {
    /// The object's beginning.
    head: String,
    members: F,
}

impl<S, N, F> FormatEvent<S, N> for Line<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.members.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&self.head)?;
        writer.write_str(&vins::hidden(line.strip_prefix('{').unwrap_or(&line)))
    }
}

/// A panic is logged like any other error, not as lines of plain text.
fn log_panic(panicked: &PanicHookInfo<'_>) {
    let place = panicked.location().map(ToString::to_string).unwrap_or_default();
    let error = panicked.payload_as_str().unwrap_or("no message");
    tracing::error!(place, error, "panicked at {place}: {error}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of what was logged meanwhile.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let to = written.clone();
        tracing::subscriber::with_default(log("a-function", "dev", None, move || to.clone()), work);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_says_which_function_of_which_stage_it_is_from() {
        let lines = logged(|| {
            tracing::info!("outside of any request");
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
    fn a_vin_is_in_no_line_whether_in_the_message_a_field_or_the_span() {
        let vin = "WVWZZZ3CZEE140287";
        let lines = logged(|| {
            let span = tracing::info_span!("request", asked = format!("/vehicles?externalId=vin%3A{vin}"));
            let error = format!("invalid value: string \"{vin}\"\n{vin}");
            span.in_scope(|| tracing::error!(error, "cannot be read: {error}"));
        });
        assert_eq!(lines[0]["error"], "invalid value: string \"(vin)\"\n(vin)");
        assert!(!lines[0].to_string().contains(vin), "{}", lines[0]);
    }
}
