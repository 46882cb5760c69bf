//! Splits a request body into its events.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json_pointer::JsonPointer;
use crate::refusal::{Reason, Refusal};

/// Splits a body into its events: the elements of a JSON array, or one JSON object.
///
/// # Errors
///
/// [`Reason::NotJson`], or [`Reason::NotACloudEvent`] if the body is neither an array nor an object.
pub fn split_events(body: &str) -> Result<Vec<&RawValue>, Refusal> {
    split_events_limited(body, usize::MAX)
}

/// Like [`split_events`], but fails with [`Reason::TooLarge`] if the body has more than `max_events` events. Does not
/// collect the events of such a body.
pub fn split_events_limited(body: &str, max_events: usize) -> Result<Vec<&RawValue>, Refusal> {
    let not_json = |error: &serde_json::Error| {
        let detail = format!("is not valid JSON at line {} column {}", error.line(), error.column());
        Refusal::new(Reason::NotJson, JsonPointer::ROOT, detail)
    };
    let document: &RawValue = serde_json::from_str(body).map_err(|error| not_json(&error))?;
    match document.get().as_bytes().first() {
        Some(b'[') => LimitedList(max_events)
            .deserialize(&mut serde_json::Deserializer::from_str(document.get()))
            .map_err(|error| not_json(&error))?
            .ok_or_else(|| {
                Refusal::new(Reason::TooLarge, JsonPointer::ROOT, format!("must have at most {max_events} events"))
            }),
        Some(b'{') => Ok(vec![document]),
        _ => Err(Refusal::new(
            Reason::NotACloudEvent,
            JsonPointer::ROOT,
            "must be one event (a JSON object) or an array of events",
        )),
    }
}

/// Deserializes the elements of an array. `None` if it has more than this number of elements.
struct LimitedList(usize);

impl<'de> DeserializeSeed<'de> for LimitedList {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LimitedList {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = elements.next_element()? {
            if events.len() == self.0 {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            events.push(event);
        }
        Ok(Some(events))
    }
}
