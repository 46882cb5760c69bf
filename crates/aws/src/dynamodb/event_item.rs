//! The format of an item in `vehicleEvents`.
//!
//! `vid` and `eid` are its key. `fmt` is the format of the other attributes:
//!
//! | `fmt` | `eid` | attributes |
//! |---|---|---|
//! | 1, one event | the event's id | `event`, the `CloudEvent` as delivered; `origin`, its origin; both JSON, compressed if long; `received`, in milliseconds |
//! | 2, a segment of telemetry | the first event's id, `#`, a digest of all ids | `block`, the events (`docs/blocks.md`); `origins`, the origin of each |

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::Timestamp;
use roadcast_event_log::LogItem;
use roadcast_event_log::encoded_event::EncodedEvent;
use roadcast_event_log::json_text::JsonText;
use roadcast_event_log::segment::Segment;

use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EID, Key, VID};

const FMT: &str = "fmt";
const ONE_EVENT: u32 = 1;
const SEGMENT: u32 = 2;
const EVENT: &str = "event";
const ORIGIN: &str = "origin";
const RECEIVED: &str = "received";
const BLOCK: &str = "block";
const ORIGINS: &str = "origins";

/// A malformed item. It is an error and is not skipped, because its events were acknowledged as stored.
#[derive(Debug, thiserror::Error)]
#[error("item {eid:?} is malformed")]
pub(crate) struct InvalidItem {
    eid: String,
    #[source]
    cause: InvalidItemCause,
}

#[derive(Debug, thiserror::Error)]
enum InvalidItemCause {
    #[error("unsupported item format {0}")]
    Format(u32),
    #[error(transparent)]
    Attribute(#[from] InvalidAttribute),
}

/// Returns the item with its attributes.
pub(crate) fn encode(item: &LogItem) -> Item {
    match item {
        LogItem::Segment(segment) => encode_segment(segment),
        LogItem::Event(event) => encode_event(event),
    }
}

fn encode_segment(segment: &Segment) -> Item {
    let binary = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let mut item = Key::event_item(&segment.vid, segment.key.clone()).attributes();
    item.insert(FMT.to_owned(), AttributeValue::N(SEGMENT.to_string()));
    item.insert(BLOCK.to_owned(), binary(&segment.block));
    item.insert(ORIGINS.to_owned(), binary(&segment.origins));
    item
}

fn encode_event(event: &EncodedEvent) -> Item {
    let text = |text: &JsonText| match text {
        JsonText::Plain(text) => AttributeValue::S(text.clone()),
        JsonText::Compressed(frame) => AttributeValue::B(Blob::new(frame.as_slice())),
    };
    let mut item = Key::event_item(&event.vid, event.eid.to_string()).attributes();
    item.insert(FMT.to_owned(), AttributeValue::N(ONE_EVENT.to_string()));
    item.insert(EVENT.to_owned(), text(&event.event));
    item.insert(ORIGIN.to_owned(), text(&event.origin));
    item.insert(RECEIVED.to_owned(), AttributeValue::N(event.received.ms().to_string()));
    item
}

/// Reads the attributes of an item. Neither a block nor a text is decoded yet.
pub(crate) fn decode(mut item: Item) -> Result<LogItem, InvalidItem> {
    decode_attributes(&mut item)
        .map_err(|cause| InvalidItem { eid: item::text(&item, EID).unwrap_or_default().to_owned(), cause })
}

fn decode_attributes(item: &mut Item) -> Result<LogItem, InvalidItemCause> {
    match item::number(item, FMT)?.ok_or_else(|| InvalidAttribute::new(FMT))? {
        ONE_EVENT => Ok(LogItem::Event(decode_event(item)?)),
        SEGMENT => Ok(LogItem::Segment(decode_segment(item)?)),
        format => Err(InvalidItemCause::Format(format)),
    }
}

fn decode_segment(item: &mut Item) -> Result<Segment, InvalidAttribute> {
    let vid = item::parsed(item, VID)?;
    let mut binary = |name: &'static str| match item.remove(name) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.into_inner()),
        _ => Err(InvalidAttribute::new(name)),
    };
    let (block, origins) = (binary(BLOCK)?, binary(ORIGINS)?);
    Ok(Segment { vid, key: item::text(item, EID)?.to_owned(), block, origins })
}

fn decode_event(item: &mut Item) -> Result<EncodedEvent, InvalidAttribute> {
    let (vid, eid) = (item::parsed(item, VID)?, item::parsed(item, EID)?);
    let received = item::number(item, RECEIVED)?.ok_or_else(|| InvalidAttribute::new(RECEIVED))?;
    let mut text = |name: &'static str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(JsonText::Plain(text)),
        Some(AttributeValue::B(frame)) => Ok(JsonText::Compressed(frame.into_inner())),
        _ => Err(InvalidAttribute::new(name)),
    };
    let (event, origin) = (text(EVENT)?, text(ORIGIN)?);
    Ok(EncodedEvent { vid, eid, received: Timestamp::from_ms(received), event, origin })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::error::Error;

    use roadcast_domain::diagnostic::Diagnostic;
    use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
    use roadcast_domain::ids::{Eid, VehicleId};
    use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};

    use super::*;

    fn stored(body: Body) -> StoredEvent {
        let (vid, at) = (VehicleId::from_random_bits(7), Timestamp::from_ms(1_793_000_000_123));
        let origin = Origin {
            source: "urn:partner:a".to_owned(),
            id: "1".to_owned(),
            extensions: BTreeMap::from([("sequence".to_owned(), "7".into())]),
        };
        let eid = Eid::for_event(&vid, &origin.source, &origin.id, at);
        StoredEvent { event: Event { eid, vid, received: at.plus_ms(950), body }, origin }
    }

    fn telemetry(samples: usize) -> StoredEvent {
        let signals = Signals::from([
            (SignalPath::parse("Vehicle.Speed").unwrap(), Value::Number(0.1 + 0.2)),
            (SignalPath::parse("acme.door").unwrap(), Value::from("open")),
        ]);
        let at = |n| Timestamp::from_ms(1_793_000_000_123).plus_ms(n);
        let samples = (0..i64::try_from(samples).unwrap()).map(|n| Sample { at: at(n), signals: signals.clone() });
        stored(Body::Telemetry(Telemetry { samples: samples.collect() }))
    }

    #[test]
    fn telemetry_round_trips_exactly_short_or_long() {
        for samples in [1, 500] {
            let event = telemetry(samples);
            let item = encode(&log_event(&event));
            assert_eq!(item[EVENT].is_b(), samples == 500, "a long event is compressed");
            let decoded = decode(item).unwrap();
            assert_eq!(decoded.events().unwrap(), std::slice::from_ref(&event));
            let LogItem::Event(decoded) = decoded else { panic!("one event") };
            assert_eq!(serde_json::to_string(&event.event.to_cloud_event()).unwrap(), decoded.event.text().unwrap());
        }
    }

    fn log_event(stored: &StoredEvent) -> LogItem {
        LogItem::Event(EncodedEvent::new(stored).unwrap())
    }

    #[test]
    fn items_round_trip_and_report_their_bytes() {
        let events = [telemetry(3)];
        let plan = roadcast_event_log::segment_plan::plan(&events);
        let segment = LogItem::Segment(plan.segments[0].0.clone());
        // DynamoDB counts names and values: strings and binary by their bytes, a number of one digit as two.
        let bytes = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(binary) => binary.as_ref().len(),
            AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
            _ => 0,
        };
        for log_item in [segment, log_event(&telemetry(3)), log_event(&telemetry(500))] {
            let item = encode(&log_item);
            let item_bytes: usize = item.iter().map(|(name, value)| name.len() + bytes(value)).sum();
            assert_eq!(log_item.item_bytes(), item_bytes);
            assert_eq!(decode(item).unwrap(), log_item);
        }
    }

    #[test]
    fn diagnostic_round_trips() {
        let json = r#"{"at":"2026-11-03T09:59:59.999Z","mil":true,"dtcs":[{"code":"P0301","status":"active"}]}"#;
        let event = stored(Body::Diagnostic(serde_json::from_str::<Diagnostic>(json).unwrap()));
        assert_eq!(decode(encode(&log_event(&event))).unwrap().events().unwrap(), [event]);
    }

    #[test]
    fn malformed_item_error_names_the_event() {
        let event = telemetry(1);
        let eid = event.event.eid.to_string();
        let malformed = |name: &str, value: Option<AttributeValue>| {
            let mut item = encode(&log_event(&event));
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            decode(item).unwrap_err()
        };
        for error in [
            malformed(FMT, Some(AttributeValue::N("3".to_owned()))),
            malformed(FMT, None),
            malformed(EVENT, None),
            malformed(RECEIVED, None),
            malformed(ORIGIN, None),
        ] {
            assert!(error.to_string().contains(&eid), "{error}");
        }
        let unsupported = malformed(FMT, Some(AttributeValue::N("3".to_owned())));
        assert_eq!(unsupported.source().unwrap().to_string(), "unsupported item format 3");
    }

    #[test]
    fn event_under_the_key_of_another_event_is_rejected() {
        let mut item = encode(&log_event(&telemetry(1)));
        item.insert(EID.to_owned(), AttributeValue::S(Eid::MIN.to_string()));
        assert!(decode(item).unwrap().events().is_err());
    }
}
