//! S3 event notifications of created objects.

use std::fmt;

use roadcast_codec::percent;
use roadcast_domain::Timestamp;
use serde::Deserialize;

/// An event notification. The same notification may be delivered more than once, and late.
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

/// An object that was created.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedObject {
    /// The key, decoded.
    pub key: String,
    /// The time at which it was created. None if the time in the notification is invalid.
    pub created_at: Option<Timestamp>,
    /// The entity tag: equal for equal bytes.
    pub entity_tag: String,
    /// The version id, if the bucket is versioned.
    pub object_version: Option<String>,
    /// Orders the notifications of one key.
    pub sequencer: String,
}

impl S3Event {
    /// Returns the objects that were created.
    pub fn created_objects(self) -> impl Iterator<Item = CreatedObject> {
        self.records.into_iter().map(|record| {
            let object = record.s3.object;
            CreatedObject {
                key: percent::decode_form_value(&object.key),
                created_at: Timestamp::parse_rfc3339(&record.event_time).ok(),
                entity_tag: object.e_tag.trim_matches('"').to_owned(),
                // A bucket with suspended versioning sends the text "null".
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

impl fmt::Debug for CreatedObject {
    /// Omits the key: its uploader chose it, so it may contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedObject").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn notification_is_parsed_and_its_key_decoded() {
        let event: S3Event = serde_json::from_str(include_str!("../tests/fixtures/s3-event.json")).unwrap();
        assert!(!format!("{event:?}").contains("vin-map"));
        let created: Vec<CreatedObject> = event.created_objects().collect();
        let expected = CreatedObject {
            key: "vin-map/fleet a+é.csv".to_owned(),
            created_at: Some(Timestamp::parse_rfc3339("2026-11-21T09:00:00.123Z").unwrap()),
            entity_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            object_version: None,
            sequencer: "0055AED6DCD90281E5".to_owned(),
        };
        assert_eq!(created, [expected]);
        assert!(!format!("{created:?}").contains("vin-map"));
    }

    #[test]
    fn test_event_has_no_objects() {
        let event: S3Event = serde_json::from_str(r#"{"Event": "s3:TestEvent"}"#).unwrap();
        assert_eq!(event.created_objects().count(), 0);
    }
}
