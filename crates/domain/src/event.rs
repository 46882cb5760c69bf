//! Events as they are stored, published and handed out.

use std::collections::BTreeMap;

use roadcast_signals::{Sample, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cloudevent::SPEC_VERSION;
use crate::diagnostic::Diagnostic;
use crate::ids::{Eid, VehicleId};

/// The `source` of every event that Roadcast hands out.
pub const SOURCE: &str = "urn:roadcast";

/// A registered event type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// Samples of signals.
    #[serde(rename = "roadcast.telemetry.v1")]
    Telemetry,
    /// Trouble codes.
    #[serde(rename = "roadcast.diagnostic.v1")]
    Diagnostic,
    /// A rule fired.
    #[serde(rename = "roadcast.alert.v1")]
    Alert,
}

impl EventType {
    /// The type as CloudEvents names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "roadcast.telemetry.v1",
            Self::Diagnostic => "roadcast.diagnostic.v1",
            Self::Alert => "roadcast.alert.v1",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Telemetry, Self::Diagnostic, Self::Alert].into_iter().find(|event_type| event_type.as_str() == name)
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
        match self.body {
            Body::Telemetry(_) => EventType::Telemetry,
            Body::Diagnostic(_) => EventType::Diagnostic,
        }
    }

    /// How many samples it holds; a diagnosis counts as one.
    pub fn sample_count(&self) -> usize {
        match &self.body {
            Body::Telemetry(telemetry) => telemetry.samples.len(),
            Body::Diagnostic(_) => 1,
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
