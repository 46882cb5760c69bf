//! `trace`: shows the way of an event, from its sender to the fleets.

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use roadcast_domain::Timestamp;
use roadcast_domain::ids::Eid;
use roadcast_domain::trace::TraceId;
use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::{Service, SignedClient};
use crate::console::{Cell, Console, Table};
use crate::location::StackLocation;
use crate::stack::Stack;

/// The maximum number of pages of a trace, whose size X-Ray limits to 500 KB.
const MAX_PAGES: usize = 20;

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast trace 01KAJCQYC0000G000009YD7PJR
  cargo roadcast --stack-name roadcast-dev trace 01KAJCQYC0000G000009YD7PJR       On AWS, from X-Ray
  cargo roadcast --json trace 01KAJCQYC0000G000009YD7PJR | jq '.segments[].requestId'

The id is in the response to an upload, in the log of the vehicle, in feeds and in webhooks. The local stack traces all events, and keeps
the traces until it ends; a stack on AWS traces the share of the parameter TracedEventsPerMillion. The request id of a row finds the log
lines of the function.")]
pub(crate) struct TraceArgs {
    /// Id of the event.
    #[arg(value_name = "EID", value_parser = Eid::from_str)]
    eid: Eid,
}

/// A segment of the trace.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceSegment {
    hop: String,
    /// The function.
    name: String,
    start_time: Timestamp,
    duration_ms: f64,
    state: &'static str,
    /// Of an attempt of a webhook: its endpoint, number and outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    request_id: String,
    /// The traces of the invocation and of the caller.
    links: Vec<String>,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &TraceArgs) -> Result<ExitCode> {
    let stack = Stack::open(location).await?;
    let trace_id = TraceId::of_event(args.eid);
    let segments = read_segments(&SignedClient::new(&stack.config)?, trace_id).await?;
    if segments.is_empty() {
        bail!(
            "there is no trace of {}: the event is not one of those that are traced (parameter TracedEventsPerMillion), was not \
             received, or its segments are not readable yet. Its log line and those of dead letters have the eid, too",
            args.eid
        );
    }
    let result = json!({
        "eid": args.eid, "traceId": trace_id.to_string(), "xRayTraceId": trace_id.x_ray(), "segments": segments,
    });
    let text = format!("{}\n\ntrace {}", table(&segments).render(console.style()), trace_id.x_ray());
    console.print_result(&result, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a trace: `BatchGetTraces`.
async fn read_segments(client: &SignedClient, trace_id: TraceId) -> Result<Vec<TraceSegment>> {
    let mut segments = Vec::new();
    let mut token = Value::Null;
    for _ in 0..MAX_PAGES {
        let body = json!({ "TraceIds": [trace_id.x_ray()], "NextToken": token });
        let response = client.json(Service::XRay, Method::POST, "/Traces", Some(&body)).await;
        let mut response = response.context("the trace cannot be read (the right xray:BatchGetTraces is needed)")?;
        segments.extend(segments_of(&response["Traces"])?);
        token = response["NextToken"].take();
        if token.is_null() {
            break;
        }
    }
    segments.sort_by_key(|segment| segment.start_time);
    Ok(segments)
}

/// The segments of traces of X-Ray, in order of time. Parts of segments, and segments that others wrote, are left out.
fn segments_of(traces: &Value) -> Result<Vec<TraceSegment>> {
    let mut segments = Vec::new();
    for segment in traces.as_array().into_iter().flatten().filter_map(|trace| trace["Segments"].as_array()).flatten() {
        let document = segment["Document"].as_str().context("a segment has no document")?;
        let document: Value = serde_json::from_str(document).context("a segment is not JSON")?;
        segments.extend(TraceSegment::of(&document));
    }
    segments.sort_by_key(|segment| segment.start_time);
    Ok(segments)
}

impl TraceSegment {
    /// None if the document is not one of Roadcast.
    fn of(document: &Value) -> Option<Self> {
        let annotations = &document["annotations"];
        let text = |name: &str| annotations[name].as_str().unwrap_or_default().to_owned();
        let (start, end) = (document["start_time"].as_f64()?, document["end_time"].as_f64()?);
        let attempt = annotations["endpoint_id"]
            .as_str()
            .map(|endpoint_id| format!("attempt {} to {endpoint_id}: {}", annotations["number"], text("outcome")));
        // The time of a segment is far within the range of milliseconds.
        #[allow(clippy::cast_possible_truncation)]
        let start_time = Timestamp::from_ms((start * 1000.0).round() as i64);
        Some(Self {
            hop: annotations["hop"].as_str()?.to_owned(),
            name: document["name"].as_str().unwrap_or_default().to_owned(),
            start_time,
            duration_ms: ((end - start) * 1e6).round() / 1000.0,
            state: if document["fault"] == true { "failed" } else { "ok" },
            attempt,
            request_id: text("request_id"),
            links: document["links"].as_array().into_iter().flatten().filter_map(link_of).collect(),
        })
    }
}

/// A link as `invocation 1-…`.
fn link_of(link: &Value) -> Option<String> {
    Some(format!("{} {}", link["attributes"]["kind"].as_str()?, link["trace_id"].as_str()?))
}

fn table(segments: &[TraceSegment]) -> Table {
    let mut table = Table::new(&["hop", "state", "after", "took", "request id"], "");
    let first = segments.first().map_or(Timestamp::from_ms(0), |segment| segment.start_time);
    for segment in segments {
        table.row([
            Cell::text(&segment.hop),
            Cell::state(segment.state),
            Cell::number(&format!("{} ms", segment.start_time.ms_since(first))),
            Cell::number(&format!("{} ms", segment.duration_ms.round())),
            Cell::text(&segment.request_id),
        ]);
        if let Some(attempt) = &segment.attempt {
            table.note(attempt);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::Style;

    fn segment(hop: &str, start: f64, more: &Value) -> Value {
        let mut document = json!({
            "name": "roadcast-dev-x", "start_time": start, "end_time": start + 0.0125,
            "annotations": { "hop": hop, "request_id": format!("request of {hop}") },
            "links": [{ "trace_id": "1-a-b", "id": "c", "attributes": { "kind": "invocation" } }],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        json!({ "Id": "x", "Document": document.to_string() })
    }

    #[test]
    fn segments_are_in_order_of_time_with_attempts() {
        let attempt = json!({ "fault": true, "annotations": {
            "hop": "webhook", "endpoint_id": "end_1", "number": 2, "outcome": "timedOut", "request_id": "r",
        }});
        let inferred =
            json!({ "Id": "y", "Document": json!({ "name": "AWS", "start_time": 1.0, "end_time": 2.0 }).to_string() });
        let segments = json!([
            segment("processing", 10.5, &json!({})),
            segment("webhook", 11.0, &attempt),
            inferred,
            segment("upload", 10.0, &json!({}))
        ]);
        let segments = segments_of(&json!([{ "Id": "1-a-b", "Segments": segments }])).unwrap();
        let expected = "HOP         STATE   AFTER    TOOK   REQUEST ID\n\
                        upload      ok         0 ms  13 ms  request of upload\n\
                        processing  ok       500 ms  13 ms  request of processing\n\
                        webhook     failed  1000 ms  13 ms  r\n    attempt 2 to end_1: timedOut";
        assert_eq!(table(&segments).render(Style::PLAIN), expected);
        assert_eq!(segments[0].links, ["invocation 1-a-b"]);
        assert!((segments[0].duration_ms - 12.5).abs() < 0.001);
    }

    #[test]
    fn trace_without_segments_is_empty_and_broken_ones_fail() {
        assert_eq!(segments_of(&json!([])).unwrap(), []);
        assert!(segments_of(&json!([{ "Segments": [{ "Document": "{" }] }])).is_err());
        assert!(segments_of(&json!([{ "Segments": [{}] }])).is_err());
    }
}
