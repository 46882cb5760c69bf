//! Entries off a bus: CloudEvents inside an object, because a bus takes nothing else.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An entry off the ingest or the delivery bus.
#[derive(Deserialize)]
pub struct BusEvent {
    /// The bus's id of the entry; the same entry may come more than once.
    #[serde(default)]
    pub id: String,
    /// Who put it there, such as `roadcast.ingest`.
    pub source: String,
    /// What it is, such as `roadcast.events.v1`.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// When, in RFC 3339.
    #[serde(default)]
    pub time: Option<String>,
    /// What it holds.
    pub detail: Detail,
}

/// What an entry holds.
#[derive(Deserialize)]
pub struct Detail {
    /// The fleet it is for, on the delivery bus.
    #[serde(default, rename = "fleetId")]
    pub fleet_id: Option<String>,
    /// Its events, each the JSON text that was put in: numbers are not read and written again on the way.
    pub events: Vec<Box<RawValue>>,
}

impl BusEvent {
    /// The text of each event.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &str> {
        self.detail.events.iter().map(|event| event.get())
    }
}

impl fmt::Debug for BusEvent {
    /// Without the events: they are about people's vehicles.
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
    fn events_keep_their_text_also_as_the_runtime_reads_them() {
        // The runtime reads through serde_path_to_error.
        let mut reader = serde_json::Deserializer::from_str(ENTRY);
        let entry: BusEvent = serde_path_to_error::deserialize(&mut reader).unwrap();
        assert_eq!(entry.source, "roadcast.ingest");
        assert_eq!(entry.detail_type, "roadcast.events.v1");
        let events: Vec<&str> = entry.events().collect();
        assert_eq!(events, [r#"{"id":"a", "data": {"v": 1.10}}"#, r#"{"id":"b"}"#]);
    }

    #[test]
    fn debug_shows_no_event() {
        let entry: BusEvent = serde_json::from_str(ENTRY).unwrap();
        assert!(!format!("{entry:?}").contains("1.10"));
    }

    #[test]
    fn a_detail_that_is_no_object_with_events_is_refused() {
        for detail in ["[]", "{}", r#"{"events": {}}"#] {
            let entry = format!(r#"{{"source":"s","detail-type":"t","detail":{detail}}}"#);
            assert!(serde_json::from_str::<BusEvent>(&entry).is_err(), "{detail}");
        }
    }
}
