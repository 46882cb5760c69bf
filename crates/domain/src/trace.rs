//! Traces: each event has one, whose id is the id of the event in another notation.
//!
//! So every step that knows an event knows its trace, and decides alike whether it is traced. Nothing is carried from step to
//! step: records, entries of buses, segments of the log and events are the same with and without traces. See
//! `docs/decisions/0068-traces-of-events.md`.

mod candidates;
mod context;
mod sampling;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::ids::{DeliveryId, Eid};
use crate::webhook::DeliveryKey;
use roadcast_signals::Timestamp;

pub use candidates::TraceCandidates;
pub use context::{InvalidTraceContext, TraceContext};
pub use sampling::{EventSampling, InvalidRate};

/// Bits of an [`Eid`] after its time.
const HASH_BITS: u32 = 80;

/// The id of a trace: 128 bits, written as 32 hexadecimal digits (W3C Trace Context, 3.2.2.3).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Returns the trace of an event: 32 bits of seconds, 16 bits of milliseconds in the second, and the 80 bits of hash of the
    /// `eid`. X-Ray requires that a trace id starts with seconds.
    pub fn of_event(eid: Eid) -> Self {
        Self::of_ulid(eid.time(), eid.hash())
    }

    /// Returns the trace of a notice about the endpoints of a fleet. The id of its CloudEvent is that of its delivery, so that a receiver
    /// computes this trace like that of an event.
    pub fn of_notice(delivery_id: DeliveryId) -> Self {
        Self::of_ulid(delivery_id.time(), delivery_id.bits())
    }

    fn of_ulid(time: Timestamp, salt: u128) -> Self {
        let ms = u128::from(time.ms().max(0).unsigned_abs());
        let seconds = (ms / 1000) & 0xffff_ffff;
        Self(seconds << 96 | (ms % 1000) << HASH_BITS | (salt & ((1 << HASH_BITS) - 1)))
    }

    /// Returns the id of the event if this is the trace of an event that happened before 2106; otherwise another id.
    pub fn eid(self) -> Eid {
        let ms = (self.0 >> 96) * 1000 + ((self.0 >> HASH_BITS) & 0xffff);
        Eid::from_time_and_salt(Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX)), self.0)
    }

    /// Returns the id in the notation of X-Ray: version, seconds and the rest, such as `1-5759e988-bd862e3fe1be46a994272793`.
    pub fn x_ray(self) -> String {
        let text = self.to_string();
        let (seconds, rest) = text.split_at(8);
        format!("1-{seconds}-{rest}")
    }

    /// Returns the rightmost 56 bits, which are random in ids that follow W3C Trace Context, level 2.
    const fn randomness(self) -> u64 {
        // The remaining bits fit.
        #[allow(clippy::cast_possible_truncation)]
        let bits = self.0 as u64;
        bits & ((1 << sampling::RANDOM_BITS) - 1)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

/// The id of a step in its trace: 64 bits, not all zero, written as 16 hexadecimal digits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// Returns the id of a hop in a trace. Repetitions of the hop have the same id.
    pub fn of_hop(trace_id: TraceId, hop: TraceHop) -> Self {
        Self::of_parts(&[&trace_id.0.to_be_bytes(), hop.code().as_bytes()])
    }

    /// Returns the id of a hop in a trace by an invocation: of a hop that may occur several times.
    pub fn of_invocation(trace_id: TraceId, hop: TraceHop, request_id: &str) -> Self {
        Self::of_parts(&[&trace_id.0.to_be_bytes(), hop.code().as_bytes(), request_id.as_bytes()])
    }

    /// Returns the id of an attempt of a delivery.
    pub fn of_attempt(key: &DeliveryKey, number: u32) -> Self {
        let (endpoint_id, delivery_id) = (key.endpoint_id.as_str(), key.delivery_id.bits().to_be_bytes());
        Self::of_parts(&[endpoint_id.as_bytes(), &delivery_id, &number.to_be_bytes()])
    }

    fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length prefix prevents that two lists have the same concatenation.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bytes = [0_u8; 8];
        bytes.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_be_bytes(bytes).max(1))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// A step of the way of an event from its sender to a fleet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceHop {
    /// It was accepted over HTTP and put onto the stream.
    Upload,
    /// It was read from the stream, published and stored.
    Processing,
    /// It was published to the entitled fleets.
    Enrichment,
    /// A fleet read it from its feed.
    Feed,
    /// An attempt to deliver it to an endpoint of a fleet.
    Webhook,
}

impl TraceHop {
    /// All hops, in the order of the way.
    pub const ALL: [Self; 5] = [Self::Upload, Self::Processing, Self::Enrichment, Self::Feed, Self::Webhook];

    /// Returns the code, for traces.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Processing => "processing",
            Self::Enrichment => "enrichment",
            Self::Feed => "feed",
            Self::Webhook => "webhook",
        }
    }

    /// Returns the hop before. Processing has none, because it does not know whether the event came over HTTP.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Upload | Self::Processing => None,
            Self::Enrichment => Some(Self::Processing),
            Self::Feed | Self::Webhook => Some(Self::Enrichment),
        }
    }
}

#[cfg(test)]
mod tests;
