//! Events as they are stored, published and delivered.

use std::collections::BTreeMap;

use roadcast_signals::{Samples, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::cloudevent::SPEC_VERSION;
use crate::diagnostic::Diagnostic;
use crate::ids::{Eid, VehicleId};

pub mod alert;
mod event_type;
pub mod memory;

use self::alert::Alert;

pub use event_type::{CustomType, EventType, InvalidTypeName};

/// The `source` of every event that Roadcast delivers.
pub const SOURCE: &str = "urn:roadcast";

/// An event about one vehicle, validated and transformed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The event's id.
    pub eid: Eid,
    /// The vehicle.
    pub vid: VehicleId,
    /// When Roadcast received it.
    pub received: Timestamp,
    /// The content.
    pub body: Body,
}

/// The content of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Samples of signals.
    Telemetry(Telemetry),
    /// Diagnostic trouble codes.
    Diagnostic(Diagnostic),
    /// An alert rule raised or cleared an alert.
    Alert(Box<Alert>),
    /// Data of a custom type.
    Custom(Custom),
}

/// Data of a custom type, in the bytes of the sender.
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
    /// The samples, in the order in which they were sent.
    pub samples: Samples,
}

/// How the sender identified the event.
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

/// An event, as the event log stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// How the sender identified it. Not delivered to fleets.
    pub origin: Origin,
}

impl Event {
    /// The event's type.
    pub fn event_type(&self) -> EventType {
        match &self.body {
            Body::Telemetry(_) => EventType::Telemetry,
            Body::Diagnostic(_) => EventType::Diagnostic,
            Body::Alert(_) => EventType::Alert,
            Body::Custom(custom) => EventType::Custom(custom.event_type.clone()),
        }
    }

    /// The number of samples. An event of another type than telemetry counts as one sample.
    pub fn sample_count(&self) -> usize {
        match &self.body {
            Body::Telemetry(telemetry) => telemetry.samples.len(),
            Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) => 1,
        }
    }

    /// Returns the time of the event as far as it is visible: that of its earliest sample. The time in the `eid` is that of the
    /// event before it was redacted.
    pub fn time(&self) -> Timestamp {
        let times = match &self.body {
            Body::Telemetry(telemetry) => telemetry.samples.times(),
            Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) => &[],
        };
        times.iter().copied().min().unwrap_or_else(|| self.eid.time())
    }

    /// Returns the CloudEvent that is published and delivered.
    pub fn to_cloud_event(&self) -> CloudEvent<'_> {
        CloudEvent {
            specversion: SPEC_VERSION,
            id: self.eid,
            source: SOURCE,
            event_type: self.event_type(),
            subject: &self.vid,
            time: self.time(),
            datacontenttype: "application/json",
            receivedtime: self.received,
            consentepoch: None,
            data: &self.body,
        }
    }

    /// Parses an event that [`to_cloud_event`](Self::to_cloud_event) wrote, and its consent epoch.
    pub fn from_cloud_event(json: &str) -> Result<(Self, Option<u64>), InvalidStoredEvent> {
        let written: WrittenEvent<'_> = serde_json::from_str(json)?;
        let body = match written.event_type {
            EventType::Telemetry => Body::Telemetry(serde_json::from_str(written.data.get())?),
            EventType::Diagnostic => Body::Diagnostic(serde_json::from_str(written.data.get())?),
            EventType::Alert => Body::Alert(serde_json::from_str(written.data.get())?),
            EventType::Custom(event_type) => Body::Custom(Custom { event_type, data: written.data.to_owned() }),
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
    /// Sets the consent epoch under which the event is delivered.
    #[must_use]
    pub fn with_consent_epoch(mut self, epoch: u64) -> Self {
        self.consentepoch = Some(epoch);
        self
    }
}

#[derive(Deserialize)]
struct WrittenEvent<'a> {
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

/// A text that is not a stored or published event.
#[derive(Debug, thiserror::Error)]
pub enum InvalidStoredEvent {
    /// The text is not of the form of such an event.
    #[error("not an event that Roadcast wrote: {0}")]
    Malformed(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_signals::{Sample, Signals};

    use super::*;

    #[test]
    fn time_of_a_redacted_event_is_that_of_its_earliest_visible_sample() {
        let vid = VehicleId::from_random_bits(1);
        let at = Timestamp::from_ms(1_793_000_000_000);
        let sample = |seconds: i64| Sample { at: at.plus_ms(seconds * 1000), signals: Signals::default() };
        let event = |samples: Vec<Sample>| Event {
            eid: Eid::for_event(&vid, "s", "i", at),
            vid: vid.clone(),
            received: at,
            body: Body::Telemetry(Telemetry { samples: samples.into() }),
        };
        let time = |event: &Event| serde_json::to_value(event.to_cloud_event()).unwrap()["time"].clone();
        let complete = event(vec![sample(0), sample(7), sample(5)]);
        assert_eq!(time(&complete), serde_json::to_value(at).unwrap());
        let redacted = event(vec![sample(7), sample(5)]);
        assert_eq!(time(&redacted), serde_json::to_value(at.plus_ms(5_000)).unwrap(), "without the first sample");
        assert_eq!(redacted.eid, complete.eid);
    }

    #[test]
    fn custom_event_data_is_preserved_byte_for_byte() {
        let vid = VehicleId::from_random_bits(1);
        let received = Timestamp::from_ms(1_793_000_000_000);
        let data = RawValue::from_string("{ \"b\": 1.50e1,\n\"a\" : 12345678901234567890123 }".to_owned()).unwrap();
        let body = Body::Custom(Custom { event_type: "com.example.tyre.v1".parse().unwrap(), data });
        let event = Event { eid: Eid::for_event(&vid, "s", "i", received), vid, received, body };
        let written = serde_json::to_string(&event.to_cloud_event()).unwrap();
        assert_eq!(Event::from_cloud_event(&written).unwrap(), (event, None));
    }
}
