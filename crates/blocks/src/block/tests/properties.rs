//! Property tests on generated events and bytes.

use proptest::prelude::*;

use super::*;
use crate::version::{Hashes, Version};

/// A value that `accept` could accept for this path.
fn value_of(path: &str) -> BoxedStrategy<Value> {
    let def = SignalPath::parse(path).unwrap().def();
    let number = prop_oneof![
        4 => (-2000_i32..2000).prop_map(|n| Value::Number(f64::from(n) / 10.0 + 0.0)),
        1 => any::<f64>().prop_filter_map("finite", Value::number),
    ];
    let other = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        ".{0,8}".prop_map(|text| Value::from(text.as_str())),
        prop::collection::vec(any::<bool>().prop_map(Value::Bool), 0..3).prop_map(|list| Value::List(list.into())),
    ];
    // The weight 1: a value of a type that the current catalogue would reject.
    let likely = if def.is_some_and(|def| def.datatype.is_numeric()) { 30 } else { 1 };
    prop_oneof![likely => number, 1 => other].boxed()
}

const PATHS: [&str; 9] = [
    "Vehicle.Speed",
    "Vehicle.OBD.Speed",
    "Vehicle.CurrentLocation.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.IsMoving",
    "Vehicle.OBD.DTCList",
    "acme.a",
    "acme.b",
];

fn any_sample() -> impl Strategy<Value = Sample> {
    let optional = PATHS.map(|path| prop::option::weighted(0.7, value_of(path)));
    (1_700_000_000_i64..1_700_000_300, prop_oneof![3 => Just(0_i64), 1 => 0_i64..1000], optional).prop_map(
        |(s, ms, values)| {
            let present = PATHS.into_iter().zip(values).filter_map(|(path, value)| Some((path, value?)));
            let mut signals = signals(present);
            if signals.is_empty() {
                signals = self::signals([("Vehicle.Speed", Value::Number(0.0))]);
            }
            Sample { at: Timestamp::from_ms(s * 1000 + ms), signals }
        },
    )
}

fn any_event() -> impl Strategy<Value = BlockEvent> {
    let eid = prop_oneof![3 => Just(None), 1 => any::<u128>().prop_map(Some)];
    (prop::collection::vec(any_sample(), 1..12), eid, any::<u64>(), -5_000_i64..100_000).prop_map(
        |(samples, eid, hash, delay)| {
            let mut event = event(hash.into(), samples);
            event.eid = eid.unwrap_or(event.eid);
            event.received = event.received.plus_ms(delay);
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn events_round_trip_bit_for_bit(events in prop::collection::vec(any_event(), 1..6)) {
        check_round_trip(&events);
    }

    #[test]
    fn retaining_columns_equals_retaining_signals_in_rows(
        events in prop::collection::vec(any_event(), 1..5), retained in prop::sample::subsequence(PATHS.to_vec(), 0..4),
    ) {
        let mut block = Block::from_events(&events).unwrap();
        block.retain_columns(|path| retained.contains(&path.as_str()));
        let redact = |event: &BlockEvent| {
            let mut event = event.clone();
            for sample in &mut event.samples {
                sample.signals.retain(|path, _| retained.contains(&path.as_str()));
            }
            event.samples.retain(|sample| !sample.signals.is_empty());
            (!event.samples.is_empty()).then_some(event)
        };
        let rows: Vec<BlockEvent> = events.iter().filter_map(redact).collect();
        prop_assert_eq!(block.events(), rows);
        prop_assert_eq!(&Block::decode(&block.encode()).unwrap(), &block);
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(mut bytes: Vec<u8>) {
        let _ = Block::decode(&bytes);
        for (version, hashes) in [(Version::One, Hashes::Written), (Version::Two, Hashes::Written), (Version::Two, Hashes::Omitted)]
        {
            bytes.insert(0, version.first_byte(hashes));
            let _ = (Block::decode(&bytes), Block::decode_with_hashes(&bytes, &[1]));
            let _ = Block::decode_body(version, hashes, &bytes, DecodeLimits::default());
        }
    }

    #[test]
    fn block_without_hashes_is_completed_with_them(events in prop::collection::vec(any_event(), 1..6)) {
        let block = Block::from_events(&events).unwrap();
        let bytes = block.encode_without_hashes();
        prop_assert!(Block::omits_hashes(&bytes) && !Block::omits_hashes(&block.encode()));
        prop_assert!(bytes.len() <= block.encode().len() - 10 * events.len() + 1);
        let hashes: Vec<u128> = events.iter().map(|event| event.eid & ((1 << 80) - 1)).collect();
        prop_assert_eq!(Block::decode_with_hashes(&bytes, &hashes).unwrap(), block.clone());
        let head = Block::decode_head_with_hashes(&bytes, &hashes).unwrap();
        prop_assert_eq!((&head.events[..], &head.times[..]), (block.event_rows(), block.times()));
        let missing = DecodeError::Hashes { events: events.len(), hashes: 0 };
        prop_assert_eq!(Block::decode(&bytes).unwrap_err(), missing.clone());
        prop_assert_eq!(Block::decode_eids(&bytes).unwrap_err(), missing);
        prop_assert_eq!(Block::decode_with_hashes(&block.encode(), &[]).unwrap(), block);
    }

    #[test]
    fn decoding_changed_or_truncated_blocks_never_panics(
        events in prop::collection::vec(any_event(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Block::from_events(&events).unwrap().encode();
        prop_assert!(Block::decode(&bytes[..length.index(bytes.len())]).is_err());
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(block) = Block::decode_body(Version::Two, Hashes::Written, &bytes[..bytes.len() - 4], DecodeLimits::default()) {
            // A block that decodes can be converted to rows and encoded.
            let _ = (block.events(), block.encode());
        }
    }
}
