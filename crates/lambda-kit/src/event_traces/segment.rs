//! A segment document of X-Ray.
//!
//! Source: AWS X-Ray developer guide, "X-Ray segment documents". Links are not part of that page: their form is that of the segments
//! that Lambda writes for messages of SQS, and that AWS's collector for OpenTelemetry sends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roadcast_domain::trace::{SpanId, TraceContext, TraceHop};
use roadcast_domain::webhook::AttemptOutcome;
use roadcast_services::webhooks::dispatcher::MadeAttempt;
use serde_json::{Map, Value, json};

use super::TracedInvocation;

/// The maximum length of a request id that is written.
const MAX_REQUEST_ID: usize = 64;

/// A segment.
pub(super) struct Segment {
    context: TraceContext,
    parent: Option<SpanId>,
    name: String,
    /// Start and end, in seconds since the Unix epoch.
    time: (f64, f64),
    has_failed: bool,
    /// Whether it is a part of the segment of its parent.
    is_subsegment: bool,
    annotations: Map<String, Value>,
    links: Vec<Value>,
}

impl Segment {
    fn new(name: &str, context: TraceContext, parent: Option<SpanId>, time: (f64, f64)) -> Self {
        let (annotations, links) = (Map::new(), Vec::new());
        Self { context, parent, name: name.to_owned(), time, has_failed: false, is_subsegment: false, annotations, links }
    }

    fn in_trace_of_event(name: &str, context: TraceContext, hop: TraceHop, time: (f64, f64)) -> Self {
        let parent = hop.parent().map(|parent| SpanId::of_hop(context.trace_id, parent));
        let segment = Self::new(name, context, parent, time).with_annotation("hop", hop.code());
        segment.with_annotation("eid", context.trace_id.eid().to_string())
    }

    /// The segment of an event that passed a hop.
    pub(super) fn of_hop(name: &str, context: TraceContext, hop: TraceHop, time: (SystemTime, SystemTime)) -> Self {
        Self::in_trace_of_event(name, context, hop, (seconds(time.0), seconds(time.1)))
    }

    /// The segment of an attempt to deliver an event.
    pub(super) fn of_attempt(name: &str, made: &MadeAttempt) -> Self {
        let attempt = &made.attempt;
        let start = seconds(UNIX_EPOCH + Duration::from_millis(attempt.at.ms().max(0).unsigned_abs()));
        let time = (start, start + f64::from(attempt.latency_ms) / 1000.0);
        let mut segment = Self::in_trace_of_event(name, made.trace, TraceHop::Webhook, time)
            .with_annotation("endpoint_id", attempt.key.endpoint_id.as_str())
            .with_annotation("delivery_id", attempt.key.delivery_id.to_string())
            .with_annotation("number", attempt.number)
            .with_annotation("outcome", attempt.outcome.code());
        segment.has_failed = attempt.outcome != AttemptOutcome::Delivered;
        segment
    }

    /// The part of the segment of an invocation, if its trace is recorded, that links to the traces of events.
    pub(super) fn of_invocation(segments: &[Self], invocation: &TracedInvocation, now: SystemTime) -> Option<Self> {
        let trace = invocation.trace.filter(|trace| trace.is_sampled)?;
        let span_id = SpanId::of_invocation(trace.trace_id, TraceHop::Processing, &invocation.request_id);
        let context = TraceContext { span_id, ..trace };
        let time = (seconds(invocation.started), seconds(now));
        let mut summary = Self::new("traced events", context, Some(trace.span_id), time);
        summary.is_subsegment = true;
        summary.links = segments.iter().map(|segment| link(&segment.context, "event")).collect();
        Some(summary)
    }

    /// Adds the invocation: its request id, and links to its trace and to that of its caller.
    pub(super) fn with_invocation(mut self, invocation: &TracedInvocation) -> Self {
        let traces = [(invocation.trace, "invocation"), (invocation.caller, "caller")];
        self.links.extend(traces.into_iter().filter_map(|(trace, kind)| trace.map(|trace| link(&trace, kind))));
        let request_id: String = invocation.request_id.chars().take(MAX_REQUEST_ID).collect();
        self.with_annotation("request_id", request_id)
    }

    /// Adds an annotation, by which X-Ray finds traces.
    pub(super) fn with_annotation(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "id": self.context.span_id.to_string(),
            "trace_id": self.context.trace_id.x_ray(),
            "start_time": self.time.0,
            "end_time": self.time.1,
        });
        let mut set = |name: &str, value: Value| document[name] = value;
        if let Some(parent) = self.parent {
            set("parent_id", parent.to_string().into());
        }
        if self.is_subsegment {
            set("type", "subsegment".into());
        }
        if self.has_failed {
            set("fault", true.into());
        }
        if !self.annotations.is_empty() {
            set("annotations", Value::Object(self.annotations.clone()));
        }
        if !self.links.is_empty() {
            set("links", self.links.clone().into());
        }
        document
    }
}

fn link(trace: &TraceContext, kind: &str) -> Value {
    json!({ "trace_id": trace.trace_id.x_ray(), "id": trace.span_id.to_string(), "attributes": { "kind": kind } })
}

/// Returns seconds since the Unix epoch, to the microsecond, as far as a double has them.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
