#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Custom, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::Sample;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;

fn event(body: Body) -> Event {
    let at = Timestamp::from_ms(1_700_000_000_000);
    let vid = VehicleId::from_random_bits(1);
    Event { eid: Eid::for_event(&vid, "s", "i", at), vid, received: at, body }
}

/// Returns the bytes of a text within the JSON string of the payload.
fn payload_bytes(text: &str) -> usize {
    serde_json::to_string(text).unwrap().len() - "\"\"".len()
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_filter_map("finite", Value::number),
        any::<String>().prop_map(|text| Value::from(text.as_str())),
        "[\"\\\\\u{1}\n\r\t,é]{0,40}".prop_map(|text| Value::from(text.as_str())),
    ];
    prop_oneof![
        3 => scalar.clone(),
        1 => prop::collection::vec(scalar, 0..8).prop_map(|list| Value::List(list.into())),
    ]
}

fn any_signals() -> impl Strategy<Value = Signals> {
    let path = prop_oneof![Just("Vehicle.Speed".to_owned()), "[a-z]{1,30}(\\.[A-Za-z0-9_-]{1,20}){0,3}"];
    let path = path.prop_map(|path| SignalPath::parse(&path).unwrap());
    prop::collection::btree_map(path, any_value(), 0..8)
}

proptest! {
    #[test]
    fn counted_bytes_are_those_of_the_payload(samples in prop::collection::vec(any_signals(), 0..5), text in any::<String>()) {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let samples: Vec<Sample> = samples.into_iter().map(|signals| Sample { at, signals }).collect();
        let telemetry = event(Body::Telemetry(Telemetry { samples: samples.into() }));
        prop_assert_eq!(event_bytes(&telemetry), payload_bytes(&event_json(&telemetry).unwrap()) + 1);
        prop_assert_eq!(escaped_bytes(&text), payload_bytes(&text));

        let data = RawValue::from_string(serde_json::to_string(&json!({"text": text})).unwrap()).unwrap();
        let custom = event(Body::Custom(Custom { event_type: "com.example.note.v1".parse().unwrap(), data }));
        prop_assert_eq!(event_bytes(&custom), payload_bytes(&event_json(&custom).unwrap()) + 1);
    }

    #[test]
    fn sample_takes_at_most_the_bounded_bytes(signals in any_signals()) {
        let row = json!({"at": Timestamp::from_ms(i64::MAX / 2), "signals": signals}).to_string();
        prop_assert!(payload_bytes(&row) < sample_bytes(&signals));
    }

    #[test]
    fn series_takes_at_most_the_bounded_bytes(signals in any_signals(), number in any::<f64>(), count in any::<u64>()) {
        for (path, last) in &signals {
            let series = json!({"last": last, "count": count, "min": number, "max": -number, "mean": f64::MIN_POSITIVE});
            let member = format!("{}:{series},", json!(path));
            prop_assert!(payload_bytes(&member) <= series_bytes(path, last), "{}", member);
        }
    }
}

#[test]
fn telemetry_larger_than_the_limit_of_json_is_a_block() {
    let at = Timestamp::from_ms(1_700_000_000_000);
    let signals: Signals = (0..64)
        .map(|n| (SignalPath::parse(&format!("acme.{n}.{}", "x".repeat(100))).unwrap(), Value::Number(1.5)))
        .collect();
    let samples = vec![Sample { at, signals }; 500];
    let wide = event(Body::Telemetry(Telemetry { samples: samples.into() }));
    let json = event_json(&wide).unwrap();
    assert!(serde_json::to_string(&wide.to_cloud_event()).unwrap().len() > 3_000_000);
    assert!(json.len() < 20_000 && event_bytes(&wide) < 20_000, "{}", json.len());
    assert_eq!(bus_entry::decode(&json).unwrap().events, [wide]);
}

#[test]
fn first_item_always_fits_and_nothing_fits_after_a_rejection() {
    let mut budget = ResponseBudget::new();
    assert!(budget.try_reserve(RESPONSE_BYTES * 2, 0));
    assert!(!budget.try_reserve(1, 0));
    let mut budget = ResponseBudget::new();
    assert!(budget.try_reserve(10, 0) && budget.try_reserve(RESPONSE_BYTES - 10, 0));
    assert!(!budget.try_reserve(1, 0));
    let mut budget = ResponseBudget::new();
    assert!(
        budget.try_reserve(10, 0) && !budget.try_reserve(RESPONSE_BYTES, 0) && !budget.try_reserve(1, 0),
        "otherwise a page could skip items"
    );
}

#[test]
fn page_ends_when_its_items_exceed_the_memory() {
    let mut budget = ResponseBudget::new();
    assert!(budget.try_reserve(1, HELD_BYTES * 2), "the first item always fits");
    assert!(!budget.try_reserve(1, 1));
    let mut budget = ResponseBudget::new();
    assert!(budget.try_reserve(1, HELD_BYTES - 1) && budget.try_reserve(1, 1) && budget.try_reserve(1, 0));
    assert!(!budget.try_reserve(1, 1));
}

#[test]
fn item_larger_than_a_response_is_an_error_only_at_the_start() {
    let mut budget = ResponseBudget::new();
    assert!(matches!(budget.reserve(RESPONSE_BYTES + 1, 0), Err(ServiceError::ResponseTooLarge)));
    assert!(budget.reserve(1, 0).unwrap());
    assert!(!budget.reserve(RESPONSE_BYTES + 1, 0).unwrap(), "the next page starts with it");
}
