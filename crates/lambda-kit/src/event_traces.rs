//! Traces of events: for each traced event that an invocation passed on, a segment of X-Ray in the trace of the event.
//!
//! Lambda makes the segments of an invocation itself. A batch has many events, so its trace is not that of an event, but the segments
//! link to it. See `docs/decisions/0068-traces-of-events.md`.
//!
//! Segments are sent over UDP to the X-Ray daemon, which Lambda runs beside the function. A datagram that is lost is a segment
//! that is missing: traces never delay or fail an invocation.

mod segment;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use lambda_runtime::Context;
pub use roadcast_domain::trace::TraceHop;
use roadcast_domain::trace::{EventSampling, SpanId, TraceCandidates, TraceContext, TraceId};
use roadcast_services::webhooks::dispatcher::MadeAttempt;

use segment::Segment;

/// The maximum number of segments of an invocation: those of two full lists of candidates. Those beyond it are not written.
const MAX_SEGMENTS: usize = 2 * TraceCandidates::MAX;
/// The line before the document in a datagram to the daemon.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// Collects what an invocation did with traced events, and writes it.
pub struct EventTraces {
    /// The name of the segments.
    name: String,
    stage: String,
    sampling: EventSampling,
    daemon: Option<UdpSocket>,
    passed: Mutex<Vec<Passed>>,
}

/// The invocation that passed events on.
#[derive(Clone, Debug)]
pub struct TracedInvocation {
    /// The request id, which is in each log line.
    pub request_id: String,
    /// When it was started.
    pub started: SystemTime,
    /// Its trace, if Lambda states one.
    pub trace: Option<TraceContext>,
    /// The trace of the caller, from the header `traceparent` of a request. It is linked and not trusted otherwise.
    pub caller: Option<TraceContext>,
}

impl TracedInvocation {
    /// Returns an invocation that starts now. Its caller is not known.
    pub fn of(context: &Context) -> Self {
        let trace = context.xray_trace_id.as_deref().and_then(|text| TraceContext::parse_x_ray(text).ok());
        Self { request_id: context.request_id.clone(), started: SystemTime::now(), trace, caller: None }
    }
}

/// A step of a traced event.
enum Passed {
    /// It passed a hop in this invocation.
    Hop(TraceHop, TraceId),
    /// An attempt to deliver it.
    Attempt(Box<MadeAttempt>),
}

impl EventTraces {
    /// Creates the traces of a function. Without a daemon, or if no event is traced, nothing is collected.
    pub fn new(service: &str, stage: &str, sampling: EventSampling, daemon: Option<SocketAddr>) -> Self {
        let daemon = daemon.filter(|_| !sampling.is_none()).and_then(|address| connect(address).ok());
        let sampling = if daemon.is_some() { sampling } else { EventSampling::NONE };
        let name = format!("roadcast-{stage}-{service}");
        Self { name, stage: stage.to_owned(), sampling, daemon, passed: Mutex::default() }
    }

    /// Creates traces that collect nothing.
    pub fn disabled() -> Self {
        Self::new("", "", EventSampling::NONE, None)
    }

    /// Which events are traced.
    pub const fn sampling(&self) -> EventSampling {
        self.sampling
    }

    /// Adds those of the events that are traced: they passed a hop.
    pub fn add(&self, hop: TraceHop, candidates: &TraceCandidates) {
        for eid in candidates.traced(self.sampling) {
            self.push(Passed::Hop(hop, TraceId::of_event(eid)));
        }
    }

    /// Adds an attempt to deliver an event, if the event is traced.
    pub fn add_attempt(&self, attempt: &MadeAttempt) {
        if self.sampling.includes_trace(attempt.trace.trace_id) {
            self.push(Passed::Attempt(Box::new(attempt.clone())));
        }
    }

    fn push(&self, passed: Passed) {
        let mut all = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        // One more than are written, so that what is left out can be logged.
        if all.len() <= MAX_SEGMENTS {
            all.push(passed);
        }
    }

    /// Writes the segments of an invocation that ends now, and clears them.
    pub fn flush(&self, invocation: &TracedInvocation) {
        let passed = std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(daemon) = self.daemon.as_ref().filter(|_| !passed.is_empty()) else { return };
        let is_complete = passed.len() <= MAX_SEGMENTS;
        let now = SystemTime::now();
        let segments: Vec<Segment> =
            passed.iter().take(MAX_SEGMENTS).map(|passed| self.segment(passed, invocation, now)).collect();
        let summary = Segment::of_invocation(&segments, invocation, now);
        let mut is_sent = true;
        for segment in segments.iter().chain(&summary) {
            let datagram = format!("{HEADER}{}", segment.to_json());
            is_sent &= daemon.send(datagram.as_bytes()).is_ok();
        }
        if !is_complete || !is_sent {
            tracing::debug!(is_complete, is_sent, "some segments of traced events are missing");
        }
    }

    fn segment(&self, passed: &Passed, invocation: &TracedInvocation, now: SystemTime) -> Segment {
        let segment = match passed {
            Passed::Hop(hop, trace_id) => {
                let span_id = match hop {
                    // A fleet may read an event several times.
                    TraceHop::Feed => SpanId::of_invocation(*trace_id, *hop, &invocation.request_id),
                    _ => SpanId::of_hop(*trace_id, *hop),
                };
                let context = TraceContext { trace_id: *trace_id, span_id, is_sampled: true };
                Segment::of_hop(&self.name, context, *hop, (invocation.started, now))
            }
            Passed::Attempt(attempt) => Segment::of_attempt(&self.name, attempt),
        };
        segment.with_annotation("stage", self.stage.as_str()).with_invocation(invocation)
    }
}

/// Returns a socket that never waits: the daemon is on the same machine.
fn connect(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let local: IpAddr = match (address, address.ip().is_loopback()) {
        (SocketAddr::V4(_), true) => Ipv4Addr::LOCALHOST.into(),
        (SocketAddr::V4(_), false) => Ipv4Addr::UNSPECIFIED.into(),
        (SocketAddr::V6(_), true) => Ipv6Addr::LOCALHOST.into(),
        (SocketAddr::V6(_), false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns the address of the daemon in the text of Lambda: `169.254.79.129:2000`, or `tcp:… udp:…`. `None` if it is not an address.
pub(crate) fn daemon_address(text: &str) -> Option<SocketAddr> {
    let mut members = text.split_whitespace();
    members.find_map(|member| member.strip_prefix("udp:").unwrap_or(member).parse().ok())
}

#[cfg(test)]
mod tests;
