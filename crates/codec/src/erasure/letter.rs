//! The bytes of dead letters without what belongs to erased vehicles.
//!
//! A part of the JSON is replaced in its text, so that everything else keeps its bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::Timestamp;
use roadcast_domain::erasure::ErasureScope;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ArchivedRecord, Remainder, record_without};
use crate::stream_record::RecordTexts;

/// The parts of the known formats that contain events. See [`dead_letter`](crate::dead_letter).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letter<'a> {
    /// The payload of a failed batch of the stream.
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    /// An entry of a bus.
    #[serde(borrow, default)]
    detail: Option<Detail<'a>>,
    /// The message of a device.
    #[serde(borrow, default)]
    base64_original_payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, rename = "Records")]
    records: &'a RawValue,
}

#[derive(Deserialize)]
struct BatchRecord<'a> {
    #[serde(borrow)]
    kinesis: KinesisRecord<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KinesisRecord<'a> {
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    approximate_arrival_timestamp: f64,
}

/// Returns what remains of the bytes of a dead letter, which failed at this time.
pub fn letter_without(scope: &ErasureScope, bytes: &[u8], failed_at: Timestamp) -> Remainder {
    let known = std::str::from_utf8(bytes).ok().and_then(|text| known_letter_without(scope, text, failed_at));
    known.unwrap_or_else(|| {
        let is_mentioned = scope.is_mentioned(&String::from_utf8_lossy(bytes), None);
        if is_mentioned { Remainder::Nothing } else { Remainder::Unchanged }
    })
}

fn known_letter_without(scope: &ErasureScope, text: &str, failed_at: Timestamp) -> Option<Remainder> {
    match serde_json::from_str::<Letter<'_>>(text).ok()? {
        Letter { payload: Some(payload), .. } => batch_without(scope, text, payload),
        Letter { detail: Some(Detail { events: Some(events) }), .. } => entry_without(scope, text, events),
        Letter { base64_original_payload: Some(payload), .. } => device_without(scope, text, payload, failed_at),
        Letter { .. } => None,
    }
}

/// A failed batch of the stream. Its payload is a JSON text, or an object.
fn batch_without(scope: &ErasureScope, letter: &str, payload: &RawValue) -> Option<Remainder> {
    let is_text = payload.get().starts_with('"');
    let inner = if is_text { serde_json::from_str(payload.get()).ok()? } else { Cow::Borrowed(payload.get()) };
    let batch: Batch<'_> = serde_json::from_str(&inner).ok()?;
    let records = elements_without(batch.records, |record| stream_record_without(scope, record))?;
    Some(records.map_text(|records| {
        let inner = replaced(&inner, batch.records.get(), &records);
        let payload_text = if is_text { serde_json::Value::String(inner).to_string() } else { inner };
        replaced(letter, payload.get(), &payload_text)
    }))
}

/// A record as the event source mapping sends it.
fn stream_record_without(scope: &ErasureScope, record: &RawValue) -> Option<Remainder> {
    let BatchRecord { kinesis } = serde_json::from_str(record.get()).ok()?;
    let base64: Cow<'_, str> = serde_json::from_str(kinesis.data.get()).ok()?;
    // Times of the stream have far fewer than 53 bits of milliseconds.
    #[allow(clippy::cast_possible_truncation)]
    let arrived_at = Timestamp::from_ms((kinesis.approximate_arrival_timestamp * 1000.0).round() as i64);
    let data = STANDARD.decode(&*base64).ok()?;
    let raw = ArchivedRecord { partition_key: &kinesis.partition_key, arrived_at, data: &data };
    Some(base64_of(record_without(scope, raw, &mut RecordTexts::default()), record.get(), kinesis.data))
}

/// An entry of a bus, each of whose events is about one vehicle and states its id.
fn entry_without(scope: &ErasureScope, letter: &str, events: &RawValue) -> Option<Remainder> {
    let remainder_of =
        |event: &RawValue| Some(if scope.mentions_id(event.get()) { Remainder::Nothing } else { Remainder::Unchanged });
    let rest = elements_without(events, remainder_of)?;
    Some(rest.map_text(|rest| replaced(letter, events.get(), &rest)))
}

/// A message of a device, which has the form of a record.
fn device_without(scope: &ErasureScope, letter: &str, payload: &RawValue, failed_at: Timestamp) -> Option<Remainder> {
    let base64: Cow<'_, str> = serde_json::from_str(payload.get()).ok()?;
    let data = STANDARD.decode(&*base64).ok()?;
    let raw = ArchivedRecord { partition_key: "", arrived_at: failed_at, data: &data };
    match record_without(scope, raw, &mut RecordTexts::default()) {
        // The topic states the vehicle.
        Remainder::Unchanged => None,
        rest => Some(base64_of(rest, letter, payload)),
    }
}

/// Returns `text` with the remaining bytes in base64 in place of its part `part`.
fn base64_of(remainder: Remainder, text: &str, part: &RawValue) -> Remainder {
    match remainder {
        Remainder::Changed(data) => {
            Remainder::Changed(replaced(text, part.get(), &format!("\"{}\"", STANDARD.encode(data))).into_bytes())
        }
        rest => rest,
    }
}

/// Returns what remains of an array of JSON; `None` if an element cannot be read.
fn elements_without(array: &RawValue, remainder_of: impl Fn(&RawValue) -> Option<Remainder>) -> Option<Remainder> {
    let elements: Vec<&RawValue> = serde_json::from_str(array.get()).ok()?;
    let mut kept = Vec::with_capacity(elements.len());
    let mut is_changed = false;
    for element in elements {
        match remainder_of(element)? {
            Remainder::Unchanged => kept.push(Cow::Borrowed(element.get())),
            Remainder::Nothing => is_changed = true,
            Remainder::Changed(text) => {
                kept.push(Cow::Owned(String::from_utf8(text).ok()?));
                is_changed = true;
            }
        }
    }
    Some(match (is_changed, kept.is_empty()) {
        (false, _) => Remainder::Unchanged,
        (true, true) => Remainder::Nothing,
        (true, false) => Remainder::Changed(format!("[{}]", kept.join(",")).into_bytes()),
    })
}

impl Remainder {
    /// Changes the text that remains.
    fn map_text(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Changed(bytes) => Self::Changed(change(String::from_utf8_lossy(&bytes).into_owned()).into_bytes()),
            rest => rest,
        }
    }
}

/// Returns `text` with its part `part` replaced.
fn replaced(text: &str, part: &str, replacement: &str) -> String {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(start + part.len()..).unwrap_or_default();
    format!("{before}{replacement}{after}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roadcast_domain::ids::VehicleId;
    use serde_json::json;

    use super::super::tests::{erased, scope};
    use super::*;
    use crate::dead_letter::StreamFailure;

    const NOW: Timestamp = Timestamp::from_ms(1_714_564_800_000);

    fn without(letter: &str) -> Remainder {
        letter_without(&scope(), letter.as_bytes(), NOW)
    }

    fn kinesis(key: &str, data: &str) -> String {
        let data = STANDARD.encode(data);
        format!(r#"{{"kinesis": {{"partitionKey":"{key}","data":"{data}","approximateArrivalTimestamp":1714564800.000}} }}"#)
    }

    #[test]
    fn batch_keeps_the_records_of_other_vehicles_in_their_bytes() {
        let other = kinesis("a", "[]");
        let (vid, mixed) = (erased(), kinesis("b", r#"[{"subject":"bus:26"},{"subject":"bus:1"}]"#));
        let records = format!(r#"{{"Records":[{other},{},{mixed}]}}"#, kinesis(vid.as_str(), "{}"));
        let as_text = json!({"requestContext": {"n": 1}, "payload": records}).to_string();
        let as_object = format!(r#"{{"payload": {records} ,"z":1}}"#);
        for letter in [as_text, as_object] {
            let Remainder::Changed(bytes) = without(&letter) else { panic!("unchanged") };
            let payload = StreamFailure::payload(&bytes).unwrap();
            assert!(payload.starts_with(&format!(r#"{{"Records":[{other},"#)), "{payload}");
            assert!(!payload.contains(vid.as_str()));
            let read: Batch<'_> = serde_json::from_str(&payload).unwrap();
            assert_eq!(serde_json::from_str::<Vec<&RawValue>>(read.records.get()).unwrap().len(), 2);
            assert_eq!(without(std::str::from_utf8(&bytes).unwrap()), Remainder::Unchanged);
        }
        let only = format!(r#"{{"payload":{{"Records":[{}]}}}}"#, kinesis(vid.as_str(), "{}"));
        assert_eq!(without(&only), Remainder::Nothing);
        assert_eq!(without(&format!(r#"{{"payload":{{"Records":[{other}]}}}}"#)), Remainder::Unchanged);
    }

    #[test]
    fn entry_keeps_the_events_of_other_vehicles() {
        let other = format!(r#"{{ "subject":"{}" }}"#, VehicleId::from_random_bits(2));
        let of_erased = format!(r#"{{"subject":"{}"}}"#, erased());
        let letter = |events: &str| format!(r#"{{"id":"1", "detail":{{"fleetId":"f","events":{events}}}}}"#);
        let changed = Remainder::Changed(letter(&format!("[{other}]")).into_bytes());
        assert_eq!(without(&letter(&format!("[{of_erased}, {other}]"))), changed);
        assert_eq!(without(&letter(&format!("[{of_erased}]"))), Remainder::Nothing);
        assert_eq!(without(&letter(&format!("[{other}]"))), Remainder::Unchanged);
    }

    #[test]
    fn other_letters_are_removed_if_they_mention_an_erased_vehicle() {
        let payload = STANDARD.encode(format!(r#"{{"subject":"{}"}}"#, erased()));
        assert_eq!(without(&json!({"base64OriginalPayload": payload}).to_string()), Remainder::Nothing);
        assert_eq!(without(&json!({"base64OriginalPayload": "", "topic": erased()}).to_string()), Remainder::Nothing);
        assert_eq!(without(&json!({"recordType": "x", "vid": erased()}).to_string()), Remainder::Nothing);
        assert_eq!(without(&format!("not JSON {}", erased())), Remainder::Nothing);
        assert_eq!(without("not JSON"), Remainder::Unchanged);
    }

    proptest! {
        #[test]
        fn any_letter_is_read_without_panic(bytes: Vec<u8>, payload: String) {
            let _ = letter_without(&scope(), &bytes, NOW);
            let _ = without(&json!({"payload": payload.clone(), "detail": {"events": [payload]}}).to_string());
        }
    }
}
