//! The trace context of a request: the header `traceparent`, and the trace of an invocation as Lambda states it.

use std::fmt;
use std::str::FromStr;

use super::{SpanId, TraceId};

/// Length of `traceparent` in version 00.
const TEXT_LEN: usize = 55;
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// A position in a trace: W3C Trace Context, 3.2 "Traceparent Header".
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The step that sent the request.
    pub span_id: SpanId,
    /// Whether the sender records the trace.
    pub is_sampled: bool,
}

/// A text that is not a trace context. It is ignored, as the standard requires.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trace context (00-, 32 digits, -, 16 digits, -, 2 digits; lower-case hexadecimal)")]
pub struct InvalidTraceContext;

impl TraceContext {
    /// The name of the header, in lower case.
    pub const HEADER: &'static str = "traceparent";

    /// Parses the trace of an invocation: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`. Members
    /// may be in any order, and others are ignored.
    pub fn parse_x_ray(text: &str) -> Result<Self, InvalidTraceContext> {
        let (mut root, mut parent, mut is_sampled) = (None, None, false);
        for member in text.split(';') {
            match member.trim().split_once('=') {
                Some(("Root", id)) => root = Some(id),
                Some(("Parent", id)) => parent = Some(id),
                Some(("Sampled", flag)) => is_sampled = flag == "1",
                _ => {}
            }
        }
        let root = root.and_then(|id| id.strip_prefix("1-")?.split_once('-')).ok_or(InvalidTraceContext)?;
        let (seconds, rest) = (hexadecimal(root.0, 8)?, hexadecimal(root.1, 24)?);
        let trace_id = TraceId(seconds << 96 | rest);
        Ok(Self { trace_id, span_id: span_id(parent.unwrap_or_default())?, is_sampled })
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Accepts later versions, which may have further members after those of version 00 (3.2.4 "Versioning").
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let mut members = text.split('-');
        let mut next = || members.next().ok_or(InvalidTraceContext);
        let version = hexadecimal(next()?, 2)?;
        let (trace_id, parent, flags) = (hexadecimal(next()?, 32)?, next()?, hexadecimal(next()?, 2)?);
        let is_version_0 = version == 0;
        if version == 0xff || trace_id == 0 || (is_version_0 && text.len() != TEXT_LEN) {
            return Err(InvalidTraceContext);
        }
        let is_sampled = flags & u128::from(SAMPLED) != 0;
        Ok(Self { trace_id: TraceId(trace_id), span_id: span_id(parent)?, is_sampled })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.is_sampled { SAMPLED } else { 0 };
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

fn span_id(text: &str) -> Result<SpanId, InvalidTraceContext> {
    let bits = u64::try_from(hexadecimal(text, 16)?).map_err(|_| InvalidTraceContext)?;
    if bits == 0 { Err(InvalidTraceContext) } else { Ok(SpanId(bits)) }
}

/// Parses lower-case hexadecimal digits, at most 32.
fn hexadecimal(text: &str, digits: usize) -> Result<u128, InvalidTraceContext> {
    let is_valid = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_valid { u128::from_str_radix(text, 16).map_err(|_| InvalidTraceContext) } else { Err(InvalidTraceContext) }
}
