//! EventBridge events. The CloudEvents are in an array in `detail`, because `detail` must be an object.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An event from the ingest bus or the delivery bus.
#[derive(Deserialize)]
pub struct BusEvent {
    /// The id that the bus gave the entry. The same entry may be delivered more than once.
    #[serde(default)]
    pub id: String,
    /// The publisher, such as `roadcast.ingest`.
    pub source: String,
    /// The detail type, such as `roadcast.events.v1`.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// The time of publication, in RFC 3339.
    #[serde(default)]
    pub time: Option<String>,
    /// The content.
    pub detail: Detail,
}

/// The content of an entry.
#[derive(Deserialize)]
pub struct Detail {
    /// The fleet that receives the entry. Present on the delivery bus.
    #[serde(default, rename = "fleetId")]
    pub fleet_id: Option<String>,
    /// The events. Each is the JSON text as published: numbers are not parsed and formatted again.
    pub events: Vec<Box<RawValue>>,
}

impl BusEvent {
    /// Returns the JSON text of each event.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &str> {
        self.detail.events.iter().map(|event| event.get())
    }
}

impl fmt::Debug for BusEvent {
    /// Omits the events, because they contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusEvent")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("detail_type", &self.detail_type)
            .field("events", &self.detail.events.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ENTRY: &str = include_str!("../tests/fixtures/ingest-bus-entry.json");

    #[test]
    fn runtime_deserializer_preserves_event_text() {
        // The runtime deserializes through serde_path_to_error.
        let mut reader = serde_json::Deserializer::from_str(ENTRY);
        let entry: BusEvent = serde_path_to_error::deserialize(&mut reader).unwrap();
        assert_eq!(entry.source, "roadcast.ingest");
        assert_eq!(entry.detail_type, "roadcast.events.v1");
        let events: Vec<&str> = entry.events().collect();
        assert_eq!(events, [r#"{"id":"a", "data": {"v": 1.10}}"#, r#"{"id":"b"}"#]);
    }

    #[test]
    fn debug_output_omits_events() {
        let entry: BusEvent = serde_json::from_str(ENTRY).unwrap();
        assert!(!format!("{entry:?}").contains("1.10"));
    }

    #[test]
    fn detail_without_an_events_array_is_an_error() {
        for detail in ["[]", "{}", r#"{"events": {}}"#] {
            let entry = format!(r#"{{"source":"s","detail-type":"t","detail":{detail}}}"#);
            assert!(serde_json::from_str::<BusEvent>(&entry).is_err(), "{detail}");
        }
    }
}
