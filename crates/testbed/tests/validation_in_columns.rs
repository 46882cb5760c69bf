//! Validation in columns gives the result of the reference model, which validates row by row.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use roadcast_blocks::Block;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::event::{Body, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Refusal;
use roadcast_domain::schema::NoSchemas;
use roadcast_domain::validation::{EventData, ValidationOutcome, validate_event};
use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};
use roadcast_testbed::row_validation::{ValidatedRows, validate_rows};
use serde_json::value::RawValue;

const RECEIVED_MS: i64 = 1_767_268_800_000;

/// Signals of every kind: on a grid, whole, without a resolution, texts, lists, positions, outside the catalogue, and no paths.
const NAMES: [&str; 18] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.CurrentLocation.Altitude",
    "Vehicle.OBD.EngineLoad",
    "Vehicle.Powertrain.Transmission.SelectedGear",
    "Vehicle.TraveledDistanceHighRes",
    "Vehicle.OBD.O2WR.Sensor1.Lambda",
    "Vehicle.Powertrain.TractionBattery.CurrentPower",
    "Vehicle.IsMoving",
    "Vehicle.Exterior.Weather",
    "Vehicle.Tachograph.Driver.Driver1.WorkingState",
    "Vehicle.OBD.DTCList",
    "acme.level",
    "acme.note",
    "bad path",
    "\\u0061cme.level",
    "\\ud800",
];

/// Values, as a sender may write them.
fn any_value() -> impl Strategy<Value = String> {
    let written = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "25.0",
        "2.5e1",
        "48.25",
        "-12.3456789",
        "90.0000004",
        "100.00000298",
        "360",
        "400.01",
        "0.123456789",
        "12345678901234567890",
        "9007199254740993.0",
        "1e309",
        "1e-7",
        "123456789012345",
        "1234567890123456",
        "127",
        "128",
        "-1",
        "1.5",
        "true",
        "false",
        "null",
        "\"rain\"",
        "\"DRIVER_AVAILABLE\"",
        "\"a\\u0062\"",
        "\"\\ud800\"",
        "\"\\uffff\"",
        "\"\u{7f}é\"",
        "\"\"",
        "[\"P0301\"]",
        "[]",
        "[[1]]",
        "{\"a\":1}",
        "[1, 2]",
    ];
    prop_oneof![
        4 => (-2000_i64..2000, 0_u32..4).prop_map(|(n, decimals)| {
            let sign = if n < 0 { "-" } else { "" };
            let scale = 10_i64.pow(decimals);
            let (whole, rest) = (n.abs() / scale, n.abs() % scale);
            if decimals == 0 { n.to_string() } else { format!("{sign}{whole}.{rest:0width$}", width = decimals as usize) }
        }),
        1 => prop::sample::select(written.to_vec()).prop_map(str::to_owned),
    ]
}

fn any_time() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => (-300_000_i64..1000).prop_map(|ms| format!("\"{}\"", Timestamp::from_ms(RECEIVED_MS + ms))),
        2 => (-900_000_i64..900_000).prop_map(|ms| format!("\"{}\"", Timestamp::from_ms(RECEIVED_MS + ms))),
        1 => prop::sample::select(vec![
            "\"2026-01-01T12:59:00+01:00\"", "\"2026-01-01 11:59:00.1234Z\"", "\"1999-12-31T23:59:59Z\"", "\"yesterday\"", "7",
            "\"2016-12-31T23:59:60Z\"", "\"9999-12-31T23:59:59.999Z\"", "null", "\"2026-01-01T11:5\\u0039:00Z\"",
        ]).prop_map(str::to_owned),
    ]
}

/// The text of a sample: mostly of the usual form.
fn any_sample() -> impl Strategy<Value = String> {
    (any_time(), any_signals(), 0_u8..20).prop_map(|(at, signals, form)| {
        let members: Vec<String> = signals.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let signals = members.join(",");
        match form {
            0 => format!("{{\"signals\":{{{signals}}},\"at\":{at}}}"),
            1 => format!("{{ \"at\" : {at} ,\n\"signals\" : {{ {} }} }}", members.join(" ,\t")),
            2 => format!("{{\"at\":{at},\"signals\":{{{signals}}},\"more\":1}}"),
            3 => format!("{{\"at\":{at}}}"),
            4 => "[]".to_owned(),
            5 => format!("{{\"at\":{at},\"at\":{at},\"signals\":{{{signals}}}}}"),
            _ => format!("{{\"at\":{at},\"signals\":{{{signals}}}}}"),
        }
    })
}

/// Some names with values: mostly valid ones, each once.
fn any_signals() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let name = prop_oneof![8 => prop::sample::select(NAMES[..5].to_vec()), 1 => prop::sample::select(NAMES.to_vec())];
    prop::collection::vec((name, any_value()), 0..7)
}

fn any_data() -> impl Strategy<Value = String> {
    let samples = prop::collection::vec(any_sample(), 0..12);
    (samples, 0_u8..12).prop_map(|(samples, form)| {
        let samples = samples.join(",");
        match form {
            0 => format!("{{\"samples\":[{samples}],\"more\":[]}}"),
            1 => format!("{{\"samples\": [ {samples} ] }}"),
            2 => "{\"samples\":{}}".to_owned(),
            _ => format!("{{\"samples\":[{samples}]}}"),
        }
    })
}

fn vid() -> VehicleId {
    VehicleId::from_random_bits(7)
}

/// Asserts that the result of an event is that of the reference model.
fn check(
    outcome: Result<ValidationOutcome, Refusal>,
    expected: Result<ValidatedRows, Refusal>,
) -> Result<(), TestCaseError> {
    let (outcome, expected) = match (outcome, expected) {
        (Ok(outcome), Ok(expected)) => (outcome, expected),
        (outcome, expected) => {
            prop_assert_eq!(outcome.map(|_| ()), expected.map(|_| ()));
            return Ok(());
        }
    };
    let rows = match outcome.accepted.map(|stored| stored.event.body) {
        Some(Body::Telemetry(telemetry)) => telemetry.samples.to_rows(),
        _ => Vec::new(),
    };
    prop_assert_eq!(serde_json::to_string(&rows).unwrap(), serde_json::to_string(&expected.samples).unwrap());
    prop_assert_eq!(rows, expected.samples);
    prop_assert_eq!(outcome.quarantined, expected.quarantined);
    prop_assert_eq!(outcome.rejected, expected.rejected);
    prop_assert_eq!(outcome.sample_count, expected.sample_count);
    let time = expected.time.unwrap_or(Timestamp::from_ms(RECEIVED_MS));
    prop_assert_eq!(outcome.eid, Eid::for_event(&vid(), "urn:a", "1", time));
    Ok(())
}

fn event(data: &str) -> String {
    let time = Timestamp::from_ms(RECEIVED_MS);
    format!(
        r#"{{"specversion":"1.0","id":"1","source":"urn:a","type":"roadcast.telemetry.v1","time":"{time}","data":{data}}}"#
    )
}

fn validate(envelope: &Envelope<'_>, data: EventData<'_>) -> Result<ValidationOutcome, Refusal> {
    validate_event(envelope, data, &vid(), Timestamp::from_ms(RECEIVED_MS), &NoSchemas)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn json_has_the_result_of_the_reference_model(data in any_data()) {
        let json: &RawValue = serde_json::from_str(&data).unwrap();
        let expected = validate_rows(json, Timestamp::from_ms(RECEIVED_MS));
        let text = event(&data);
        let envelope = Envelope::parse(serde_json::from_str(&text).unwrap()).unwrap();
        check(validate(&envelope, json.into()), expected.clone())?;
        // Read in one pass with its envelope.
        if let Some(mut events) = Envelope::read_usual(&text) {
            let mut usual = events.remove(0);
            prop_assert_eq!(usual.json(), &text);
            prop_assert_eq!((&usual.id, &usual.source, usual.time), (&envelope.id, &envelope.source, envelope.time));
            let roadcast_domain::cloudevent::Data::Samples(samples) = usual.take_data() else {
                return Err(TestCaseError::fail("telemetry has samples"));
            };
            check(validate(&usual, EventData::Read(samples)), expected)?;
        }
    }

    #[test]
    fn block_has_the_result_of_the_reference_model_for_its_json(
        rows in prop::collection::vec((-900_000_i64..900_000, prop::collection::vec((0..NAMES.len() - 3, any_typed()), 0..6)), 0..12),
        is_recent: bool,
    ) {
        let samples: Vec<Sample> = rows
            .into_iter()
            .map(|(ms, signals)| {
                let ms = if is_recent { -ms.abs() / 4 } else { ms };
                let signals: Signals =
                    signals.into_iter().map(|(name, value)| (SignalPath::parse(NAMES[name]).unwrap(), value)).collect();
                Sample { at: Timestamp::from_ms(RECEIVED_MS + ms), signals }
            })
            .collect();
        let block = Block::decode(&Block::from_samples(&samples).unwrap().encode()).unwrap();
        let (_, columns) = block.into_parts();
        let json = serde_json::value::to_raw_value(&Telemetry { samples: columns.clone() }).unwrap();
        let text = event("{}");
        let envelope = Envelope::parse(serde_json::from_str(&text).unwrap()).unwrap();
        let expected = validate_rows(&json, Timestamp::from_ms(RECEIVED_MS));
        check(validate(&envelope, EventData::Samples(columns)), expected)?;
    }
}

/// Values that a block may contain, valid or not.
fn any_typed() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-40_000_i32..40_000).prop_map(|n| Value::Number(f64::from(n) / 10.0)),
        2 => prop::sample::select(vec![0.0, 1e17, -1e300, 0.123_456_789, 9_007_199_254_740_994.0, 100.000_002_98, 1e-7, 89.999_999_9])
            .prop_map(Value::Number),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => prop::sample::select(vec!["rain", "DRIVER_AVAILABLE", "", "\u{1}", "é"]).prop_map(Value::from),
        1 => prop::collection::vec(prop::sample::select(vec!["P0301", "x"]), 0..3)
            .prop_map(|texts| Value::List(texts.into_iter().map(Value::from).collect())),
    ]
}
