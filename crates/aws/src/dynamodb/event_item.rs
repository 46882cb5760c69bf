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
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_event_log::LogItem;
use roadcast_event_log::segment::Segment;

use crate::dynamodb::compressed_text::{compress, decompress};
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
    #[error("the event in the item does not match the key")]
    KeyMismatch,
}

/// Encodes an event or a segment as an item.
pub(crate) fn encode(item: &LogItem) -> Result<Item, InvalidItem> {
    match item {
        LogItem::Segment(segment) => Ok(encode_segment(segment)),
        LogItem::Event(stored) => {
            encode_event(stored).map_err(|cause| InvalidItem { eid: stored.event.eid.to_string(), cause: cause.into() })
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

fn encode_event(stored: &StoredEvent) -> Result<Item, InvalidAttribute> {
    let event = &stored.event;
    let compressed = |name, json: serde_json::Result<String>| {
        let json = json.map_err(|error| InvalidAttribute::with_source(name, error))?;
        compress(json).map_err(|error| InvalidAttribute::with_source(name, error))
    };
    let mut item = Key::event_item(&event.vid, event.eid.to_string()).attributes();
    item.insert(FMT.to_owned(), AttributeValue::N(ONE_EVENT.to_string()));
    item.insert(EVENT.to_owned(), compressed(EVENT, serde_json::to_string(&event.to_cloud_event()))?);
    item.insert(ORIGIN.to_owned(), compressed(ORIGIN, serde_json::to_string(&stored.origin))?);
    item.insert(RECEIVED.to_owned(), AttributeValue::N(event.received.ms().to_string()));
    Ok(item)
}

/// Decodes an item. The bytes of a segment are not decoded yet.
pub(crate) fn decode(item: &Item) -> Result<LogItem, InvalidItem> {
    let invalid = |cause| InvalidItem { eid: item::text(item, EID).unwrap_or_default().to_owned(), cause };
    decode_attributes(item).map_err(invalid)
}

fn decode_attributes(item: &Item) -> Result<LogItem, InvalidItemCause> {
    match item::number(item, FMT)?.ok_or_else(|| InvalidAttribute::new(FMT))? {
        ONE_EVENT => decode_event(item).map(|stored| LogItem::Event(Box::new(stored))),
        SEGMENT => Ok(LogItem::Segment(decode_segment(item)?)),
        format => Err(InvalidItemCause::Format(format)),
    }
}

fn decode_segment(item: &Item) -> Result<Segment, InvalidAttribute> {
    let binary = |name: &'static str| match item.get(name) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref().to_vec()),
        _ => Err(InvalidAttribute::new(name)),
    };
    let vid: VehicleId = item::parsed(item, VID)?;
    Ok(Segment { vid, key: item::text(item, EID)?.to_owned(), block: binary(BLOCK)?, origins: binary(ORIGINS)? })
}

fn decode_event(item: &Item) -> Result<StoredEvent, InvalidItemCause> {
    let eid: Eid = item::parsed(item, EID)?;
    let (event, _) =
        Event::from_cloud_event(&decompress(item, EVENT)?).map_err(|error| InvalidAttribute::with_source(EVENT, error))?;
    if event.eid != eid {
        return Err(InvalidItemCause::KeyMismatch);
    }
    let origin =
        serde_json::from_str(&decompress(item, ORIGIN)?).map_err(|error| InvalidAttribute::with_source(ORIGIN, error))?;
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
            let item = encode(&log_event(&event)).unwrap();
            assert_eq!(item[EVENT].is_b(), samples == 500, "a long event is compressed");
            assert_eq!(decode(&item).unwrap(), log_event(&event));
            assert_eq!(serde_json::to_string(&event.event.to_cloud_event()).unwrap(), decompress(&item, EVENT).unwrap());
        }
    }

    fn log_event(stored: &StoredEvent) -> LogItem {
        LogItem::Event(Box::new(stored.clone()))
    }

    #[test]
    fn segment_round_trips_and_reports_its_item_bytes() {
        let events = [telemetry(3)];
        let plan = roadcast_event_log::segment_plan::plan(&events);
        let (segment, _) = &plan.segments[0];
        let item = encode(&LogItem::Segment(segment.clone())).unwrap();
        assert_eq!(decode(&item).unwrap(), LogItem::Segment(segment.clone()));
        // DynamoDB counts names and values: strings and binary by their bytes, a number of one digit as two.
        let bytes = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(binary) => binary.as_ref().len(),
            _ => 2,
        };
        assert_eq!(segment.item_bytes(), item.iter().map(|(name, value)| name.len() + bytes(value)).sum::<usize>());
    }

    #[test]
    fn diagnostic_round_trips() {
        let json = r#"{"at":"2026-11-03T09:59:59.999Z","mil":true,"dtcs":[{"code":"P0301","status":"active"}]}"#;
        let event = stored(Body::Diagnostic(serde_json::from_str::<Diagnostic>(json).unwrap()));
        assert_eq!(decode(&encode(&log_event(&event)).unwrap()).unwrap(), log_event(&event));
    }

    #[test]
    fn malformed_item_error_names_the_event() {
        let event = telemetry(1);
        let eid = event.event.eid.to_string();
        let malformed = |name: &str, value: Option<AttributeValue>| {
            let mut item = encode(&log_event(&event)).unwrap();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            decode(&item).unwrap_err()
        };
        for error in [
            malformed(FMT, Some(AttributeValue::N("3".to_owned()))),
            malformed(FMT, None),
            malformed(EVENT, Some(AttributeValue::S("{}".to_owned()))),
            malformed(ORIGIN, None),
        ] {
            assert!(error.to_string().contains(&eid), "{error}");
        }
        let unsupported = malformed(FMT, Some(AttributeValue::N("3".to_owned())));
        assert_eq!(unsupported.source().unwrap().to_string(), "unsupported item format 3");
    }

    #[test]
    fn event_under_the_key_of_another_event_is_rejected() {
        let mut item = encode(&log_event(&telemetry(1))).unwrap();
        item.insert(EID.to_owned(), AttributeValue::S(Eid::MIN.to_string()));
        assert!(decode(&item).is_err());
    }
}
