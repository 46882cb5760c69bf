//! Parses CloudEvents 1.0 in JSON, single and batched.
//!
//! Source: CloudEvents 1.0.2, "JSON Event Format". In addition, Roadcast requires `time` and data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roadcast_signals::{Timestamp, is_noncharacter};
use serde_json::value::RawValue;

use crate::ids::VehicleId;
use crate::json_pointer::JsonPointer;
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::sent_samples::SentSamples;
use members::unique_members;

mod batch;
mod members;
mod usual_form;

pub use batch::{split_events, split_events_limited};

/// The supported version of the CloudEvents specification.
pub const SPEC_VERSION: &str = "1.0";
/// Media type of one event.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of data without `datacontenttype`.
const JSON_MEDIA_TYPE: &str = "application/json";
/// Media type of a batch of events.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

const CONTEXT_ATTRIBUTES: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

/// The envelope of one event. Its data is kept in the bytes of the sender.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// The `id` that the sender assigned.
    pub id: String,
    /// The `source`: identifies the sender.
    pub source: String,
    /// The `type`.
    pub event_type: String,
    /// The `subject`: the vehicle, as the sender identifies it.
    pub subject: Option<String>,
    /// The `time`: when the event happened, according to the sender.
    pub time: Timestamp,
    /// The data.
    pub data: Data<'a>,
    /// Extension attributes.
    pub extensions: BTreeMap<String, serde_json::Value>,
    /// The event, in the bytes of the sender.
    json: &'a str,
}

/// The data of an event, as it was sent.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// JSON, in `data`.
    Json(&'a RawValue),
    /// Bytes, in `data_base64`. They are JSON if the media type is.
    Binary {
        /// `datacontenttype`; `application/json` if it is absent (JSON format, 2.4).
        content_type: Cow<'a, str>,
        /// The text of `data_base64`.
        base64: Cow<'a, str>,
    },
    /// The samples of telemetry in `data`, which were read together with the envelope.
    Samples(SentSamples<'a>),
}

impl<'a> Envelope<'a> {
    /// Parses and validates the envelope of one event.
    ///
    /// # Errors
    ///
    /// [`Reason::TimeMissing`] without `time`, [`Reason::DataInvalid`] if the data is missing or has an unsupported form,
    /// and [`Reason::NotACloudEvent`] for every other fault, also for an attribute that occurs twice.
    pub fn parse(raw: &'a RawValue) -> Result<Self, Refusal> {
        let members = unique_members(raw)?;
        let attribute = |name: &str| attribute(&members, name);
        let required = |name: &str| {
            attribute(name)?.ok_or_else(|| Refusal::new(Reason::NotACloudEvent, [name], format!("{name} is required")))
        };

        if required("specversion")? != SPEC_VERSION {
            return Err(Refusal::new(Reason::NotACloudEvent, ["specversion"], "specversion must be \"1.0\""));
        }
        let id = required("id")?;
        let source = required("source")?;
        let event_type = required("type")?;
        let subject = attribute("subject")?;
        let Some(time) = attribute("time")? else {
            return Err(Refusal::new(
                Reason::TimeMissing,
                ["time"],
                "time is required: send when the event happened, as an RFC 3339 date and time",
            ));
        };
        let time = Timestamp::parse_rfc3339(&time)
            .map_err(|_| Refusal::new(Reason::NotACloudEvent, ["time"], "time must be an RFC 3339 date and time"))?;
        let data = data(&members)?;
        let extensions = extensions(&members)?;
        Ok(Self { id, source, event_type, subject, time, data, extensions, json: raw.get() })
    }

    /// Returns the event in the bytes of the sender.
    pub fn json(&self) -> &'a str {
        self.json
    }

    /// Returns the data, and leaves JSON null in its place.
    pub fn take_data(&mut self) -> Data<'a> {
        std::mem::replace(&mut self.data, Data::Json(RawValue::NULL))
    }

    /// Serializes the event. All values keep the bytes of the sender.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(self.json)?;
        serde_json::to_string(&members)
    }

    /// Serializes the event for the stream: with the vehicle id as its `subject`. All other values keep the bytes of the
    /// sender.
    pub fn to_json_with_subject(&self, vid: &VehicleId) -> serde_json::Result<String> {
        let subject = serde_json::value::to_raw_value(vid)?;
        let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(self.json)?;
        members.insert("subject".to_owned(), &subject);
        serde_json::to_string(&members)
    }
}

/// Returns the JSON of `data` or the bytes of `data_base64`, according to `datacontenttype`.
fn data<'a>(members: &BTreeMap<String, &'a RawValue>) -> Result<Data<'a>, Refusal> {
    let content_type = attribute(members, "datacontenttype")?;
    // Some senders write the member that they do not use as null.
    let base64 = members.get("data_base64").filter(|base64| base64.get() != "null");
    let json = members.get("data").copied().filter(|json| base64.is_none() || json.get() != "null");
    match (content_type.as_deref().filter(|content_type| !is_json(content_type)), base64) {
        (None, Some(_)) if json.is_some() => {
            Err(Refusal::new(Reason::DataInvalid, ["data_base64"], "is not allowed together with data"))
        }
        (None, None) => json.map(Data::Json).ok_or_else(|| Refusal::new(Reason::DataInvalid, ["data"], "data is required")),
        (_, Some(base64)) if json.is_none() => {
            let base64: String = serde_json::from_str(base64.get())
                .map_err(|_| Refusal::new(Reason::DataInvalid, ["data_base64"], "data_base64 must be a string"))?;
            let content_type = content_type.map_or(Cow::Borrowed(JSON_MEDIA_TYPE), Cow::Owned);
            Ok(Data::Binary { content_type, base64: Cow::Owned(base64) })
        }
        _ => {
            // A valid CloudEvent, but its data has a form that Roadcast does not support.
            let detail =
                "data must be JSON (application/json or a type that ends in +json), or bytes in data_base64 without data";
            Err(Refusal::new(Reason::DataInvalid, ["datacontenttype"], detail))
        }
    }
}

/// Returns a string attribute. It must not be empty.
fn attribute(members: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<String>, Refusal> {
    // JSON null is an absent attribute (CloudEvents JSON format, 2.2).
    let Some(raw) = members.get(name).filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let invalid = |detail: String| Refusal::new(Reason::NotACloudEvent, [name], detail);
    let text: String = serde_json::from_str(raw.get()).map_err(|_| invalid(format!("{name} must be a string")))?;
    if text.is_empty() {
        return Err(invalid(format!("{name} must not be empty")));
    }
    if text.len() > limits::ATTRIBUTE_BYTES {
        return Err(invalid(format!("{name} must be at most {} bytes", limits::ATTRIBUTE_BYTES)));
    }
    if has_disallowed_character(&text) {
        return Err(invalid(format!("{name} must not have control characters or noncharacters")));
    }
    Ok(Some(text))
}

/// Returns whether a text has a character that CloudEvents excludes from strings (1.0.2, "Type System"): a control character
/// or a noncharacter.
fn has_disallowed_character(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || is_noncharacter(c))
}

/// Whether a media type is JSON: `application/json`, `text/json`, or a type that ends in `+json`.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Returns the extension attributes. Their names consist of a–z and 0–9; their values are strings, booleans or 32-bit
/// integers.
fn extensions(members: &BTreeMap<String, &RawValue>) -> Result<BTreeMap<String, serde_json::Value>, Refusal> {
    let mut extensions = BTreeMap::new();
    for (name, raw) in members {
        if CONTEXT_ATTRIBUTES.contains(&name.as_str()) || name == "data" || name == "data_base64" || raw.get() == "null" {
            continue;
        }
        let has_valid_bytes = name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if name.is_empty() || name.len() > limits::ATTRIBUTE_NAME_BYTES || !has_valid_bytes {
            let detail =
                format!("attribute names must consist of a-z and 0-9, at most {} characters", limits::ATTRIBUTE_NAME_BYTES);
            // A longer name would make the pointer as long.
            let pointer =
                if name.len() > limits::ATTRIBUTE_BYTES { JsonPointer::ROOT } else { JsonPointer::from([name.as_str()]) };
            return Err(Refusal::new(Reason::NotACloudEvent, pointer, detail));
        }
        // Lists and objects are not allowed, and could be of any size.
        let is_scalar = !raw.get().starts_with(['[', '{']);
        let value: serde_json::Value = serde_json::from_str(if is_scalar { raw.get() } else { "[]" }).unwrap_or_default();
        let is_allowed = match &value {
            serde_json::Value::Bool(_) => true,
            serde_json::Value::String(text) => text.len() <= limits::ATTRIBUTE_BYTES && !has_disallowed_character(text),
            serde_json::Value::Number(number) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            _ => false,
        };
        if !is_allowed {
            let detail = "an extension attribute must be a string of at most 512 bytes without control characters, a boolean or \
                          a 32-bit integer";
            return Err(Refusal::new(Reason::NotACloudEvent, [name.as_str()], detail));
        }
        extensions.insert(name.clone(), value);
    }
    if extensions.len() > 16 {
        return Err(Refusal::new(Reason::NotACloudEvent, JsonPointer::ROOT, "must have at most 16 extension attributes"));
    }
    Ok(extensions)
}

#[cfg(test)]
mod tests;
