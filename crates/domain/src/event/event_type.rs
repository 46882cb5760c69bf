//! Types of events: the built-in ones and the custom ones.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An event type: a built-in one, or the name of a custom type, which an admin registers with a schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// Samples of signals.
    Telemetry,
    /// Diagnostic trouble codes.
    Diagnostic,
    /// A rule was triggered.
    Alert,
    /// A custom type. Its data conforms to a registered schema.
    Custom(CustomType),
}

impl EventType {
    /// The CloudEvents `type`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Telemetry => "roadcast.telemetry.v1",
            Self::Diagnostic => "roadcast.diagnostic.v1",
            Self::Alert => "roadcast.alert.v1",
            Self::Custom(name) => name.as_str(),
        }
    }

    /// Returns the type with this name. Does not check whether a schema is registered for a custom type.
    pub fn from_name(name: &str) -> Option<Self> {
        let built_in =
            [Self::Telemetry, Self::Diagnostic, Self::Alert].into_iter().find(|built_in| built_in.as_str() == name);
        built_in.or_else(|| name.parse().ok().map(Self::Custom))
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name)
            .ok_or_else(|| serde::de::Error::custom("must be a built-in event type or a name like com.example.tyre.v1"))
    }
}

/// The name of a custom event type, such as `com.example.tyre.v1`: a reversed domain name and the subject, in labels of
/// a–z, 0–9 and inner hyphens, followed by the version of the meaning. Names that begin with `roadcast.` are reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomType(Arc<str>);

/// A text that is not a name of a custom event type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a custom event type is like com.example.tyre.v1, has at most 128 characters and does not start with roadcast."
)]
pub struct InvalidTypeName;

impl CustomType {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CustomType {
    type Err = InvalidTypeName;

    fn from_str(name: &str) -> Result<Self, InvalidTypeName> {
        let mut labels: Vec<&str> = name.split('.').collect();
        let version = labels.pop().and_then(|last| last.strip_prefix('v')).unwrap_or_default();
        let is_version = matches!(version.as_bytes(), [b'1'..=b'9', rest @ ..]
            if rest.len() < 4 && rest.iter().all(u8::is_ascii_digit));
        let is_label = |label: &&str| {
            label.starts_with(|first: char| first.is_ascii_lowercase())
                && !label.ends_with('-')
                && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        };
        let is_name = labels.len() >= 2 && labels.iter().all(is_label) && labels[0] != "roadcast";
        if is_name && is_version && name.len() <= 128 { Ok(Self(name.into())) } else { Err(InvalidTypeName) }
    }
}

impl Serialize for CustomType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CustomType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_type_is_a_reversed_domain_and_a_version() {
        let long = format!("com.{}.v1", "a".repeat(121));
        for name in ["com.example.tyre.v1", "com.example.v12", "a.b-2.v9999", &long] {
            assert_eq!(EventType::from_name(name), Some(EventType::Custom(name.parse().unwrap())), "{name}");
        }
        let longer = format!("com.{}.v1", "a".repeat(122));
        for name in [
            "",
            "v1",
            ".v1",
            "example.v1",
            "com.example",
            "com.example.v0",
            "com.example.v01",
            "com.example.v10000",
            "com.example.V1",
            "Com.example.v1",
            "com..v1",
            "com.2b.v1",
            "com.b-.v1",
            "com.-b.v1",
            "com.ex_ample.v1",
            "com.example.v1.",
            "roadcast.tyre.v1",
            "roadcast.telemetry.v2",
            "roadcast.telemetry.block.v1",
            &longer,
        ] {
            assert_eq!(EventType::from_name(name), None, "{name}");
        }
        assert_eq!(EventType::from_name("roadcast.telemetry.v1"), Some(EventType::Telemetry));
    }
}
