//! Reads events of the usual form in one pass, together with their samples.
//!
//! The usual form has only attributes of CloudEvents, each once, and no escapes. Whatever differs is read by the general parser,
//! [`Envelope::parse`], which also finds what is wrong. Both give the same result for the same text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roadcast_signals::Timestamp;

use super::{Data, Envelope, JSON_MEDIA_TYPE, SPEC_VERSION, is_json};
use crate::event::EventType;
use crate::json_cursor::Cursor;
use crate::limits;
use crate::sent_samples::SentSamples;

/// Maximum bytes of a text that is read in one pass: then all of its events are in memory at the same time. Larger texts, which
/// only compressed records can contain, are read event by event.
const MAX_BYTES: usize = 1024 * 1024;

impl<'a> Envelope<'a> {
    /// Reads all events of a text, one or a list of at most [`limits::EVENTS_PER_UPLOAD`], if all have the usual form.
    pub fn read_usual(text: &'a str) -> Option<Vec<Self>> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let mut cursor = Cursor::new(text);
        // Most records have one event.
        let mut events = Vec::with_capacity(1);
        if cursor.accept(b'[') {
            loop {
                events.push(read_event(&mut cursor)?);
                if events.len() > limits::EVENTS_PER_UPLOAD {
                    return None;
                }
                if !cursor.accept(b',') {
                    break;
                }
            }
            cursor.expect(b']')?;
        } else {
            events.push(read_event(&mut cursor)?);
        }
        cursor.is_at_end().then_some(events)
    }
}

/// The members of an event that were read.
#[derive(Default)]
struct Members<'a> {
    id: Option<&'a str>,
    source: Option<&'a str>,
    event_type: Option<&'a str>,
    subject: Option<&'a str>,
    time: Option<Timestamp>,
    has_version: bool,
    content_type: Option<&'a str>,
    samples: Option<SentSamples<'a>>,
    base64: Option<&'a str>,
}

fn read_event<'a>(cursor: &mut Cursor<'a>) -> Option<Envelope<'a>> {
    cursor.skip_whitespace();
    let start = cursor.position();
    let mut members = Members::default();
    cursor.object(|cursor, name| members.read(name, cursor))?;
    members.into_envelope(cursor.since(start)?)
}

impl<'a> Members<'a> {
    /// Reads the value of a member. Returns `None` if it is not a member of the usual form or was read before.
    fn read(&mut self, name: &str, cursor: &mut Cursor<'a>) -> Option<()> {
        let slot = match name {
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.event_type,
            "subject" => &mut self.subject,
            "datacontenttype" => &mut self.content_type,
            "specversion" if !self.has_version => {
                self.has_version = true;
                return cursor.exact_string(SPEC_VERSION);
            }
            "time" if self.time.is_none() => {
                self.time = Some(Timestamp::parse_rfc3339(attribute(cursor)?).ok()?);
                return Some(());
            }
            "data" if self.samples.is_none() => {
                self.samples = Some(SentSamples::read_usual(cursor)?);
                return Some(());
            }
            "data_base64" if self.base64.is_none() => {
                self.base64 = Some(cursor.string()?);
                return Some(());
            }
            _ => return None,
        };
        let is_new = slot.is_none();
        *slot = Some(attribute(cursor)?);
        is_new.then_some(())
    }

    fn into_envelope(self, json: &'a str) -> Option<Envelope<'a>> {
        let event_type = self.event_type.filter(|_| self.has_version)?;
        let data = match (self.samples, self.base64) {
            (Some(samples), None)
                if event_type == EventType::Telemetry.as_str() && self.content_type.is_none_or(is_json) =>
            {
                Data::Samples(samples)
            }
            (None, Some(base64)) => {
                let content_type = Cow::Borrowed(self.content_type.unwrap_or(JSON_MEDIA_TYPE));
                Data::Binary { content_type, base64: Cow::Borrowed(base64) }
            }
            _ => return None,
        };
        Some(Envelope {
            id: self.id?.to_owned(),
            source: self.source?.to_owned(),
            event_type: event_type.to_owned(),
            subject: self.subject.map(str::to_owned),
            time: self.time?,
            data,
            extensions: BTreeMap::new(),
            json,
        })
    }
}

/// Reads an attribute that has only printable ASCII characters.
fn attribute<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let text = cursor.unchecked_string()?;
    let is_printable = |byte: u8| matches!(byte, b' '..=b'[' | b']'..=b'~');
    let are_printable = text.bytes().fold(true, |all, byte| all & is_printable(byte));
    (are_printable && !text.is_empty() && text.len() <= limits::ATTRIBUTE_BYTES).then_some(text)
}
