//! Reading CloudEvents 1.0 in JSON, single and batched.
//!
//! Source: CloudEvents 1.0.2, "JSON Event Format". What Roadcast adds: `time` and data are required.

use std::collections::BTreeMap;
use std::fmt;

use roadcast_signals::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::ids::VehicleId;
use crate::limits;
use crate::refusal::{Reason, Refusal};

/// The version of the specification that is spoken.
pub const SPEC_VERSION: &str = "1.0";
/// Media type of one event.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of a batch of events.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

const CONTEXT: [&str; 8] = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

/// One event's envelope, its data still the sender's bytes.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// The event's id with its sender.
    pub id: String,
    /// Its sender.
    pub source: String,
    /// Its type.
    pub event_type: String,
    /// The vehicle, as the sender names it.
    pub subject: Option<String>,
    /// When it happened, by the sender.
    pub time: Timestamp,
    /// Its data.
    pub data: Data<'a>,
    /// Attributes beyond the specification's own.
    pub extensions: BTreeMap<String, serde_json::Value>,
    members: BTreeMap<String, &'a RawValue>,
}

/// An event's data as it was sent.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// JSON, in `data`.
    Json(&'a RawValue),
    /// Bytes of another media type, in `data_base64`.
    Binary {
        /// `datacontenttype`.
        content_type: String,
        /// The text of `data_base64`.
        base64: String,
    },
}

/// Splits a body into its events: the members of an array, or the one object that it is.
pub fn split(body: &str) -> Result<Vec<&RawValue>, Refusal> {
    split_at_most(body, usize::MAX)
}

/// As [`split`], but a body of more than `most` events is refused, without a list of them being made.
pub fn split_at_most(body: &str, most: usize) -> Result<Vec<&RawValue>, Refusal> {
    let not_json = |error: &serde_json::Error| {
        let detail = format!("not JSON at line {} column {}", error.line(), error.column());
        Refusal::new(Reason::NotJson, "", detail)
    };
    let whole: &RawValue = serde_json::from_str(body).map_err(|error| not_json(&error))?;
    match whole.get().as_bytes().first() {
        Some(b'[') => AtMost(most)
            .deserialize(&mut serde_json::Deserializer::from_str(whole.get()))
            .map_err(|error| not_json(&error))?
            .ok_or_else(|| Refusal::new(Reason::TooLarge, "", format!("at most {most} events"))),
        Some(b'{') => Ok(vec![whole]),
        _ => Err(Refusal::new(Reason::NotACloudEvent, "", "expected an event or an array of events")),
    }
}

/// The members of an array; nothing where there are more than so many.
struct AtMost(usize);

impl<'de> DeserializeSeed<'de> for AtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = members.next_element()? {
            if events.len() == self.0 {
                while members.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            events.push(event);
        }
        Ok(Some(events))
    }
}

impl<'a> Envelope<'a> {
    /// Reads and checks one event's envelope.
    pub fn read(raw: &'a RawValue) -> Result<Self, Refusal> {
        let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, "", "an event is a JSON object"))?;
        let attribute = |name: &str| attribute(&members, name);
        let required = |name: &str| {
            attribute(name)?
                .ok_or_else(|| Refusal::new(Reason::NotACloudEvent, format!("/{name}"), format!("{name} is required")))
        };

        if required("specversion")? != SPEC_VERSION {
            return Err(Refusal::new(Reason::NotACloudEvent, "/specversion", "specversion must be \"1.0\""));
        }
        let id = required("id")?;
        let source = required("source")?;
        let event_type = required("type")?;
        let subject = attribute("subject")?;
        let Some(time) = attribute("time")? else {
            return Err(Refusal::new(Reason::TimeMissing, "/time", "time is required: when the event happened, RFC 3339"));
        };
        let time = Timestamp::parse_rfc3339(&time)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, "/time", "time must be an RFC 3339 date and time"))?;
        let data = data(&members)?;
        let extensions = extensions(&members)?;
        Ok(Self { id, source, event_type, subject, time, data, extensions, members })
    }

    /// The event, its values in the sender's own bytes.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.members)
    }

    /// The event as it goes onto the stream: the sender's own bytes, value by value, with the vehicle as its subject.
    pub fn to_json_about(&self, vid: &VehicleId) -> serde_json::Result<String> {
        let subject = serde_json::value::to_raw_value(vid)?;
        let mut members: BTreeMap<&str, &RawValue> =
            self.members.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        members.insert("subject", &subject);
        serde_json::to_string(&members)
    }
}

/// JSON in `data`, or bytes in `data_base64`, as `datacontenttype` says.
fn data<'a>(members: &BTreeMap<String, &'a RawValue>) -> Result<Data<'a>, Refusal> {
    let content_type = attribute(members, "datacontenttype")?;
    let json = members.get("data").copied();
    match (content_type.filter(|content_type| !is_json(content_type)), members.get("data_base64")) {
        (None, Some(_)) => Err(Refusal::new(Reason::DataInvalid, "/data_base64", "send JSON in data")),
        (None, None) => json.map(Data::Json).ok_or_else(|| Refusal::new(Reason::DataInvalid, "/data", "data is required")),
        (Some(content_type), Some(base64)) if json.is_none() => {
            let base64 = serde_json::from_str(base64.get())
                .map_err(|_| Refusal::new(Reason::DataInvalid, "/data_base64", "data_base64 must be a string"))?;
            Ok(Data::Binary { content_type, base64 })
        }
        (Some(_), _) => {
            // A CloudEvent it is, but none that is taken here.
            let detail = "data must be JSON (application/json or a type that ends in +json), or bytes in data_base64 alone";
            Err(Refusal::new(Reason::DataInvalid, "/datacontenttype", detail))
        }
    }
}

/// A string attribute, which must not be empty.
fn attribute(members: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<String>, Refusal> {
    // JSON null is an absent attribute (CloudEvents JSON format, 2.2).
    let Some(raw) = members.get(name).filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let wrong = |detail: String| Refusal::new(Reason::NotACloudEvent, format!("/{name}"), detail);
    let text: String = serde_json::from_str(raw.get()).map_err(|_| wrong(format!("{name} must be a string")))?;
    if text.is_empty() {
        return Err(wrong(format!("{name} must not be empty")));
    }
    if text.len() > limits::ATTRIBUTE_BYTES {
        return Err(wrong(format!("{name} must be at most {} bytes", limits::ATTRIBUTE_BYTES)));
    }
    Ok(Some(text))
}

/// Whether a media type says JSON: `application/json`, `text/json`, or a type that ends in `+json`.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Extension attributes: names of a–z and 0–9, values that are strings, booleans or 32-bit integers.
fn extensions(members: &BTreeMap<String, &RawValue>) -> Result<BTreeMap<String, serde_json::Value>, Refusal> {
    let mut found = BTreeMap::new();
    for (name, raw) in members {
        if CONTEXT.contains(&name.as_str()) || name == "data" || name == "data_base64" || raw.get() == "null" {
            continue;
        }
        let pointer = || format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(Refusal::new(Reason::NotACloudEvent, pointer(), "attribute names hold only a-z and 0-9"));
        }
        let value: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let plain = match &value {
            serde_json::Value::Bool(_) => true,
            serde_json::Value::String(text) => text.len() <= limits::ATTRIBUTE_BYTES,
            serde_json::Value::Number(number) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            _ => false,
        };
        if !plain {
            let detail = "an extension is a string of at most 512 bytes, a boolean or a 32-bit integer";
            return Err(Refusal::new(Reason::NotACloudEvent, pointer(), detail));
        }
        found.insert(name.clone(), value);
    }
    if found.len() > 16 {
        return Err(Refusal::new(Reason::NotACloudEvent, "", "at most 16 extension attributes"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(event: &serde_json::Value) -> Result<(), (Reason, String)> {
        let text = event.to_string();
        let raw: &RawValue = serde_json::from_str(&text).unwrap();
        Envelope::read(raw).map(|_| ()).map_err(|refusal| (refusal.reason, refusal.pointer))
    }

    fn minimal() -> serde_json::Value {
        json!({"specversion": "1.0", "id": "1", "source": "urn:a", "type": "t", "time": "2020-01-01T00:00:00Z", "data": {}})
    }

    #[test]
    fn each_wrong_attribute_is_named_by_its_pointer() {
        assert_eq!(read(&minimal()), Ok(()));
        for (attribute, value, reason) in [
            ("specversion", json!("0.3"), Reason::NotACloudEvent),
            ("id", json!(null), Reason::NotACloudEvent),
            ("id", json!(1), Reason::NotACloudEvent),
            ("source", json!(""), Reason::NotACloudEvent),
            ("type", json!(null), Reason::NotACloudEvent),
            ("time", json!(null), Reason::TimeMissing),
            ("time", json!("02/00/2090"), Reason::NotACloudEvent),
            ("datacontenttype", json!("text/xml"), Reason::DataInvalid),
            ("Bad_Name", json!("x"), Reason::NotACloudEvent),
            ("ext", json!({}), Reason::NotACloudEvent),
            ("data_base64", json!("AA=="), Reason::DataInvalid),
        ] {
            let mut event = minimal();
            event[attribute] = value;
            assert_eq!(read(&event), Err((reason, format!("/{attribute}"))), "{event}");
        }
    }

    #[test]
    fn a_body_of_too_many_events_is_refused_whole() {
        let body = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(split_at_most(&body(3), 3).unwrap().len(), 3);
        assert_eq!(split_at_most(&body(4), 3).unwrap_err().reason, Reason::TooLarge);
        assert_eq!(split_at_most(&body(100_000), 3).unwrap_err().reason, Reason::TooLarge);
        assert_eq!(split_at_most("[{},{},{},", 3).unwrap_err().reason, Reason::NotJson);
        assert_eq!(split(&body(4)).unwrap().len(), 4);
    }

    #[test]
    fn the_senders_bytes_of_data_are_not_touched() {
        let text = r#"{"specversion":"1.0","id":"1","source":"urn:a","type":"t","time":"2020-01-01T00:00:00Z","data":{"x": 1.50e1 }}"#;
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let vid = VehicleId::from_random(7);
        let written = Envelope::read(raw).unwrap().to_json_about(&vid).unwrap();
        assert!(written.contains(r#""data":{"x": 1.50e1 }"#), "{written}");
        assert!(written.contains(&format!(r#""subject":"{vid}""#)));
    }

    #[test]
    fn the_json_format_examples_of_the_specification_are_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudevents/json_format_examples.ndjson");
        let Ok(examples) = std::fs::read_to_string(path) else {
            println!("no CloudEvents examples beside this clone: only the inline cases were checked");
            return;
        };
        let lines = examples.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone());
        let events = lines.flat_map(|event| event.as_array().cloned().unwrap_or_else(|| vec![event]));
        for event in events {
            // Each is a CloudEvent, so it is refused for nothing but what Roadcast asks for beyond.
            let is_json = event["datacontenttype"].as_str().is_none_or(is_json);
            let has = |name: &str| event.get(name).is_some();
            let expected = match (has("time"), is_json, has("data"), has("data_base64")) {
                (false, ..) => Err(Reason::TimeMissing),
                (true, true, true, false) | (true, false, false, true) => Ok(()),
                _ => Err(Reason::DataInvalid),
            };
            assert_eq!(read(&event).map_err(|(reason, _)| reason), expected, "{event}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in ".{0,200}") {
            if let Ok(events) = split(&body) {
                for event in events {
                    let _ = Envelope::read(event);
                }
            }
        }
    }
}
