#![allow(clippy::unwrap_used)]
use futures::executor::block_on;
use proptest::prelude::*;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_services::query::fleet_events::ArrivalPosition;
use roadcast_testbed::Memory;
use serde_json::{Value, json};

use super::*;

fn fleet(bits: u128) -> CallerId {
    CallerId::Fleet(FleetId::from_random_bits(bits))
}

fn encode(cursors: &Cursors, position: &impl Serialize) -> String {
    block_on(cursors.encode(&fleet(1), "q", position, PositionSize::Small)).unwrap()
}

fn decode(cursors: &Cursors, text: &str) -> Option<Value> {
    block_on(cursors.decode(&fleet(1), "q", text)).ok()
}

#[test]
fn cursor_decodes_to_its_position() {
    let cursors = Cursors::new(Memory::default());
    let text = encode(&cursors, &("veh_x", 7));
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
    assert_eq!(decode(&cursors, &text), Some(json!(["veh_x", 7])));
}

#[test]
fn cursor_of_another_caller_query_secret_or_type_is_refused() {
    let (memory, other) = (Memory::default(), Memory::default());
    other.rotate_secret(7);
    other.rotate_secret(8);
    let cursors = Cursors::new(memory);
    let text = encode(&cursors, &1);
    let assert_refused = |cursors: &Cursors, caller: &CallerId, query: &str, text: &str| {
        let problem = block_on(cursors.decode::<u32>(caller, query, text)).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?cursor"));
    };
    assert_refused(&cursors, &fleet(2), "q", &text);
    assert_refused(&cursors, &CallerId::Admin(ClientId::new("a")), "q", &text);
    assert_refused(&cursors, &fleet(1), "r", &text);
    assert_refused(&Cursors::new(other), &fleet(1), "q", &text);
    assert_refused(&cursors, &fleet(1), "q", &encode(&cursors, &"text"));
    for text in ["", "x", "eyJ2IjoxfQ", &"A".repeat(3000), "ä", &text[1..], &format!("{text}A")] {
        assert_refused(&cursors, &fleet(1), "q", text);
    }
}

#[test]
fn admin_and_ingest_client_with_equal_id_have_different_cursors() {
    let cursors = Cursors::new(Memory::default());
    let admin = CallerId::Admin(ClientId::new("a"));
    let text = block_on(cursors.encode(&admin, "q", &1, PositionSize::Small)).unwrap();
    assert!(block_on(cursors.decode::<u32>(&CallerId::Ingest(ClientId::new("a")), "q", &text)).is_err());
}

#[test]
fn cursor_hides_its_position() {
    let cursors = Cursors::new(Memory::default());
    let position = "veh_0000000000000009 01JDXY0000HIDDENEVENT";
    let bytes = URL_SAFE_NO_PAD.decode(encode(&cursors, &position)).unwrap();
    assert!(!bytes.windows(8).any(|window| position.as_bytes().windows(8).any(|part| part == window)));
    assert_ne!(encode(&cursors, &position), encode(&cursors, &position), "equal positions have different cursors");
}

#[test]
fn length_of_a_cursor_does_not_depend_on_its_position() {
    let cursors = Cursors::new(Memory::default());
    let length = |position: &Value, size| block_on(cursors.encode(&fleet(1), "q", position, size)).unwrap().len();
    let small = [json!(1), json!("veh_x"), json!("x".repeat(188))].map(|position| length(&position, PositionSize::Small));
    assert_eq!(small, [300; 3]);
    let large = [json!(1), json!("x".repeat(1019))].map(|position| length(&position, PositionSize::Large));
    assert_eq!(large, [1408; 2]);
}

#[test]
fn largest_position_of_arrivals_fits_into_a_cursor() {
    let cursors = Cursors::new(Memory::default());
    let passed = vec![json!(["veh_zzzzzzzzzzzzzzzz", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"]); 16];
    let position = json!({"stamp": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "index": 9_999_999, "passed_over": passed});
    let position: ArrivalPosition = serde_json::from_value(position).unwrap();
    let text = block_on(cursors.encode(&fleet(1), "q", &position, PositionSize::Large)).unwrap();
    assert_eq!(block_on(cursors.decode::<ArrivalPosition>(&fleet(1), "q", &text)).unwrap(), position);
}

#[test]
fn position_that_is_too_long_is_an_internal_error() {
    let cursors = Cursors::new(Memory::default());
    let encoded = block_on(cursors.encode(&fleet(1), "q", &"x".repeat(1020), PositionSize::Small));
    assert_eq!(encoded.unwrap_err().status().as_u16(), 500);
}

#[test]
fn cursor_is_valid_until_its_secret_is_neither_current_nor_previous() {
    let memory = Memory::default();
    let cursors = Cursors::new(memory.clone());
    let text = encode(&cursors, &1);
    memory.rotate_secret(1);
    assert_eq!(decode(&cursors, &text), Some(json!(1)), "of the previous secret");
    let newer = encode(&cursors, &2);
    memory.rotate_secret(2);
    assert_eq!((decode(&cursors, &text), decode(&cursors, &newer)), (None, Some(json!(2))));
}

proptest! {
    #[test]
    fn arbitrary_text_is_not_a_cursor(text in any::<String>()) {
        prop_assert_eq!(decode(&Cursors::new(Memory::default()), &text), None);
    }

    #[test]
    fn arbitrary_bytes_of_a_valid_length_are_not_a_cursor(
        mut bytes in prop_oneof![prop::collection::vec(any::<u8>(), 225), prop::collection::vec(any::<u8>(), 1056)],
        has_header in any::<bool>(),
    ) {
        let cursors = Cursors::new(Memory::default());
        if has_header {
            let valid = URL_SAFE_NO_PAD.decode(encode(&cursors, &1)).unwrap();
            bytes[..5].copy_from_slice(&valid[..5]);
        }
        prop_assert_eq!(decode(&cursors, &URL_SAFE_NO_PAD.encode(bytes)), None);
    }

    #[test]
    fn changed_cursor_is_refused(position in ".{0,40}", changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4)) {
        let cursors = Cursors::new(Memory::default());
        let bytes = URL_SAFE_NO_PAD.decode(encode(&cursors, &position)).unwrap();
        let mut changed = bytes.clone();
        for (index, change) in changes {
            let index = index.index(changed.len());
            changed[index] ^= change;
        }
        prop_assume!(changed != bytes);
        prop_assert_eq!(decode(&cursors, &URL_SAFE_NO_PAD.encode(changed)), None);
    }

    #[test]
    fn changed_text_of_a_cursor_is_refused(index in any::<prop::sample::Index>(), character in "[A-Za-z0-9_-]") {
        let cursors = Cursors::new(Memory::default());
        let text = encode(&cursors, &"veh_x");
        let index = index.index(text.len());
        let changed = format!("{}{character}{}", &text[..index], &text[index + 1..]);
        prop_assume!(changed != text);
        prop_assert_eq!(decode(&cursors, &changed), None);
    }
}
