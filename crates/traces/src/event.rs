//! Events, as a vehicle sends them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::row::{RecordedSample, VehicleKey};

/// One event about one vehicle.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceEvent {
    /// Derived from the contents of the event, so that the same recording always produces the same ids.
    pub id: String,
    /// The `CloudEvents` source.
    pub source: String,
    /// RFC 3339 in UTC with milliseconds: the earliest valid time in the event.
    pub time: String,
    /// The contents.
    pub body: Body,
}

/// The contents of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `roadcast.telemetry.v1`: at most 500 samples, whose times are within 5 minutes.
    Telemetry(Vec<RecordedSample>),
    /// `roadcast.diagnostic.v1`.
    Diagnostic(Diagnostic),
}

/// The fault memory of a vehicle at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// RFC 3339.
    pub at: String,
    /// Whether the malfunction indicator lamp is on.
    pub mil: bool,
    /// The fault codes; empty if all are cleared.
    pub dtcs: Vec<Dtc>,
}

/// A diagnostic trouble code (SAE J2012) with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtc {
    /// The code, for example `P0301`.
    pub code: String,
    /// `active`, `pending` or `permanent`.
    pub status: String,
}

impl TraceEvent {
    /// Returns the samples of a telemetry event. A diagnostic event has none.
    pub fn samples(&self) -> &[RecordedSample] {
        match &self.body {
            Body::Telemetry(samples) => samples,
            Body::Diagnostic(_) => &[],
        }
    }

    /// Returns the `CloudEvents` type.
    pub fn event_type(&self) -> &'static str {
        match self.body {
            Body::Telemetry(_) => "roadcast.telemetry.v1",
            Body::Diagnostic(_) => "roadcast.diagnostic.v1",
        }
    }

    /// Returns the event in structured mode (`CloudEvents` 1.0). `subject` identifies the vehicle if the request path does
    /// not.
    #[must_use]
    pub fn to_cloud_event(&self, subject: Option<&str>) -> Value {
        let data = match &self.body {
            Body::Telemetry(samples) => {
                let samples: Vec<Value> = samples.iter().map(RecordedSample::to_json).collect();
                json!({ "samples": samples })
            }
            Body::Diagnostic(diagnostic) => json!({
                "at": diagnostic.at,
                "mil": diagnostic.mil,
                "dtcs": diagnostic.dtcs,
            }),
        };
        let mut event = self.to_envelope(subject);
        event.insert("datacontenttype".to_owned(), "application/json".into());
        event.insert("data".to_owned(), data);
        Value::Object(event)
    }

    /// Returns the event in structured mode without its data and the content type of the data.
    #[must_use]
    pub fn to_envelope(&self, subject: Option<&str>) -> Map<String, Value> {
        let mut event = Map::new();
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("specversion", "1.0".into());
        put("id", self.id.clone().into());
        put("source", self.source.clone().into());
        put("type", self.event_type().into());
        if let Some(subject) = subject {
            put("subject", subject.into());
        }
        put("time", self.time.clone().into());
        event
    }
}

/// Derives the id of an event from its contents.
///
/// The id is a hash of the vehicle, of each sample with its line number, and of the time of the envelope. The line numbers
/// distinguish events of equal rows: a recording may repeat a row exactly (139 rows of one `CapMetro` day do), and because
/// samples are not deduplicated, these events must not be either. Counting occurrences would have the same effect but would
/// have to remember every event of the file; a line number needs no memory and does not change if only the first part of a
/// file is replayed. The hash includes neither file name nor compression: a copy of a recording is the same recording.
#[derive(Clone)]
pub(crate) struct EventId(Sha256);

impl EventId {
    pub(crate) fn new(vehicle: &VehicleKey) -> Self {
        let mut id = Self(Sha256::new());
        id.add(&("vehicle", &vehicle.scheme, &vehicle.value));
        id
    }

    /// Adds one part as a line of JSON and returns its length. JSON escapes line feeds, so different lists of parts never
    /// have the same bytes.
    pub(crate) fn add(&mut self, part: &impl Serialize) -> usize {
        // Writing fails only for maps whose keys are not strings. No part has one.
        let text = serde_json::to_vec(part).unwrap_or_default();
        self.0.update(&text);
        self.0.update(b"\n");
        text.len()
    }

    /// Adds a sample and returns its approximate size in an upload, in bytes.
    pub(crate) fn add_sample(&mut self, sample: &RecordedSample) -> usize {
        // Sorted here, so that ids do not depend on the map order that the features of `serde_json` select.
        let mut signals: Vec<_> = sample.signals.iter().collect();
        signals.sort_unstable_by_key(|(path, _)| *path);
        self.add(&(sample.line, &sample.at, signals))
    }

    /// Adds the time of the envelope as the last part and returns 128 bits of the hash in hexadecimal.
    pub(crate) fn finish(mut self, time: &str) -> String {
        self.add(&("time", time));
        hex::encode(&self.0.finalize()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostic_event_has_its_type_and_data() {
        let event = TraceEvent {
            id: "1".to_owned(),
            source: "urn:test".to_owned(),
            time: "2023-01-01T00:00:00.000Z".to_owned(),
            body: Body::Diagnostic(Diagnostic {
                at: "2023-01-01T00:00:00.000Z".to_owned(),
                mil: true,
                dtcs: vec![Dtc { code: "P0301".to_owned(), status: "active".to_owned() }],
            }),
        };
        assert_eq!(
            event.to_cloud_event(Some("sim:1")),
            json!({
                "specversion": "1.0", "id": "1", "source": "urn:test", "type": "roadcast.diagnostic.v1", "subject": "sim:1",
                "time": "2023-01-01T00:00:00.000Z", "datacontenttype": "application/json",
                "data": {"at": "2023-01-01T00:00:00.000Z", "mil": true, "dtcs": [{"code": "P0301", "status": "active"}]}
            })
        );
    }
}
