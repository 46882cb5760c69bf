//! Events as they are stored, published and handed out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use roadcast_signals::{Sample, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::cloudevent::SPEC_VERSION;
use crate::diagnostic::Diagnostic;
use crate::ids::{Eid, VehicleId};

/// The `source` of every event that Roadcast hands out.
pub const SOURCE: &str = "urn:roadcast";

/// An event type: one of Roadcast's own, or the name of one that an admin registers with a schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// Samples of signals.
    Telemetry,
    /// Trouble codes.
    Diagnostic,
    /// A rule fired.
    Alert,
    /// What a registered schema says.
    Custom(CustomType),
}

impl EventType {
    /// The type as CloudEvents names it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Telemetry => "roadcast.telemetry.v1",
            Self::Diagnostic => "roadcast.diagnostic.v1",
            Self::Alert => "roadcast.alert.v1",
            Self::Custom(name) => name.as_str(),
        }
    }

    /// The type of that name. Whether a schema is registered for a custom one is another question.
    pub fn from_name(name: &str) -> Option<Self> {
        let own = [Self::Telemetry, Self::Diagnostic, Self::Alert].into_iter().find(|own| own.as_str() == name);
        own.or_else(|| name.parse().ok().map(Self::Custom))
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
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom("no event type has such a name"))
    }
}

/// The name of a custom event type, such as `com.example.tyre.v1`: a domain in reverse and what is said, in labels of a–z, 0–9
/// and inner hyphens, then the version of its meaning. Names that begin with `roadcast.` are Roadcast's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomType(Arc<str>);

/// A text that cannot name a custom event type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a custom event type is named like com.example.tyre.v1, in at most 128 characters, and not roadcast.…")]
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

/// An event about one vehicle, validated and transformed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub eid: Eid,
    /// The vehicle.
    pub vid: VehicleId,
    /// When Roadcast received it.
    pub received: Timestamp,
    /// What it says.
    pub body: Body,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Samples, in the order they were sent.
    Telemetry(Telemetry),
    /// Trouble codes.
    Diagnostic(Diagnostic),
    /// Data of a registered type.
    Custom(Custom),
}

/// Data of a registered type, in the bytes that it was sent in.
#[derive(Clone, Debug)]
pub struct Custom {
    /// The type.
    pub event_type: CustomType,
    /// The data.
    pub data: Box<RawValue>,
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type && self.data.get() == other.data.get()
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.data.serialize(serializer)
    }
}

/// Samples of signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// In the order they were sent.
    pub samples: Vec<Sample>,
}

/// Where an event came from, as its sender named it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The sender's `source`.
    pub source: String,
    /// The sender's `id`.
    pub id: String,
    /// The sender's extension attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, serde_json::Value>,
}

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// Where it came from. It is not handed out.
    pub origin: Origin,
}

impl Event {
    /// Its type.
    pub fn event_type(&self) -> EventType {
        match &self.body {
            Body::Telemetry(_) => EventType::Telemetry,
            Body::Diagnostic(_) => EventType::Diagnostic,
            Body::Custom(custom) => EventType::Custom(custom.event_type.clone()),
        }
    }

    /// How many samples it holds; an event of another type counts as one.
    pub fn sample_count(&self) -> usize {
        match &self.body {
            Body::Telemetry(telemetry) => telemetry.samples.len(),
            Body::Diagnostic(_) | Body::Custom(_) => 1,
        }
    }

    /// The CloudEvent that is published and handed out.
    pub fn to_cloud_event(&self) -> CloudEvent<'_> {
        CloudEvent {
            specversion: SPEC_VERSION,
            id: self.eid,
            source: SOURCE,
            event_type: self.event_type(),
            subject: &self.vid,
            time: self.eid.time(),
            datacontenttype: "application/json",
            receivedtime: self.received,
            consentepoch: None,
            data: &self.body,
        }
    }

    /// Reads back what [`to_cloud_event`](Self::to_cloud_event) wrote, and the consent epoch it carries.
    pub fn from_cloud_event(json: &str) -> Result<(Self, Option<u64>), NotOurEvent> {
        let written: Written<'_> = serde_json::from_str(json)?;
        let body = match written.event_type {
            EventType::Telemetry => Body::Telemetry(serde_json::from_str(written.data.get())?),
            EventType::Diagnostic => Body::Diagnostic(serde_json::from_str(written.data.get())?),
            EventType::Custom(event_type) => Body::Custom(Custom { event_type, data: written.data.to_owned() }),
            EventType::Alert => return Err(NotOurEvent::Type),
        };
        let event = Self { eid: written.id, vid: written.subject, received: written.receivedtime, body };
        Ok((event, written.consentepoch))
    }
}

/// The outgoing form of an event: CloudEvents 1.0 with the extensions `receivedtime` and `consentepoch`.
#[derive(Clone, Debug, Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: Eid,
    source: &'static str,
    #[serde(rename = "type")]
    event_type: EventType,
    subject: &'a VehicleId,
    time: Timestamp,
    datacontenttype: &'static str,
    receivedtime: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    consentepoch: Option<u64>,
    data: &'a Body,
}

impl CloudEvent<'_> {
    /// Stamps the epoch of the consent under which the event is delivered.
    #[must_use]
    pub fn under_consent(mut self, epoch: u64) -> Self {
        self.consentepoch = Some(epoch);
        self
    }
}

#[derive(Deserialize)]
struct Written<'a> {
    id: Eid,
    #[serde(rename = "type")]
    event_type: EventType,
    subject: VehicleId,
    receivedtime: Timestamp,
    #[serde(default)]
    consentepoch: Option<u64>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A text that is not an event of ours.
#[derive(Debug, thiserror::Error)]
pub enum NotOurEvent {
    /// Not of the form.
    #[error("not an event that Roadcast wrote: {0}")]
    Form(#[from] serde_json::Error),
    /// Of a type that carries no data yet.
    #[error("an event type that is not stored")]
    Type,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_custom_type_is_a_domain_in_reverse_and_a_version_and_never_one_of_ours() {
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

    #[test]
    fn the_data_of_a_custom_event_comes_back_to_the_byte() {
        let vid = VehicleId::from_random(1);
        let received = Timestamp::from_ms(1_793_000_000_000);
        let data = RawValue::from_string("{ \"b\": 1.50e1,\n\"a\" : 12345678901234567890123 }".to_owned()).unwrap();
        let body = Body::Custom(Custom { event_type: "com.example.tyre.v1".parse().unwrap(), data });
        let event = Event { eid: Eid::of(&vid, "s", "i", received), vid, received, body };
        let written = serde_json::to_string(&event.to_cloud_event()).unwrap();
        assert_eq!(Event::from_cloud_event(&written).unwrap(), (event, None));
    }
}
