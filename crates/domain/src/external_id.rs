//! External ids: identifiers of vehicles in other systems.

use serde::{Deserialize, Serialize};

/// A vehicle's identifier in another system, such as a bus number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawExternalId")]
pub struct ExternalId {
    scheme: String,
    value: String,
}

/// Why a text is not an external id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExternalId {
    /// The scheme is not 1 to 32 characters of a–z, 0–9 and `-`, or it is `vin`, which has its own field.
    #[error("scheme must be 1 to 32 characters of a-z, 0-9 and '-', and must not be 'vin'")]
    Scheme,
    /// The value is empty, longer than 128 characters, or contains control characters.
    #[error("value must be 1 to 128 characters without control characters")]
    Value,
}

impl ExternalId {
    /// Creates an external id. Fails if the scheme or the value is invalid.
    pub fn new(scheme: &str, value: &str) -> Result<Self, InvalidExternalId> {
        let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if scheme.is_empty() || scheme.len() > 32 || scheme == "vin" || !scheme.bytes().all(is_allowed) {
            return Err(InvalidExternalId::Scheme);
        }
        if value.is_empty() || value.chars().count() > 128 || value.chars().any(char::is_control) {
            return Err(InvalidExternalId::Value);
        }
        Ok(Self { scheme: scheme.to_owned(), value: value.to_owned() })
    }

    /// Names the system.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The identifier in that system.
    pub fn value(&self) -> &str {
        &self.value
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExternalId {
    scheme: String,
    value: String,
}

impl TryFrom<RawExternalId> for ExternalId {
    type Error = InvalidExternalId;

    fn try_from(raw: RawExternalId) -> Result<Self, InvalidExternalId> {
        Self::new(&raw.scheme, &raw.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_vin_is_reserved_for_the_vin_field() {
        assert_eq!(ExternalId::new("vin", "WVWZZZ3CZEE140287"), Err(InvalidExternalId::Scheme));
        assert!(serde_json::from_str::<ExternalId>(r#"{"scheme":"Bus","value":"1"}"#).is_err());
    }
}
