//! Stored bytes without what belongs to erased vehicles: records of the stream, quarantined items and the bytes of dead letters.
//!
//! What belongs to other vehicles stays in its bytes. Where a text cannot be read as what it should be, it is removed entirely if it
//! mentions an erased vehicle.

mod letter;

use std::borrow::Cow;

use roadcast_domain::Timestamp;
use roadcast_domain::erasure::ErasureScope;
use roadcast_domain::ids::VehicleId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::stream_record::{RecordTexts, compress, split_events};

pub use letter::letter_without;

/// What remains of something without what belongs to erased vehicles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// It has nothing of them.
    Unchanged,
    /// These bytes.
    Changed(Vec<u8>),
    /// Nothing.
    Nothing,
}

#[derive(Deserialize)]
struct Subject<'a> {
    #[serde(borrow, default)]
    subject: Option<Cow<'a, str>>,
}

/// A record of the stream, as it is archived.
#[derive(Copy, Clone, Debug)]
pub struct ArchivedRecord<'a> {
    /// The partition key: the name of the vehicle of an event without a subject.
    pub partition_key: &'a str,
    /// When the stream accepted it.
    pub arrived_at: Timestamp,
    /// The bytes.
    pub data: &'a [u8],
}

/// Returns what remains of a record. Its remaining events keep their bytes, but the record is compressed again.
pub fn record_without(scope: &ErasureScope, record: ArchivedRecord<'_>, texts: &mut RecordTexts) -> Remainder {
    let received = record.arrived_at;
    let all_if = |is_owned| if is_owned { Remainder::Nothing } else { Remainder::Unchanged };
    let owns_key = scope.owns(record.partition_key, received);
    let Ok(text) = texts.read(record.data) else {
        return all_if(owns_key || scope.is_mentioned(&String::from_utf8_lossy(record.data), Some(received)));
    };
    let Ok(events) = split_events(&text) else { return all_if(owns_key || scope.is_mentioned(&text, Some(received))) };
    let count = events.len();
    let is_kept = |event: &&RawValue| !owns_event(scope, event.get(), received).unwrap_or(owns_key);
    let kept: Vec<&str> = events.into_iter().filter(is_kept).map(RawValue::get).collect();
    match kept.len() {
        // An empty batch states nothing about its vehicle but its id.
        0 => all_if(count > 0 || owns_key),
        length if length == count => Remainder::Unchanged,
        _ => Remainder::Changed(compress(&format!("[{}]", kept.join(",")))),
    }
}

/// Whether a quarantined item belongs to one of the vehicles: the vehicle of the item if it is known, when its record arrived, and
/// its bytes.
pub fn owns_item(scope: &ErasureScope, vid: Option<&VehicleId>, arrived_at: Timestamp, bytes: &[u8]) -> bool {
    if let Some(vid) = vid {
        return scope.contains(vid);
    }
    // An event of an unknown vehicle, or a record that cannot be read.
    match RecordTexts::default().read(bytes) {
        Ok(text) => owns_event(scope, &text, arrived_at).unwrap_or_else(|| scope.is_mentioned(&text, Some(arrived_at))),
        Err(_) => scope.is_mentioned(&String::from_utf8_lossy(bytes), Some(arrived_at)),
    }
}

/// Whether an event belongs to one of the vehicles; `None` if it names no vehicle.
fn owns_event(scope: &ErasureScope, event: &str, received: Timestamp) -> Option<bool> {
    match serde_json::from_str::<Subject<'_>>(event) {
        Ok(Subject { subject }) => subject.map(|subject| scope.owns(&subject, received)),
        // Not an event. It is quarantined whatever it is.
        Err(_) => scope.is_mentioned(event, Some(received)).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roadcast_domain::erasure::ErasedName;
    use roadcast_domain::subject::VehicleName;

    use super::*;
    use crate::stream_record::decode_text;

    const NOW: Timestamp = Timestamp::from_ms(1_714_564_800_000);

    pub(super) fn erased() -> VehicleId {
        VehicleId::from_random_bits(1)
    }

    pub(super) fn scope() -> ErasureScope {
        let name = VehicleName::try_from("bus:26".to_owned()).unwrap();
        let named = ErasedName { name, since: NOW.plus_ms(-10), until: NOW.plus_ms(10) };
        ErasureScope::new([erased()], vec![named], NOW.plus_ms(-10))
    }

    /// Returns what remains of a record with this partition key.
    fn without(key: &str, data: impl AsRef<[u8]>) -> Remainder {
        let record = ArchivedRecord { partition_key: key, arrived_at: NOW, data: data.as_ref() };
        record_without(&scope(), record, &mut RecordTexts::default())
    }

    #[test]
    fn only_events_of_erased_vehicles_are_removed() {
        let other = r#"{"id" : "é", "subject":"bus:261"}"#;
        let named = r#"{"subject":"bus:26"}"#;
        let batch = format!("[{other},{named},{}]", r#"{"id":"no subject"}"#);
        let Remainder::Changed(bytes) = without(erased().as_str(), compress(&batch)) else { panic!("unchanged") };
        assert_eq!(decode_text(&bytes).unwrap(), format!("[{other}]"));
        let Remainder::Changed(bytes) = without("partner", batch) else { panic!("unchanged") };
        assert_eq!(decode_text(&bytes).unwrap(), format!("[{other},{}]", r#"{"id":"no subject"}"#));
        assert_eq!(without("partner", named), Remainder::Nothing);
        assert_eq!(without("bus:26", "{}"), Remainder::Nothing);
        assert_eq!(without("bus:27", "{}"), Remainder::Unchanged);
    }

    #[test]
    fn record_that_cannot_be_read_is_removed_if_it_mentions_an_erased_vehicle() {
        let vid = erased();
        for data in [format!("{{\"subject\":\"{vid}\""), format!("\u{0}{vid}"), format!("[1,{{\"subject\":\"{vid}\",]")] {
            assert_eq!(without("partner", data), Remainder::Nothing);
        }
        assert_eq!(without(vid.as_str(), [0x28, 0xB5, 0x2F, 0xFD, 9]), Remainder::Nothing);
        assert_eq!(without("partner", [0xFF, 0]), Remainder::Unchanged);
    }

    #[test]
    fn quarantined_item_is_found_by_vehicle_or_name() {
        let owns = |vid: Option<VehicleId>, bytes: &str| owns_item(&scope(), vid.as_ref(), NOW, bytes.as_bytes());
        let named = r#"{"subject":"bus:26"}"#;
        assert!(owns(Some(erased()), "{}") && owns(None, named));
        assert!(owns(None, &format!("not JSON {}", erased())));
        assert!(!owns(Some(VehicleId::from_random_bits(2)), named), "the vehicle decides");
        assert!(!owns(None, r#"{"subject":"bus:27","note":"bus:26"}"#));
    }

    proptest! {
        #[test]
        fn any_record_is_read_without_panic_and_once(data: Vec<u8>, key: String) {
            if let Remainder::Changed(rest) = without(&key, data) {
                prop_assert_eq!(without(&key, rest), Remainder::Unchanged);
            }
        }

        #[test]
        fn events_of_other_vehicles_keep_their_bytes(subjects in prop::collection::vec(0_u128..4, 0..20)) {
            let event = |(index, n): (usize, &u128)| format!(r#"{{ "id":"{index}","subject":"{}"}}"#, VehicleId::from_random_bits(*n));
            let events: Vec<String> = subjects.iter().enumerate().map(event).collect();
            let kept: Vec<String> = events.iter().zip(&subjects).filter(|(_, n)| **n != 1).map(|(event, _)| event.clone()).collect();
            let result = without("partner", format!("[{}]", events.join(",")));
            let expected = format!("[{}]", kept.join(","));
            match result {
                Remainder::Unchanged => prop_assert_eq!(kept.len(), events.len()),
                Remainder::Nothing => prop_assert!(kept.is_empty() && !events.is_empty()),
                Remainder::Changed(bytes) => prop_assert_eq!(decode_text(&bytes).unwrap(), expected),
            }
        }
    }
}
