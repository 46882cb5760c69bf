//! What goes wrong on the way from a sensor to the service.

use rand::RngExt;
use serde_json::Value;

use crate::capmetro::SPEED;
use crate::envirocar::{LATITUDE, LONGITUDE};
use crate::row::RecordedSample;

/// How often things go wrong, each from 0 (never) to 1 (always); what lies outside counts as the nearer end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// For each upload: that it is sent a second time, up to 30 s later.
    pub duplicates: f64,
    /// For each upload: that it arrives 5 to 120 s late, after others of its vehicle.
    pub reorder: f64,
    /// For each vehicle: that its clock is wrong by up to 10 minutes, either way.
    pub clock_skew: f64,
    /// For each sample: that it and those of the next 10 to 120 s are lost.
    pub gaps: f64,
    /// For each sample: that a reading of it or its time is nonsense.
    pub nonsense: f64,
}

impl Faults {
    /// A bad day: everything goes wrong often enough to be met within minutes.
    pub fn bad_day() -> Self {
        Self { duplicates: 0.05, reorder: 0.05, clock_skew: 0.1, gaps: 0.002, nonsense: 0.01 }
    }
}

/// Whether something happens that does so with this probability.
pub(super) fn happens(probability: f64, rng: &mut impl RngExt) -> bool {
    // NaN compares false both times, and is never.
    probability > 0.0 && (probability >= 1.0 || rng.random_bool(probability))
}

/// Spoils a sample in one of the ways in which recorded ones are spoilt.
pub(super) fn spoil(sample: &mut RecordedSample, rng: &mut impl RngExt) {
    let mut put = |path: &str, value: Value| sample.signals.insert(path.to_owned(), value);
    match rng.random_range(0..8) {
        0 => drop(put(SPEED, 5_000.0.into())),
        1 => drop(put(SPEED, "fast".into())),
        // The speed that a bus of Austin shows while its GPS has no fix.
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
