//! Signatures of webhooks: the symmetric scheme of Standard Webhooks 1.0 (<https://www.standardwebhooks.com>).
//!
//! The signature `v1` is the HMAC-SHA256 of `id.timestamp.body`. The header states one signature for each secret in force,
//! so that a receiver can change its secret at any time during a rotation.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use roadcast_signals::Timestamp;
use sha2::Sha256;

use crate::secret::hmac_sha256_with;

/// The header with the id of the message, which is the same in all attempts.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The greatest difference between the timestamp of a message and the clock of its receiver, in seconds.
pub const TOLERANCE_S: u64 = 300;

/// The prefix of the symmetric scheme.
const VERSION_PREFIX: &str = "v1,";

/// A secret that an endpoint and Roadcast share. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// The text is no signing secret. It is not part of the message, because it may be one with a typing error.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningSecretError {
    /// The text after the prefix is not base64.
    #[error("a signing secret is `{}` and base64 with padding", SigningSecret::PREFIX)]
    NotBase64,
    /// Too few or too many bytes.
    #[error("a signing secret has {} to {} bytes before they are encoded", SigningSecret::MIN_LEN, SigningSecret::MAX_LEN)]
    Length,
}

impl SigningSecret {
    /// The prefix of the text form.
    pub const PREFIX: &'static str = "whsec_";
    /// The minimum length in bytes (Standard Webhooks, "Signature scheme").
    pub const MIN_LEN: usize = 24;
    /// The maximum length in bytes (Standard Webhooks, "Signature scheme").
    pub const MAX_LEN: usize = 64;

    /// Creates a secret from random bytes. Fails if there are too few or too many.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SigningSecretError> {
        let bytes = bytes.into();
        if (Self::MIN_LEN..=Self::MAX_LEN).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SigningSecretError::Length)
        }
    }

    /// Returns the text form, for the fleet that owns the endpoint. Do not log it.
    pub fn reveal(&self) -> String {
        format!("{}{}", Self::PREFIX, STANDARD.encode(&self.0))
    }

    /// Returns the bytes, to seal them. Do not log them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Starts the HMAC of a message.
    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = hmac_sha256_with(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl FromStr for SigningSecret {
    type Err = SigningSecretError;

    /// Reads the text form. The prefix may be missing, as in the libraries of Standard Webhooks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(Self::PREFIX).unwrap_or(text);
        Self::new(STANDARD.decode(encoded).map_err(|_| SigningSecretError::NotBase64)?)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The headers that sign a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders<'m> {
    /// The value of [`ID_HEADER`].
    pub id: &'m str,
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: String,
    /// The value of [`SIGNATURE_HEADER`]: one signature for each secret, in the order of the secrets.
    pub signature: String,
}

/// Signs a message with each of the secrets.
///
/// `id` must not be chosen by others, or must not contain a full stop: otherwise two messages could have the same signed text
/// (Standard Webhooks, "Signature scheme").
pub fn sign<'m>(secrets: &[SigningSecret], id: &'m str, at: Timestamp, body: &[u8]) -> SignatureHeaders<'m> {
    let timestamp = at.ms().div_euclid(1000).to_string();
    let signatures = secrets.iter().map(|secret| {
        let mac = secret.mac(id, &timestamp, body).finalize();
        format!("{VERSION_PREFIX}{}", STANDARD.encode(mac.into_bytes()))
    });
    let signature = signatures.collect::<Vec<_>>().join(" ");
    SignatureHeaders { id, timestamp, signature }
}

/// The headers of a received message. A header that is missing is `None`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedHeaders<'r> {
    /// The value of [`ID_HEADER`].
    pub id: Option<&'r str>,
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: Option<&'r str>,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: Option<&'r str>,
}

/// Why a received message must not be trusted.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// A header is missing.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// The timestamp is no number of seconds.
    #[error("{TIMESTAMP_HEADER} is not a number of seconds since 1970")]
    InvalidTimestamp,
    /// The message was signed too long ago: it may be a copy of an earlier message.
    #[error("the message was signed more than {TOLERANCE_S} s ago")]
    TooOld,
    /// The message was signed too far in the future.
    #[error("the message was signed more than {TOLERANCE_S} s in the future; check the clock of this machine")]
    TooNew,
    /// No signature belongs to the message and one of the secrets.
    #[error("no signature matches the body and the secret")]
    NoMatch,
}

/// Verifies that a message was signed with one of the secrets, at most [`TOLERANCE_S`] seconds before or after `now`.
///
/// The time that a comparison takes does not depend on how much of a signature is right.
pub fn verify(
    secrets: &[SigningSecret],
    headers: ReceivedHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), VerificationError> {
    let id = required(headers.id, ID_HEADER)?;
    let timestamp = required(headers.timestamp, TIMESTAMP_HEADER)?;
    let signatures = required(headers.signature, SIGNATURE_HEADER)?;
    check_age(timestamp, now)?;
    // The body is hashed once for each secret, however many signatures the header has.
    let macs: Vec<_> = secrets.iter().map(|secret| secret.mac(id, timestamp, body)).collect();
    let signatures = signatures.split(' ').filter_map(|text| STANDARD.decode(text.strip_prefix(VERSION_PREFIX)?).ok());
    for signature in signatures {
        if macs.iter().any(|mac| mac.clone().verify_slice(&signature).is_ok()) {
            return Ok(());
        }
    }
    Err(VerificationError::NoMatch)
}

/// Returns the value of a header that must not be missing or empty.
fn required<'r>(value: Option<&'r str>, name: &'static str) -> Result<&'r str, VerificationError> {
    value.filter(|value| !value.is_empty()).ok_or(VerificationError::MissingHeader(name))
}

/// Checks that a timestamp is close to `now`.
fn check_age(timestamp: &str, now: Timestamp) -> Result<(), VerificationError> {
    let signed_at: i64 = timestamp.parse().map_err(|_| VerificationError::InvalidTimestamp)?;
    let now = now.ms().div_euclid(1000);
    if signed_at.abs_diff(now) <= TOLERANCE_S {
        Ok(())
    } else if signed_at < now {
        Err(VerificationError::TooOld)
    } else {
        Err(VerificationError::TooNew)
    }
}

#[cfg(test)]
mod tests;
