//! Attempts: the HTTP requests of a delivery.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::DeliveryKey;
use crate::ids::{FleetId, VehicleId};

/// One attempt of a delivery. Contains no data of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The delivery.
    #[serde(flatten)]
    pub key: DeliveryKey,
    /// The fleet.
    pub fleet_id: FleetId,
    /// The vehicle; absent for a notice. A fleet sees the attempt only while it may see the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<VehicleId>,
    /// The CloudEvents type of the event.
    pub event_type: String,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When it was started.
    pub at: Timestamp,
    /// Its outcome.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if a response was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The time from the start of the connection to the end of the response, in milliseconds.
    pub latency_ms: u32,
    /// The start of the response body, or what is wrong with the TLS of the receiver, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// When the next attempt follows; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

/// The outcome of an attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// A response with a status from 200 to 299.
    Delivered,
    /// A response with 410 Gone: the endpoint must be disabled.
    Gone,
    /// A response with a status from 300 to 399. Redirects are not followed.
    Redirected,
    /// A response with any other status.
    ErrorStatus,
    /// No complete response within the time of an attempt.
    TimedOut,
    /// The host name has no address, or could not be resolved.
    NameNotResolved,
    /// The address, the scheme or the port is not allowed: nothing was sent.
    AddressForbidden,
    /// No connection was established.
    ConnectionRefused,
    /// The connection was closed before the response was complete.
    ConnectionClosed,
    /// TLS could not be established, for example because the certificate is not valid.
    TlsFailed,
    /// The response is not HTTP.
    InvalidResponse,
}

impl AttemptOutcome {
    /// All outcomes.
    pub const ALL: [Self; 11] = [
        Self::Delivered,
        Self::Gone,
        Self::Redirected,
        Self::ErrorStatus,
        Self::TimedOut,
        Self::NameNotResolved,
        Self::AddressForbidden,
        Self::ConnectionRefused,
        Self::ConnectionClosed,
        Self::TlsFailed,
        Self::InvalidResponse,
    ];

    /// Returns the code: a value of the API, of metrics and of logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Redirected => "redirected",
            Self::ErrorStatus => "errorStatus",
            Self::TimedOut => "timedOut",
            Self::NameNotResolved => "nameNotResolved",
            Self::AddressForbidden => "addressForbidden",
            Self::ConnectionRefused => "connectionRefused",
            Self::ConnectionClosed => "connectionClosed",
            Self::TlsFailed => "tlsFailed",
            Self::InvalidResponse => "invalidResponse",
        }
    }
}
