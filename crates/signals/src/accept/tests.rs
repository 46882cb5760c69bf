#![allow(clippy::unwrap_used)]

use super::*;
use crate::Catalogue;
use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::json;
use serde_json::value::to_raw_value;

fn accept_json(path: &str, value: &Json) -> Result<(SignalPath, Value), SignalRejection> {
    accept(path, &to_raw_value(value).unwrap())
}

#[allow(clippy::needless_pass_by_value)]
fn check(path: &str, value: Json, expect: Result<Json, SignalRejection>) {
    let got = accept_json(path, &value).map(|(_, value)| serde_json::to_value(value).unwrap());
    assert_eq!(got, expect, "{path} {value}");
}

/// Checks values as they are written, which a parsed number does not show.
fn check_written(path: &str, texts: &[&str], expect: Result<f64, SignalRejection>) {
    for text in texts {
        let got = accept(path, serde_json::from_str(text).unwrap()).map(|(_, value)| value.as_number().unwrap());
        assert_eq!(got, expect, "{path} {text}");
    }
}

#[test]
fn readings_are_rounded_to_their_resolution() {
    check("Vehicle.Speed", json!(45.360_465_109_348_3), Ok(json!(45.4)));
    check("Vehicle.OBD.EngineSpeed", json!(2_052.635_542), Ok(json!(2053)));
    check("Vehicle.CurrentLocation.Latitude", json!(53.312_050_758_866_25), Ok(json!(53.312_051)));
    check("Vehicle.CurrentLocation.Altitude", json!(39.04), Ok(json!(39)));
    check("Vehicle.OBD.MAF", json!(6.639_304), Ok(json!(6.64)));
    check("Vehicle.OBD.MAP", json!(21.999_999), Ok(json!(22)));
    check("Vehicle.OBD.FuelRate", json!(2.182_486), Ok(json!(2.18)));
    check("Vehicle.Powertrain.TractionBattery.StateOfCharge.Current", json!(87.543), Ok(json!(87.54)));
    check("Vehicle.Powertrain.Transmission.TravelledDistance", json!(12.345_6), Ok(json!(12.346)));
    check("Vehicle.CurrentLocation.HorizontalDilution", json!(0.900_000_026), Ok(json!(0.9)));
    check("Vehicle.OBD.O2WR.Sensor1.Lambda", json!(0.123_456_789), Ok(json!(0.123_456_789)));
    check("Vehicle.Speed", json!(-0.01), Ok(json!(0)));
}

#[test]
fn range_is_checked_before_rounding() {
    check("Vehicle.CurrentLocation.Latitude", json!(90), Ok(json!(90)));
    check("Vehicle.CurrentLocation.Latitude", json!(90.000_000_4), Err(SignalRejection::OutOfRange));
    check("Vehicle.CurrentLocation.Longitude", json!(-180.1), Err(SignalRejection::OutOfRange));
    check("Vehicle.CurrentLocation.Heading", json!(360), Ok(json!(360)));
    check("Vehicle.CurrentLocation.Heading", json!(507.8), Err(SignalRejection::OutOfRange));
    check("Vehicle.Powertrain.CombustionEngine.Speed", json!(20_000.4), Err(SignalRejection::OutOfRange));
}

#[test]
fn speed_of_255_mph_is_out_of_range() {
    for path in ["Vehicle.Speed", "Vehicle.CurrentLocation.Speed"] {
        check(path, json!(113.9952 * 3.6), Err(SignalRejection::OutOfRange));
        check(path, json!(400), Ok(json!(400)));
        check(path, json!(-250), Ok(json!(-250)));
    }
}

#[test]
fn floats_are_compared_in_single_precision() {
    check("Vehicle.OBD.EngineLoad", json!(100.000_002_980_232_24), Ok(json!(100)));
    check("Vehicle.OBD.EngineLoad", json!(100.001), Err(SignalRejection::OutOfRange));
    check("Vehicle.OBD.EngineLoad", json!(1e300), Err(SignalRejection::OutOfRange));
}

#[test]
fn integers_have_no_fraction_and_fit_their_type() {
    check("Vehicle.Powertrain.Transmission.SelectedGear", json!(-1), Ok(json!(-1)));
    check("Vehicle.Powertrain.Transmission.SelectedGear", json!(127.0), Ok(json!(127)));
    check("Vehicle.Powertrain.Transmission.SelectedGear", json!(128), Err(SignalRejection::OutOfRange));
    check("Vehicle.Powertrain.Transmission.SelectedGear", json!(1.5), Err(SignalRejection::WrongType));
    check("Vehicle.CurrentOverallWeight", json!(-1), Err(SignalRejection::OutOfRange));
    check("Vehicle.Exterior.TrafficLevel", json!(3), Err(SignalRejection::OutOfRange));
}

#[test]
fn integers_beyond_the_exact_range_are_refused() {
    let path = "Vehicle.TraveledDistanceHighRes";
    check(path, json!(54_054_555), Ok(json!(54_054_555)));
    check(path, json!(9_007_199_254_740_991_u64), Ok(json!(9_007_199_254_740_991_u64)));
    check(path, json!(9_007_199_254_740_993_u64), Err(SignalRejection::NotExact));
    check(path, json!(1e17), Err(SignalRejection::NotExact));
    check("acme.counter", json!(u64::MAX), Err(SignalRejection::NotExact));
    check("acme.counter", json!(i64::MIN), Err(SignalRejection::NotExact));
}

#[test]
fn number_without_fraction_or_exponent_keeps_its_last_digit() {
    let large = ["12345678901234567890", "-12345678901234567890123", "9007199254740993", "100000000000000000000000"];
    for path in ["acme.counter", "Vehicle.Speed", "Vehicle.TraveledDistanceHighRes"] {
        check_written(path, &large, Err(SignalRejection::NotExact));
    }
    check_written("acme.big", &["1e17", "1.0e17", "100000000000000000.0"], Ok(1e17));
    check_written("acme.big", &["1.7e308"], Ok(1.7e308));
}

#[test]
fn integer_signal_is_exact_in_any_notation() {
    let path = "Vehicle.TraveledDistanceHighRes";
    check_written(path, &["25", "25.0", "2.5e1", "250e-1"], Ok(25.0));
    check_written(path, &["9007199254740992", "9.007199254740992e15"], Ok(9_007_199_254_740_992.0));
    check_written(path, &["9007199254740993.0", "9.007199254740993e15", "1e17"], Err(SignalRejection::NotExact));
    check_written(path, &["4503599627370496.5", "1.00000000000000000001", "1e-400"], Err(SignalRejection::WrongType));
    check_written(path, &["1e20", "1e400", "-1"], Err(SignalRejection::OutOfRange));
}

#[test]
fn number_beyond_its_datatype_is_out_of_range() {
    let float = "Vehicle.Powertrain.TractionBattery.CurrentPower";
    assert_eq!(
        Catalogue::get().by_path(float).map(|def| (def.datatype, def.min, def.max)),
        Some((Datatype::Float, None, None))
    );
    check_written(float, &["3.4028234663852886e38"], Ok(f64::from(f32::MAX)));
    check_written(float, &["1e300", "-1e300", "3.5e38", "1e309"], Err(SignalRejection::OutOfRange));
    check_written("acme.x", &["1e309", "-1e309", "1e99999999999999999999"], Err(SignalRejection::OutOfRange));
    check_written("Vehicle.Speed", &["1e309"], Err(SignalRejection::OutOfRange));
}

#[test]
fn entries_of_lists_fit_their_datatype() {
    for def in Catalogue::get().iter().filter(|def| def.is_array && def.datatype.is_numeric()) {
        let accepted = accept(def.path, serde_json::from_str("[1, 1e309]").unwrap());
        assert_eq!(accepted, Err(SignalRejection::OutOfRange), "{}", def.path);
        let accepted = accept(def.path, serde_json::from_str("[1, 12345678901234567890]").unwrap());
        assert_eq!(accepted, Err(SignalRejection::NotExact), "{}", def.path);
    }
}

#[test]
fn texts_that_no_queue_can_carry_are_rejected() {
    for text in [r#""\uffff""#, "\"\u{ffff}\"", r#""\ufffe""#, r#""\u0000""#, r#""\u001b[0m""#, r#""\ud83d""#, r#""\ufdd0""#]
    {
        for path in ["acme.note", "Vehicle.Exterior.Weather"] {
            let accepted = accept(path, serde_json::from_str(text).unwrap());
            assert_eq!(accepted, Err(SignalRejection::BadText), "{path} {text}");
        }
        let list = format!("[\"P0301\", {text}]");
        let accepted = accept("Vehicle.OBD.DTCList", serde_json::from_str(&list).unwrap());
        assert_eq!(accepted, Err(SignalRejection::BadText), "{list}");
    }
    check("acme.note", json!("line\r\n\ttab \u{fffd} 😀"), Ok(json!("line\r\n\ttab \u{fffd} 😀")));
}

#[test]
fn json_type_must_match_the_datatype() {
    for value in [json!(null), json!("45"), json!(true), json!([45]), json!({"v": 45})] {
        check("Vehicle.Speed", value, Err(SignalRejection::WrongType));
    }
    for value in [json!(null), json!(1), json!("true")] {
        check("Vehicle.IsMoving", value, Err(SignalRejection::WrongType));
    }
    check("Vehicle.IsMoving", json!(true), Ok(json!(true)));
    check("Vehicle.Exterior.Weather", json!(3), Err(SignalRejection::WrongType));
}

#[test]
fn texts_must_be_allowed_and_within_the_limit() {
    let path = "Vehicle.Tachograph.Driver.Driver1.WorkingState";
    check(path, json!("DRIVER_AVAILABLE"), Ok(json!("DRIVER_AVAILABLE")));
    check(path, json!("drive"), Err(SignalRejection::NotAllowed));
    check("Vehicle.Exterior.Weather", json!("x".repeat(1024)), Ok(json!("x".repeat(1024))));
    check("Vehicle.Exterior.Weather", json!("x".repeat(1025)), Err(SignalRejection::TooLong));
    check("acme.note", json!("x".repeat(1025)), Err(SignalRejection::TooLong));
}

#[test]
fn lists_contain_scalars_of_their_type() {
    check("Vehicle.OBD.DTCList", json!(["P0301", "P0420"]), Ok(json!(["P0301", "P0420"])));
    check("Vehicle.OBD.DTCList", json!([]), Ok(json!([])));
    check("Vehicle.OBD.DTCList", json!("P0301"), Err(SignalRejection::WrongType));
    check("Vehicle.OBD.DTCList", json!(["P0301", 7]), Err(SignalRejection::WrongType));
    check("Vehicle.OBD.DTCList", json!([["P0301"]]), Err(SignalRejection::WrongType));
    check("Vehicle.OBD.PidsA", json!(["01", "99"]), Err(SignalRejection::NotAllowed));
    check("Vehicle.OBD.DTCList", json!(vec!["P0301"; 64]), Ok(json!(vec!["P0301"; 64])));
    check("Vehicle.OBD.DTCList", json!(vec!["P0301"; 65]), Err(SignalRejection::TooLong));
}

#[test]
fn texts_of_a_list_have_at_most_8_kib_together() {
    let list = |bytes: usize| json!((0..8).map(|_| "x".repeat(1000)).chain(["x".repeat(bytes)]).collect::<Vec<_>>());
    check("Vehicle.OBD.DTCList", list(192), Ok(list(192)));
    check("Vehicle.OBD.DTCList", list(193), Err(SignalRejection::TooLong));
    check("Vehicle.OBD.DTCList", json!(vec!["x".repeat(128); 64]), Ok(json!(vec!["x".repeat(128); 64])));
    check("Vehicle.OBD.DTCList", json!(vec!["x".repeat(1024); 64]), Err(SignalRejection::TooLong));
}

#[test]
fn scalars_of_unknown_paths_remain_exact() {
    check("acme.door-3.open", json!(true), Ok(json!(true)));
    check("acme.level", json!(0.1 + 0.2), Ok(json!(0.1 + 0.2)));
    check("acme.note", json!("anything"), Ok(json!("anything")));
    for value in [json!(null), json!([1]), json!({})] {
        check("acme.note", value, Err(SignalRejection::WrongType));
    }
    check("not a path", json!(1), Err(SignalRejection::BadPath));
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![-1000.0..1000.0_f64, -1e7..1e7_f64, any::<f64>().prop_filter("finite", |v| v.is_finite())]
}

proptest! {
    #[test]
    fn accepting_is_idempotent(number in 1..=Catalogue::get().version(), v in any_number(), whole: bool) {
        let def = Catalogue::get().by_number(number).unwrap();
        let v = if whole { v.trunc() } else { v };
        let v = if def.is_array { json!([v, v / 2.0]) } else { json!(v) };
        if let Ok((path, once)) = accept_json(def.path, &v) {
            let (again, twice) = accept_json(path.as_str(), &serde_json::to_value(&once).unwrap()).unwrap();
            prop_assert_eq!(again, path);
            prop_assert!(twice.bits_eq(&once), "{} {:?} {:?}", def.path, once, twice);
        }
    }

    #[test]
    fn accepting_is_idempotent_near_the_ends_of_ranges(
        number in 1..=Catalogue::get().version(), upper: bool, offset in -2e-4..2e-4_f64,
    ) {
        let def = Catalogue::get().by_number(number).unwrap();
        let end = if upper { def.max } else { def.min }.unwrap_or(0.0);
        if let Ok((_, once)) = accept_json(def.path, &json!(end * (1.0 + offset * offset))) {
            let (_, twice) = accept_json(def.path, &serde_json::to_value(&once).unwrap()).unwrap();
            prop_assert!(twice.bits_eq(&once));
        }
    }

    #[test]
    fn numbers_of_unknown_paths_keep_their_bits(v in any_number()) {
        let (_, accepted) = accept_json("acme.level", &json!(v)).unwrap();
        prop_assert!(accepted.bits_eq(&Value::number(v).unwrap()));
    }

    /// Whatever a sender writes, a stored number is finite and within its datatype, and reads back bit for bit.
    #[test]
    fn accepted_numbers_are_finite_and_fit_their_datatype(
        number in 1..=Catalogue::get().version(), text in "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let def = Catalogue::get().by_number(number).unwrap();
        if let Ok((_, Value::Number(v))) = accept(def.path, serde_json::from_str(&text).unwrap()) {
            prop_assert!(v.is_finite() && def.contains(v), "{} {text}", def.path);
            let (_, again) = accept_json(def.path, &json!(Value::Number(v))).unwrap();
            prop_assert!(again.bits_eq(&Value::Number(v)), "{} {text}", def.path);
        }
    }

    #[test]
    fn accepted_texts_are_without_forbidden_characters(text: String) {
        let accepted = accept_json("acme.note", &json!(text));
        prop_assert_eq!(accepted.is_err(), text.len() > MAX_TEXT_BYTES || has_forbidden_character(&text));
    }
}
