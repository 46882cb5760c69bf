#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Catalogue, Sample, Signals};

const NAMES: [&str; 7] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.IsMoving",
    "Vehicle.Exterior.Weather",
    "Vehicle.OBD.DTCList",
    "acme.level",
    "acme.note",
];

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-900..900_i32).prop_map(|n| Value::number(f64::from(n) / 10.0).unwrap()),
        1 => any::<f64>().prop_filter_map("finite", Value::number),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => prop::sample::select(vec!["a", "b", ""]).prop_map(Value::from),
        1 => Just(Value::List([Value::from("P0301"), Value::from("b")].into())),
    ]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let signals = prop::collection::vec((prop::sample::select(NAMES.to_vec()), any_value()), 0..6);
    (-1000_i64..1000, signals).prop_map(|(ms, signals)| Sample {
        at: Timestamp::from_ms(1_793_000_000_000 + ms),
        signals: signals.into_iter().map(|(name, value)| (SignalPath::parse(name).unwrap(), value)).collect(),
    })
}

fn any_rows() -> impl Strategy<Value = Vec<Sample>> {
    // Most samples of a vehicle have the same signals.
    prop_oneof![
        prop::collection::vec(any_sample(), 0..12),
        (any_sample(), 0_usize..6).prop_map(|(sample, length)| vec![sample; length]),
    ]
}

fn columns(rows: &[Sample]) -> Samples {
    rows.to_vec().into()
}

/// Asserts what must hold for all samples.
fn check(samples: &Samples) -> Result<(), TestCaseError> {
    for column in samples.columns() {
        prop_assert!(!column.values.is_empty(), "{}", column.path);
        prop_assert_eq!(column.values.len(), column.presence.count(samples.len()));
        prop_assert!(!matches!(&column.presence, Presence::Some(flags) if !flags.contains(&false)));
    }
    prop_assert!(samples.columns().is_sorted_by(|a, b| order(&a.path, &b.path) == Ordering::Less));
    prop_assert_eq!(&columns(&samples.to_rows()), samples);
    Ok(())
}

proptest! {
    #[test]
    fn rows_round_trip_bit_for_bit(rows in any_rows()) {
        let samples = columns(&rows);
        check(&samples)?;
        let back = samples.to_rows();
        prop_assert_eq!(&back, &rows);
        let values = |rows: &[Sample]| rows.iter().flat_map(|row| row.signals.values().cloned()).collect::<Vec<_>>();
        prop_assert!(values(&back).iter().zip(values(&rows)).all(|(a, b)| a.bits_eq(&b)));
        for (row, sample) in rows.iter().enumerate() {
            prop_assert_eq!(samples.row(row), Some(sample.clone()));
        }
    }

    #[test]
    fn json_is_that_of_the_rows(rows in any_rows()) {
        let samples = columns(&rows);
        let json = serde_json::to_string(&samples).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&rows).unwrap());
        prop_assert_eq!(serde_json::from_str::<Samples>(&json).unwrap(), samples);
    }

    #[test]
    fn splitting_and_joining_restores_the_samples(parts in prop::collection::vec(any_rows(), 0..5)) {
        let all: Vec<Sample> = parts.concat();
        let joined = Samples::concat(&parts.iter().map(|rows| columns(rows)).collect::<Vec<_>>());
        check(&joined)?;
        prop_assert_eq!(&joined, &columns(&all));
        let split = joined.split(parts.iter().map(Vec::len));
        for (part, rows) in split.iter().zip(&parts) {
            check(part)?;
            prop_assert_eq!(&part.to_rows(), rows);
        }
        prop_assert_eq!(split.len(), parts.len());
    }

    #[test]
    fn removing_rows_columns_and_values_equals_removing_from_rows(rows in any_rows(), kept: [bool; 12], removed: [bool; 7]) {
        let samples = columns(&rows);
        let mut retained = samples.clone();
        retained.retain_rows(&kept[..rows.len()]);
        check(&retained)?;
        let expected: Vec<Sample> = rows.iter().zip(kept).filter(|(_, kept)| *kept).map(|(row, _)| row.clone()).collect();
        prop_assert_eq!(retained.to_rows(), expected);

        let is_removed = |path: &SignalPath| removed[NAMES.iter().position(|name| *name == path.as_str()).unwrap()];
        let selected = samples.select_columns(|path| !is_removed(path));
        check(&selected)?;
        let mut expected = rows.clone();
        for row in &mut expected {
            row.signals.retain(|path, _| !is_removed(path));
        }
        let with_signals: Vec<Sample> = expected.iter().filter(|row| !row.signals.is_empty()).cloned().collect();
        prop_assert_eq!(selected.to_rows(), with_signals);
        let mut reduced = samples.clone();
        reduced.retain_columns(|path| !is_removed(path));
        prop_assert_eq!(reduced, selected);

        let mut without = samples.clone();
        without.remove_values(|path, row| is_removed(path) && kept[row]);
        check(&without)?;
        let mut expected: Vec<Signals> = rows.iter().map(|row| row.signals.clone()).collect();
        for (row, signals) in expected.iter_mut().enumerate() {
            signals.retain(|path, _| !(is_removed(path) && kept[row]));
        }
        prop_assert_eq!(without.to_rows().into_iter().map(|row| row.signals).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn representation_does_not_affect_equality(points in prop::collection::vec(-50_i64..50, 1..6)) {
        let resolution = crate::Resolution::from_decimals(1).unwrap();
        let numbers: Vec<f64> = points.iter().map(|point| resolution.value(*point)).collect();
        let grid = Values::Grid { resolution, points };
        let any = Values::Any(numbers.iter().copied().map(Value::Number).collect());
        prop_assert_eq!(&grid, &Values::Numbers(numbers));
        prop_assert_eq!(&any, &grid);
        prop_assert_ne!(&grid, &Values::Bools(vec![true; grid.len()]));
    }
}

proptest! {
    #[test]
    fn column_of_a_signal_is_found_by_its_definition(rows in any_rows()) {
        let samples = columns(&rows);
        for name in NAMES {
            let Some(def) = Catalogue::get().by_path(name) else { continue };
            prop_assert_eq!(samples.column_of(def), samples.column(name));
        }
    }
}
