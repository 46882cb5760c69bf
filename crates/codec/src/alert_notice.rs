//! Messages of the queue of notices, and notices on the ingest bus.
//!
//! The rule of the bus sends the detail of an entry that has an alert of the operator. A redrive sends what failed before: the
//! detail, the entire entry, or a notice that the incident endpoint did not take.

use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::event::Event;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bus_entry::{self, DecodeError};

/// The `detail-type` of notices on the ingest bus.
pub const NOTICE_DETAIL_TYPE: &str = "roadcast.alert-notice.v1";

/// What a message contains.
#[derive(Clone, Debug, PartialEq)]
pub enum NoticeMessage {
    /// The events of an entry.
    Events(Vec<Event>),
    /// A notice that is put on the bus again.
    Notice(Box<AlertNotice>),
}

/// The message is neither an entry with alerts nor a notice.
#[derive(Debug, thiserror::Error)]
pub enum InvalidNoticeMessage {
    /// Not JSON of one of the forms.
    #[error("the message is neither an entry with alerts nor a notice")]
    Form(#[from] serde_json::Error),
    /// An event is not readable.
    #[error("event {index} of the entry is not readable")]
    Unreadable {
        /// The index of the event in the entry.
        index: usize,
        /// The cause.
        source: DecodeError,
    },
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(borrow, default)]
    events: Option<Vec<&'a RawValue>>,
}

/// Reads a message of the queue of notices.
pub fn decode(message: &str) -> Result<NoticeMessage, InvalidNoticeMessage> {
    let entry: Entry<'_> = serde_json::from_str(message)?;
    let text = entry.detail.map_or(message, RawValue::get);
    let Detail { events } = serde_json::from_str(text)?;
    let Some(cloud_events) = events else { return Ok(NoticeMessage::Notice(serde_json::from_str(text)?)) };
    let mut events = Vec::with_capacity(cloud_events.len());
    for (index, cloud_event) in cloud_events.into_iter().enumerate() {
        let decoded = bus_entry::decode(cloud_event.get());
        events.extend(decoded.map_err(|source| InvalidNoticeMessage::Unreadable { index, source })?.events);
    }
    Ok(NoticeMessage::Events(events))
}

/// Writes a notice as the detail of an entry of the bus.
pub fn encode(notice: &AlertNotice) -> serde_json::Result<String> {
    serde_json::to_string(notice)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::subscription::DeliveryFormat;
    use roadcast_testbed::fixtures::alert_event;
    use serde_json::json;

    use super::*;

    #[test]
    fn entry_its_detail_and_a_notice_are_read() {
        let event = alert_event(1, 95).event;
        let written = bus_entry::encode(&[&event], DeliveryFormat::Json, None).unwrap().remove(0).json;
        let detail = format!(r#"{{"notice":true,"events":[{written}]}}"#);
        let entry = format!(r#"{{"source":"roadcast.ingest","detail-type":"roadcast.alerts.v1","detail":{detail}}}"#);
        for message in [detail, entry] {
            assert_eq!(decode(&message).unwrap(), NoticeMessage::Events(vec![event.clone()]), "{message}");
        }
        let notice = AlertNotice::of_event(&event, "dev").unwrap();
        let written = encode(&notice).unwrap();
        let entry = json!({"detail-type": NOTICE_DETAIL_TYPE, "detail": serde_json::from_str::<serde_json::Value>(&written).unwrap()});
        for message in [written, entry.to_string()] {
            assert_eq!(decode(&message).unwrap(), NoticeMessage::Notice(Box::new(notice.clone())), "{message}");
        }
    }

    #[test]
    fn foreign_messages_are_errors() {
        for message in ["", "[]", "{}", "null", r#"{"events":1}"#, r#"{"events":[{}]}"#, r#"{"detail":{"noticeId":"x"}}"#] {
            assert!(decode(message).is_err(), "{message}");
        }
    }
}
