#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn origin(source: &str, id: &str) -> Origin {
    Origin { source: source.to_owned(), id: id.to_owned(), extensions: BTreeMap::new() }
}

/// Encodes origins with these ids, checks that they decode to the same origins, and returns the number of bytes.
fn encoded_bytes(ids: &[&str]) -> usize {
    let origins: Vec<Origin> = ids.iter().map(|id| origin("urn:partner:a", id)).collect();
    let bytes = encode(&origins.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(decode(&bytes).unwrap(), origins);
    bytes.len()
}

#[test]
fn incrementing_ids_take_two_bytes_each() {
    assert_eq!(encoded_bytes(&["trip-7-0098", "trip-7-0099", "trip-7-0100"]) - encoded_bytes(&["trip-7-0098"]), 2 * (2 + 2));
    // The number of digits grows from ten to eleven.
    encoded_bytes(&["9999999999", "10000000000", "007", "008", "8"]);
    encoded_bytes(&["99999999999999999999", "99999999999999999999", "18446744073709551615"]);
}

#[test]
fn hexadecimal_ids_take_one_byte_per_two_digits() {
    let uuid = "0199b5c2-7a3e-7c41-9d2f-5b1c3e8a9f00";
    assert_eq!(encoded_bytes(&[uuid]), 1 + 1 + 1 + 14 + 1 + 1 + 17);
    encoded_bytes(&[&uuid.to_uppercase(), uuid]);
    encoded_bytes(&["enviroCar/00ff", "enviroCar/0a1b", "abc", "0"]);
}

#[test]
fn extensions_of_every_type_round_trip() {
    let mut first = origin("a", "1");
    first.extensions = [("sequence", "7".into()), ("urgent", true.into()), ("tries", (-3).into())]
        .map(|(k, v): (&str, serde_json::Value)| (k.to_owned(), v))
        .into();
    let origins = [&first, &origin("b", "2"), &first];
    let back = decode(&encode(&origins).unwrap()).unwrap();
    assert_eq!(back.iter().collect::<Vec<_>>(), origins);
}

#[test]
fn later_version_is_an_error_with_its_number() {
    assert_eq!(decode(&[9]).unwrap_err().to_string(), "unsupported version 9 of event origins");
}

#[test]
fn references_to_a_long_text_are_bounded() {
    // 4,096 origins of one source and one id of 100,000 bytes each: 820 MB in memory.
    let text = "x".repeat(100_000);
    let mut bytes = vec![VERSION];
    write_number(&mut bytes, 4096);
    let mut repeat = |first: &dyn Fn(&mut Vec<u8>), rest: &[u8]| {
        first(&mut bytes);
        (1..4096).for_each(|_| bytes.extend_from_slice(rest));
    };
    let distinct = |text: &str| {
        let text = text.to_owned();
        move |bytes: &mut Vec<u8>| {
            write_number(bytes, 0);
            write_text(bytes, &text);
        }
    };
    repeat(&distinct(&text), &[0]);
    repeat(&distinct(""), &[0]);
    // The prefix of 100,000 bytes, and no further text.
    let mut shared = vec![1];
    write_number(&mut shared, 100_000);
    write_text(&mut shared, "");
    repeat(&distinct(&text), &shared);
    assert!(bytes.len() < 300_000);
    // Decoded origins are not written into the message: they would fill the memory.
    assert!(matches!(decode(&bytes), Err(OriginsDecodeError::TooLarge(_))));
}

proptest! {
    #[test]
    fn origins_round_trip(ids in prop::collection::vec(("[a-c]{0,2}", "([0-9a-f]{0,4}|.{0,6}|[0-9]{17,20})"), 0..8)) {
        let origins: Vec<Origin> = ids.iter().map(|(source, id)| origin(source, id)).collect();
        prop_assert_eq!(decode(&encode(&origins.iter().collect::<Vec<_>>()).unwrap()).unwrap(), origins);
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(mut bytes: Vec<u8>) {
        let _ = decode(&bytes);
        bytes.insert(0, VERSION);
        let _ = decode(&bytes);
    }
}
