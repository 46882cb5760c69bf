//! The form of an item in `vehicleEvents`.
//!
//! `vid` and `eid` are its key, `fmt` says how to read the rest. Form 1, one event an item: `event`, the `CloudEvent` as it
//! is handed out; `origin`, where it came from; both JSON, packed where they are long; `received`, in milliseconds.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::Eid;

use crate::item::{self, Item, Unreadable};
use crate::keys::{EID, Key};
use crate::packed_text::{pack, unpack};

const FMT: &str = "fmt";
const ONE_EVENT: u32 = 1;
const EVENT: &str = "event";
const ORIGIN: &str = "origin";
const RECEIVED: &str = "received";

/// An item that cannot be read. It is an error, and not skipped: the event was promised to be there.
#[derive(Debug, thiserror::Error)]
#[error("the item of event {eid:?} cannot be read")]
pub(crate) struct UnreadableEvent {
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

/// The item of an event.
pub(crate) fn encode(stored: &StoredEvent) -> Result<Item, UnreadableEvent> {
    let event = &stored.event;
    encode_attributes(stored).map_err(|why| UnreadableEvent { eid: event.eid.to_string(), why: why.into() })
}

fn encode_attributes(stored: &StoredEvent) -> Result<Item, Unreadable> {
    let event = &stored.event;
    let packed = |name, json: serde_json::Result<String>| {
        let json = json.map_err(|error| Unreadable::because(name, error))?;
        pack(json).map_err(|error| Unreadable::because(name, error))
    };
    let mut item = Key::event(&event.vid, event.eid).attributes();
    item.insert(FMT.to_owned(), AttributeValue::N(ONE_EVENT.to_string()));
    item.insert(EVENT.to_owned(), packed(EVENT, serde_json::to_string(&event.to_cloud_event()))?);
    item.insert(ORIGIN.to_owned(), packed(ORIGIN, serde_json::to_string(&stored.origin))?);
    item.insert(RECEIVED.to_owned(), AttributeValue::N(event.received.ms().to_string()));
    Ok(item)
}

/// The event of an item.
pub(crate) fn decode(item: &Item) -> Result<StoredEvent, UnreadableEvent> {
    let unreadable = |why| UnreadableEvent { eid: item::text(item, EID).unwrap_or_default().to_owned(), why };
    decode_attributes(item).map_err(unreadable)
}

fn decode_attributes(item: &Item) -> Result<StoredEvent, Why> {
    let form: u32 = item::number(item, FMT)?.ok_or_else(|| Unreadable::at(FMT))?;
    if form != ONE_EVENT {
        return Err(Why::Form(form));
    }
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
            let item = encode(&event).unwrap();
            assert_eq!(item[EVENT].is_b(), samples == 500, "a long event is packed");
            let back = decode(&item).unwrap();
            assert_eq!(back, event);
            assert_eq!(serde_json::to_string(&back.event.to_cloud_event()).unwrap(), unpack(&item, EVENT).unwrap());
        }
    }

    #[test]
    fn a_diagnosis_survives_its_item() {
        let json = r#"{"at":"2026-11-03T09:59:59.999Z","mil":true,"dtcs":[{"code":"P0301","status":"active"}]}"#;
        let event = stored(Body::Diagnostic(serde_json::from_str::<Diagnostic>(json).unwrap()));
        assert_eq!(decode(&encode(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn an_item_that_cannot_be_read_says_which_event_it_is() {
        let event = telemetry(1);
        let eid = event.event.eid.to_string();
        let spoilt = |name: &str, value: Option<AttributeValue>| {
            let mut item = encode(&event).unwrap();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            decode(&item).unwrap_err()
        };
        for error in [
            spoilt(FMT, Some(AttributeValue::N("2".to_owned()))),
            spoilt(FMT, None),
            spoilt(EVENT, Some(AttributeValue::S("{}".to_owned()))),
            spoilt(ORIGIN, None),
        ] {
            assert!(error.to_string().contains(&eid), "{error}");
        }
        let unknown = spoilt(FMT, Some(AttributeValue::N("2".to_owned())));
        assert_eq!(unknown.source().unwrap().to_string(), "form 2 is not known here");
    }

    #[test]
    fn an_item_under_another_events_key_is_not_taken() {
        let mut item = encode(&telemetry(1)).unwrap();
        item.insert(EID.to_owned(), AttributeValue::S(Eid::MIN.to_string()));
        assert!(decode(&item).is_err());
    }
}
