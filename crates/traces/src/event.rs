//! Events as a vehicle sends them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::row::{RecordedSample, VehicleKey};

/// One event about one vehicle.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceEvent {
    /// Derived from what the event holds, so that the same recording always makes the same ids.
    pub id: String,
    /// The `CloudEvents` source.
    pub source: String,
    /// RFC 3339 in UTC with milliseconds: the earliest valid time in the event.
    pub time: String,
    /// What the event says.
    pub body: Body,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `roadcast.telemetry.v1`: samples within 5 minutes of one another, at most 500.
    Telemetry(Vec<RecordedSample>),
    /// `roadcast.diagnostic.v1`.
    Diagnostic(Diagnostic),
}

/// A vehicle's fault memory at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// RFC 3339.
    pub at: String,
    /// Is the malfunction indicator lamp lit?
    pub mil: bool,
    /// The fault codes, none once all are cleared.
    pub dtcs: Vec<Dtc>,
}

/// A diagnostic trouble code (SAE J2012) with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtc {
    /// Such as `P0301`.
    pub code: String,
    /// `active`, `pending` or `permanent`.
    pub status: String,
}

impl TraceEvent {
    /// The samples of a telemetry event; a diagnostic event has none.
    pub fn samples(&self) -> &[RecordedSample] {
        match &self.body {
            Body::Telemetry(samples) => samples,
            Body::Diagnostic(_) => &[],
        }
    }

    /// The `CloudEvents` type.
    pub fn event_type(&self) -> &'static str {
        match self.body {
            Body::Telemetry(_) => "roadcast.telemetry.v1",
            Body::Diagnostic(_) => "roadcast.diagnostic.v1",
        }
    }

    /// The event in structured mode (`CloudEvents` 1.0). `subject` names the vehicle where the address it is sent to does not.
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
        put("datacontenttype", "application/json".into());
        put("data", data);
        Value::Object(event)
    }
}

/// Derives an event's id from what it holds.
///
/// It covers the vehicle, every sample, the line of each, and the envelope's time. The lines make two events differ
/// that hold equal rows: a recording may repeat a row exactly (139 rows of one `CapMetro` day do), and as samples are not
/// deduplicated neither may the events be. A count of the occurrences so far would do the same but would have to
/// remember every event of the file, while a line number needs no memory and stays the same where only the first part
/// of a file is replayed. Neither the file's name nor its packing is covered: a copy of a recording is the same recording.
#[derive(Clone)]
pub(crate) struct EventId(Sha256);

impl EventId {
    pub(crate) fn new(vehicle: &VehicleKey) -> Self {
        let mut id = Self(Sha256::new());
        id.add(&json!(["vehicle", vehicle.scheme, vehicle.value]));
        id
    }

    /// One part, as a line of JSON: JSON escapes line ends, so no two lists of parts run into the same bytes.
    pub(crate) fn add(&mut self, part: &Value) -> usize {
        let text = part.to_string();
        self.0.update(text.as_bytes());
        self.0.update(b"\n");
        text.len()
    }

    /// Adds a sample, and returns about how many bytes it takes in an upload.
    pub(crate) fn add_sample(&mut self, sample: &RecordedSample) -> usize {
        // Sorted here, so that ids do not hang on how `serde_json` was built to order its maps.
        let mut signals: Vec<_> = sample.signals.iter().collect();
        signals.sort_unstable_by_key(|(path, _)| *path);
        self.add(&json!([sample.line, sample.at, signals]))
    }

    /// 128 bits in hexadecimal, with the envelope's time as the last part.
    pub(crate) fn finish(mut self, time: &str) -> String {
        use std::fmt::Write as _;

        self.add(&json!(["time", time]));
        self.0.finalize().iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_event_has_its_own_type_and_data() {
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
