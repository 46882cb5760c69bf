#![allow(clippy::unwrap_used)]

use super::*;
use crate::Catalogue;
use proptest::prelude::*;
use serde_json::json;

#[allow(clippy::needless_pass_by_value)]
fn check(path: &str, value: Json, expect: Result<Json, SignalRejection>) {
    let got = accept(path, &value).map(|(_, value)| serde_json::to_value(value).unwrap());
    assert_eq!(got, expect, "{path} {value}");
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
        if let Ok((path, once)) = accept(def.path, &v) {
            let (again, twice) = accept(path.as_str(), &serde_json::to_value(&once).unwrap()).unwrap();
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
        if let Ok((_, once)) = accept(def.path, &json!(end * (1.0 + offset * offset))) {
            let (_, twice) = accept(def.path, &serde_json::to_value(&once).unwrap()).unwrap();
            prop_assert!(twice.bits_eq(&once));
        }
    }

    #[test]
    fn numbers_of_unknown_paths_keep_their_bits(v in any_number()) {
        let (_, accepted) = accept("acme.level", &json!(v)).unwrap();
        prop_assert!(accepted.bits_eq(&Value::number(v).unwrap()));
    }
}
