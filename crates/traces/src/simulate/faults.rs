//! Simulated faults between a sensor and the service.

use rand::RngExt;
use serde_json::Value;

use crate::paths::{LATITUDE, LONGITUDE, SPEED};
use crate::row::RecordedSample;

/// The probability of each fault, from 0 (never) to 1 (always). Values outside are clamped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Per upload: it is sent a second time, up to 30 s later.
    pub duplicates: f64,
    /// Per upload: it arrives 5 to 120 s late, after others of its vehicle.
    pub reorder: f64,
    /// Per vehicle: its clock is fast or slow by up to 10 minutes.
    pub clock_skew: f64,
    /// Per sample: it and those of the next 10 to 120 s are lost.
    pub gaps: f64,
    /// Per sample: one of its values or its time is invalid.
    pub nonsense: f64,
}

impl Faults {
    /// Returns probabilities at which every fault occurs within minutes.
    pub fn frequent() -> Self {
        Self { duplicates: 0.05, reorder: 0.05, clock_skew: 0.1, gaps: 0.002, nonsense: 0.01 }
    }
}

/// Returns `true` with this probability.
pub(super) fn occurs(probability: f64, rng: &mut impl RngExt) -> bool {
    // NaN compares false in both comparisons, so it never occurs.
    probability > 0.0 && (probability >= 1.0 || rng.random_bool(probability))
}

/// Corrupts a sample in one of the ways that occur in recordings.
pub(super) fn corrupt(sample: &mut RecordedSample, rng: &mut impl RngExt) {
    let mut put = |path: &str, value: Value| sample.signals.insert(path.to_owned(), value);
    match rng.random_range(0..8) {
        0 => drop(put(SPEED, 5_000.0.into())),
        1 => drop(put(SPEED, "fast".into())),
        // The speed that a bus in Austin reports while its GPS has no fix.
        2 => drop(put(SPEED, 410.382_72.into())),
        3 => {
            put(LATITUDE, 0.0.into());
            put(LONGITUDE, 0.0.into());
        }
        4 => drop(put(LATITUDE, 123.4.into())),
        5 => {
            "02/00/2090".clone_into(&mut sample.at);
            sample.at_ms = None;
        }
        6 => {
            "1970-01-01T00:00:00.000Z".clone_into(&mut sample.at);
            sample.at_ms = Some(0);
        }
        _ => {
            "2090-01-01T00:00:00.000Z".clone_into(&mut sample.at);
            sample.at_ms = Some(3_786_912_000_000);
        }
    }
}
