#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::*;
use crate::event::{Body, TraceEvent};
use crate::paths::tests::catalogue_paths;
use crate::paths::{LATITUDE, LONGITUDE, SPEED};
use crate::row::RecordedSample;

const HOUR_MS: i64 = 3_600_000;

fn config(vehicles: usize, faults: Faults) -> SimConfig {
    SimConfig { seed: 42, vehicles, faults, ..SimConfig::default() }
}

fn uploads(config: &SimConfig, for_ms: i64) -> Vec<Upload> {
    Simulator::new(config).next_uploads(config.start_ms + for_ms)
}

fn samples(uploads: &[Upload]) -> Vec<&RecordedSample> {
    uploads.iter().flat_map(|upload| &upload.events).flat_map(TraceEvent::samples).collect()
}

fn number(sample: &RecordedSample, path: &str) -> f64 {
    sample.signals[path].as_f64().unwrap()
}

#[test]
fn same_seed_produces_same_uploads_for_any_call_sequence() {
    let config = config(4, Faults::frequent());
    let in_one_call = uploads(&config, HOUR_MS / 2);
    let mut simulator = Simulator::new(&config);
    let mut in_several_calls = Vec::new();
    for until_ms in (0..=HOUR_MS / 2).step_by(7_200) {
        in_several_calls.extend(simulator.next_uploads(config.start_ms + until_ms));
    }
    assert!(!in_one_call.is_empty());
    assert_eq!(in_one_call, in_several_calls);
    let other = SimConfig { seed: 43, ..config };
    assert_ne!(in_one_call, uploads(&other, HOUR_MS / 2));
}

#[test]
fn upload_has_ten_samples_one_second_apart() {
    let config = config(3, Faults::default());
    let uploads = uploads(&config, 60_000);
    for upload in &uploads {
        assert_eq!(upload.samples, 10);
        let samples = samples(std::slice::from_ref(upload));
        let times: Vec<i64> = samples.iter().map(|sample| sample.at_ms.unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1000));
        assert!(samples.iter().all(|sample| sample.vehicle == upload.vehicle));
    }
    assert_eq!(uploads.len(), 3 * 6);
}

#[test]
fn every_path_is_in_the_catalogue() {
    let catalogue = catalogue_paths();
    let uploads = uploads(&config(2, Faults::frequent()), HOUR_MS);
    for sample in samples(&uploads) {
        for path in sample.signals.keys() {
            assert!(catalogue.contains(path), "{path}");
        }
    }
}

#[test]
fn simulated_drive_is_physically_plausible() {
    let uploads = uploads(&config(6, Faults::default()), HOUR_MS);
    let mut by_vehicle: BTreeMap<&VehicleKey, Vec<&RecordedSample>> = BTreeMap::new();
    for sample in samples(&uploads) {
        by_vehicle.entry(&sample.vehicle).or_default().push(sample);
    }
    for samples in by_vehicle.values() {
        let top = samples.iter().map(|sample| number(sample, SPEED)).fold(0.0, f64::max);
        assert!((25.0..90.0).contains(&top), "top speed {top}");
        assert!(samples.iter().any(|sample| number(sample, SPEED) == 0.0), "never stops");
        for pair in samples.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let apart_s = (b.at_ms.unwrap() - a.at_ms.unwrap()) / 1000;
            let metres = number(b, vehicle::ODOMETER) - number(a, vehicle::ODOMETER);
            assert!((0.0..=30.0).contains(&metres), "{metres} m");
            if apart_s == 1 {
                let change = number(b, SPEED) - number(a, SPEED);
                assert!((-30.0..=8.0).contains(&change), "{change} km/h in a second");
                let north = (number(b, LATITUDE) - number(a, LATITUDE)) * 111_320.0;
                let east =
                    (number(b, LONGITUDE) - number(a, LONGITUDE)) * 111_320.0 * number(a, LATITUDE).to_radians().cos();
                assert!((north.hypot(east) - metres).abs() < 6.0, "odometer and position disagree");
            }
        }
        let (first, last) = (samples[0], samples[samples.len() - 1]);
        if first.signals.contains_key(powertrain::CHARGE) {
            assert!(number(first, powertrain::CHARGE) > number(last, powertrain::CHARGE));
        } else {
            assert!(number(first, powertrain::COOLANT) < 30.0);
            assert!(number(last, powertrain::COOLANT) > 75.0, "still cold");
            assert!(number(first, powertrain::FUEL_LEVEL) >= number(last, powertrain::FUEL_LEVEL));
        }
    }
}

#[test]
fn faults_are_reported_and_cleared_again() {
    let uploads = uploads(&config(6, Faults::default()), 2 * HOUR_MS);
    let diagnostics: Vec<_> = uploads
        .iter()
        .flat_map(|upload| &upload.events)
        .filter_map(|event| match &event.body {
            Body::Diagnostic(diagnostic) => Some(diagnostic),
            Body::Telemetry(_) => None,
        })
        .collect();
    assert!(diagnostics.iter().any(|diagnostic| diagnostic.mil));
    assert!(diagnostics.iter().any(|diagnostic| diagnostic.dtcs.is_empty() && !diagnostic.mil));
}

#[test]
fn ids_repeat_only_with_the_duplicates_fault() {
    let sent_twice = |faults| {
        let uploads = uploads(&config(3, faults), HOUR_MS / 4);
        let mut contents: HashMap<String, Value> = HashMap::new();
        let mut twice = 0;
        for event in uploads.iter().flat_map(|upload| &upload.events) {
            let content = event.to_cloud_event(None);
            if let Some(first) = contents.insert(event.id.clone(), content.clone()) {
                assert_eq!(first, content, "two events have the same id");
                twice += 1;
            }
        }
        twice
    };
    assert_eq!(sent_twice(Faults::default()), 0);
    assert!(sent_twice(Faults { duplicates: 0.5, ..Faults::default() }) > 10);
}

#[test]
fn each_fault_has_an_effect() {
    let normal = uploads(&config(3, Faults::default()), HOUR_MS / 4);
    let in_order = |uploads: &[Upload]| {
        let mut last: HashMap<VehicleKey, i64> = HashMap::new();
        uploads.iter().all(|upload| {
            let at_ms = samples(std::slice::from_ref(upload))[0].at_ms.unwrap();
            last.insert(upload.vehicle.clone(), at_ms).is_none_or(|before| before < at_ms)
        })
    };
    assert!(in_order(&normal));
    let reordered = uploads(&config(3, Faults { reorder: 0.3, ..Faults::default() }), HOUR_MS / 4);
    assert!(!in_order(&reordered));

    let gappy = uploads(&config(3, Faults { gaps: 0.01, ..Faults::default() }), HOUR_MS / 4);
    assert!(samples(&gappy).len() < samples(&normal).len() * 9 / 10);

    let config = config(3, Faults { clock_skew: 1.0, ..Faults::default() });
    let first_times: HashSet<i64> = uploads(&config, 60_000)
        .iter()
        .map(|upload| (samples(std::slice::from_ref(upload))[0].at_ms.unwrap() - config.start_ms) / 60_000)
        .collect();
    assert!(first_times.iter().any(|minutes| *minutes != 0), "no clock is wrong");

    let nonsense = uploads(&self::config(3, Faults { nonsense: 0.2, ..Faults::default() }), HOUR_MS / 4);
    let corrupted = samples(&nonsense);
    assert!(corrupted.iter().any(|sample| sample.at_ms.is_none()));
    assert!(corrupted.iter().any(|sample| sample.signals[SPEED].is_string()));
    assert!(corrupted.iter().any(|sample| sample.signals[LATITUDE] == 0.0));
}

#[test]
fn probabilities_outside_their_range_are_accepted() {
    let faults =
        Faults { duplicates: 7.0, reorder: -1.0, clock_skew: f64::NAN, gaps: f64::NEG_INFINITY, nonsense: f64::INFINITY };
    assert!(!uploads(&config(1, faults), 60_000).is_empty());
}
