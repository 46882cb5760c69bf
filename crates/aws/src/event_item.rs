//! The form of an item in `vehicleEvents`.
//!
//! `vid` and `eid` are its key, `fmt` says how to read the rest.
//!
//! | `fmt` | `eid` | attributes |
//! |---|---|---|
//! | 1, one event | the event's id | `event`, the `CloudEvent` as it is handed out; `origin`, where it came from; both JSON, packed where they are long; `received`, in milliseconds |
//! | 2, a segment of telemetry | the first event's id, `#`, a digest of all ids | `block`, the events (`docs/blocks.md`); `origins`, where each came from |

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_event_log::LogItem;
use roadcast_event_log::segment::Segment;

use crate::item::{self, Item, Unreadable};
use crate::keys::{EID, Key, VID};
use crate::packed_text::{pack, unpack};

const FMT: &str = "fmt";
const ONE_EVENT: u32 = 1;
const SEGMENT: u32 = 2;
const EVENT: &str = "event";
const ORIGIN: &str = "origin";
const RECEIVED: &str = "received";
const BLOCK: &str = "block";
const ORIGINS: &str = "origins";

/// An item that cannot be read. It is an error, and not skipped: its events were promised to be there.
#[derive(Debug, thiserror::Error)]
#[error("the item {eid:?} cannot be read")]
pub(crate) struct UnreadableItem {
    eid: String,
    #[source]
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("form {0} is not known here")]
    Form(u32),
    #[error(transparent)]
    Attribute(#[from] Unreadable),
    #[error("the item holds another event than its key says")]
    OtherEvent,
}

/// The item of an event or a segment.
pub(crate) fn encode(item: &LogItem) -> Result<Item, UnreadableItem> {
    match item {
        LogItem::Segment(segment) => Ok(encode_segment(segment)),
        LogItem::Event(stored) => {
            encode_event(stored).map_err(|why| UnreadableItem { eid: stored.event.eid.to_string(), why: why.into() })
        }
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

fn encode_event(stored: &StoredEvent) -> Result<Item, Unreadable> {
    let event = &stored.event;
    let packed = |name, json: serde_json::Result<String>| {
        let json = json.map_err(|error| Unreadable::because(name, error))?;
        pack(json).map_err(|error| Unreadable::because(name, error))
    };
    let mut item = Key::event_item(&event.vid, event.eid.to_string()).attributes();
    item.insert(FMT.to_owned(), AttributeValue::N(ONE_EVENT.to_string()));
    item.insert(EVENT.to_owned(), packed(EVENT, serde_json::to_string(&event.to_cloud_event()))?);
    item.insert(ORIGIN.to_owned(), packed(ORIGIN, serde_json::to_string(&stored.origin))?);
    item.insert(RECEIVED.to_owned(), AttributeValue::N(event.received.ms().to_string()));
    Ok(item)
}

/// What an item holds. A segment's bytes are not looked at yet.
pub(crate) fn decode(item: &Item) -> Result<LogItem, UnreadableItem> {
    let unreadable = |why| UnreadableItem { eid: item::text(item, EID).unwrap_or_default().to_owned(), why };
    decode_attributes(item).map_err(unreadable)
}

fn decode_attributes(item: &Item) -> Result<LogItem, Why> {
    match item::number(item, FMT)?.ok_or_else(|| Unreadable::at(FMT))? {
        ONE_EVENT => decode_event(item).map(|stored| LogItem::Event(Box::new(stored))),
        SEGMENT => Ok(LogItem::Segment(decode_segment(item)?)),
        form => Err(Why::Form(form)),
    }
}

fn decode_segment(item: &Item) -> Result<Segment, Unreadable> {
    let binary = |name: &'static str| match item.get(name) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref().to_vec()),
        _ => Err(Unreadable::at(name)),
    };
    let vid: VehicleId = item::parsed(item, VID)?;
    Ok(Segment { vid, key: item::text(item, EID)?.to_owned(), block: binary(BLOCK)?, origins: binary(ORIGINS)? })
}

fn decode_event(item: &Item) -> Result<StoredEvent, Why> {
    let eid: Eid = item::parsed(item, EID)?;
    let (event, _) = Event::from_cloud_event(&unpack(item, EVENT)?).map_err(|error| Unreadable::because(EVENT, error))?;
    if event.eid != eid {
        return Err(Why::OtherEvent);
    }
    let origin = serde_json::from_str(&unpack(item, ORIGIN)?).map_err(|error| Unreadable::because(ORIGIN, error))?;
    Ok(StoredEvent { event, origin })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::error::Error;

    use roadcast_domain::diagnostic::Diagnostic;
    use roadcast_domain::event::{Body, Origin, Telemetry};
    use roadcast_domain::ids::VehicleId;
    use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};

    use super::*;

    fn stored(body: Body) -> StoredEvent {
        let (vid, at) = (VehicleId::from_random(7), Timestamp::from_ms(1_793_000_000_123));
        let origin = Origin {
            source: "urn:partner:a".to_owned(),
            id: "1".to_owned(),
            extensions: BTreeMap::from([("sequence".to_owned(), "7".into())]),
        };
        let eid = Eid::of(&vid, &origin.source, &origin.id, at);
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
    fn telemetry_survives_its_item_to_the_bit_short_or_long() {
        for samples in [1, 500] {
            let event = telemetry(samples);
            let item = encode(&one(&event)).unwrap();
            assert_eq!(item[EVENT].is_b(), samples == 500, "a long event is packed");
            assert_eq!(decode(&item).unwrap(), one(&event));
            assert_eq!(serde_json::to_string(&event.event.to_cloud_event()).unwrap(), unpack(&item, EVENT).unwrap());
        }
    }

    fn one(stored: &StoredEvent) -> LogItem {
        LogItem::Event(Box::new(stored.clone()))
    }

    #[test]
    fn a_segment_survives_its_item_and_takes_the_bytes_it_says() {
        let events = [telemetry(3)];
        let plan = roadcast_event_log::segment::plan(&events);
        let (segment, _) = &plan.segments[0];
        let item = encode(&LogItem::Segment(segment.clone())).unwrap();
        assert_eq!(decode(&item).unwrap(), LogItem::Segment(segment.clone()));
        // DynamoDB counts names and values: texts and binary by their bytes, a number of one digit as two.
        let bytes = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(binary) => binary.as_ref().len(),
            _ => 2,
        };
        assert_eq!(segment.item_bytes(), item.iter().map(|(name, value)| name.len() + bytes(value)).sum::<usize>());
    }

    #[test]
    fn a_diagnosis_survives_its_item() {
        let json = r#"{"at":"2026-11-03T09:59:59.999Z","mil":true,"dtcs":[{"code":"P0301","status":"active"}]}"#;
        let event = stored(Body::Diagnostic(serde_json::from_str::<Diagnostic>(json).unwrap()));
        assert_eq!(decode(&encode(&one(&event)).unwrap()).unwrap(), one(&event));
    }

    #[test]
    fn an_item_that_cannot_be_read_says_which_event_it_is() {
        let event = telemetry(1);
        let eid = event.event.eid.to_string();
        let spoilt = |name: &str, value: Option<AttributeValue>| {
            let mut item = encode(&one(&event)).unwrap();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            decode(&item).unwrap_err()
        };
        for error in [
            spoilt(FMT, Some(AttributeValue::N("3".to_owned()))),
            spoilt(FMT, None),
            spoilt(EVENT, Some(AttributeValue::S("{}".to_owned()))),
            spoilt(ORIGIN, None),
        ] {
            assert!(error.to_string().contains(&eid), "{error}");
        }
        let unknown = spoilt(FMT, Some(AttributeValue::N("3".to_owned())));
        assert_eq!(unknown.source().unwrap().to_string(), "form 3 is not known here");
    }

    #[test]
    fn an_item_under_another_events_key_is_not_taken() {
        let mut item = encode(&one(&telemetry(1))).unwrap();
        item.insert(EID.to_owned(), AttributeValue::S(Eid::MIN.to_string()));
        assert!(decode(&item).is_err());
    }
}
