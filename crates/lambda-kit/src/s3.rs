//! Arrivals of objects in a bucket.

use std::fmt;

use roadcast_codec::percent;
use roadcast_domain::Timestamp;
use serde::Deserialize;

/// What a bucket tells of objects; the same may come more than once, and late.
#[derive(Deserialize)]
pub struct S3Event {
    #[serde(default, rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_time: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    #[serde(default)]
    e_tag: String,
    #[serde(default)]
    version_id: Option<String>,
    #[serde(default)]
    sequencer: String,
}

/// An object that arrived.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its key.
    pub key: String,
    /// When the bucket took it; none where what it says is no time.
    pub taken_at: Option<Timestamp>,
    /// The same for the same bytes.
    pub entity_tag: String,
    /// Its version, where the bucket keeps versions.
    pub object_version: Option<String>,
    /// Orders the arrivals of one key.
    pub sequencer: String,
}

impl S3Event {
    /// The objects that arrived.
    pub fn arrivals(self) -> impl Iterator<Item = Arrival> {
        self.records.into_iter().map(|record| {
            let object = record.s3.object;
            Arrival {
                key: decoded(&object.key),
                taken_at: Timestamp::parse_rfc3339(&record.event_time).ok(),
                entity_tag: object.e_tag.trim_matches('"').to_owned(),
                // What a bucket says that once kept versions.
                object_version: object.version_id.filter(|version| !version.is_empty() && version != "null"),
                sequencer: object.sequencer,
            }
        })
    }
}

impl fmt::Debug for S3Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Event").field("records", &self.records.len()).finish()
    }
}

impl fmt::Debug for Arrival {
    /// Without the key: whoever put the object there may have named it as they liked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("taken_at", &self.taken_at).finish_non_exhaustive()
    }
}

/// A key as it was before the event encoded it as a form does: `+` is a space, `%` and two hex digits a byte.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = if *first == b'%' { percent::escaped(after) } else { None };
        match (first, escaped) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_arrival_is_read_and_its_key_decoded() {
        let event: S3Event = serde_json::from_str(include_str!("../tests/fixtures/s3-event.json")).unwrap();
        assert!(!format!("{event:?}").contains("vin-map"));
        let arrivals: Vec<Arrival> = event.arrivals().collect();
        let expect = Arrival {
            key: "vin-map/fleet a+é.csv".to_owned(),
            taken_at: Some(Timestamp::parse_rfc3339("2026-11-21T09:00:00.123Z").unwrap()),
            entity_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            object_version: None,
            sequencer: "0055AED6DCD90281E5".to_owned(),
        };
        assert_eq!(arrivals, [expect]);
        assert!(!format!("{arrivals:?}").contains("vin-map"));
    }

    #[test]
    fn an_event_without_records_has_no_arrivals_and_odd_escapes_stay() {
        let event: S3Event = serde_json::from_str(r#"{"Event": "s3:TestEvent"}"#).unwrap();
        assert_eq!(event.arrivals().count(), 0);
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("100%+%zz%"), "100% %zz%");
    }
}
