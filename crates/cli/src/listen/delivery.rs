//! A delivery that was received.

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::SigningSecret;
use roadcast_domain::webhook::signature::{VerificationError, verify};
use roadcast_webhook_receiver::ReceivedRequest;
use serde_json::Value;

/// A delivery, and whether it may be trusted.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    at: Timestamp,
    id: String,
    verification: Verification,
    body: Vec<u8>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Verification {
    /// No secret is known.
    Skipped,
    Passed,
    Failed(VerificationError),
}

impl Delivery {
    /// Verifies a request that was received at `at`.
    pub(super) fn new(request: &ReceivedRequest, secrets: &[SigningSecret], at: Timestamp) -> Self {
        let headers = request.signature_headers();
        let verification = match verify(secrets, headers, &request.body, at) {
            _ if secrets.is_empty() => Verification::Skipped,
            Ok(()) => Verification::Passed,
            Err(error) => Verification::Failed(error),
        };
        Self { at, id: headers.id.unwrap_or("-").to_owned(), verification, body: request.body.clone() }
    }

    /// Whether the delivery is verified, or no secret is known.
    pub(super) const fn is_accepted(&self) -> bool {
        !matches!(self.verification, Verification::Failed(_))
    }

    /// Returns the event as one line of JSON; a body that is no JSON as a JSON string.
    pub(super) fn event_line(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(event) => event.to_string(),
            Err(_) => Value::from(String::from_utf8_lossy(&self.body)).to_string(),
        }
    }

    /// Returns a line for people: when it was received, its id, the type and the subject of its event, and the verification.
    pub(super) fn line(&self) -> String {
        let event: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
        let verification = match self.verification {
            Verification::Skipped => "not verified: no secret".to_owned(),
            Verification::Passed => "verified".to_owned(),
            Verification::Failed(error) => format!("REFUSED: {error}"),
        };
        let line = format!("{}  {}  {}  {}  {verification}", self.at, self.id, text("type"), text("subject"));
        // Any program on this machine can send a request. It must not control the terminal.
        line.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }
}
