//! Conditions.

mod bound;
mod read;

use std::collections::BTreeSet;

use roadcast_domain::diagnostic::DtcStatus;
use roadcast_signals::{POSITION, SignalDef, Value};
use serde::{Serialize, Serializer};

use super::{DtcPattern, Geofence, is_zero};

pub use bound::{Bound, Direction};

/// A condition about one vehicle: a test, and how long it must have held. At each time it holds, does not hold, or is unknown
/// because no sample has what it needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The test.
    #[serde(flatten)]
    pub test: Test,
    /// For how many seconds of event time the test must have held. The condition holds from the first sample at or after.
    #[serde(skip_serializing_if = "is_zero")]
    pub for_s: u32,
}

/// What a condition tests. A sample without what a test needs does not change its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// A number is above or below a limit.
    Threshold(Threshold),
    /// A signal has a value.
    Equals(Equals),
    /// A number changes faster or slower than a limit.
    Rate(Rate),
    /// The speed decreases faster than a limit.
    HarshBraking(Harsh),
    /// The speed increases faster than a limit.
    HarshAcceleration(Harsh),
    /// The latest diagnostic event has one of these trouble codes.
    Dtc(DtcTest),
    /// In the latest diagnostic event that states it, the malfunction indicator lamp is on.
    MilOn {},
    /// The vehicle enters, leaves or is within an area.
    Geofence(Geofence),
    /// Nothing was received about the vehicle for some time.
    NoData(NoData),
    /// All of these hold.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

/// The signal of tests of braking and acceleration.
pub(crate) const SPEED: &str = "Vehicle.Speed";

impl Condition {
    /// Adds the paths of the signals that the condition reads.
    fn add_signals(&self, paths: &mut BTreeSet<&'static str>) {
        match &self.test {
            Test::Threshold(test) => paths.extend([test.signal.path]),
            Test::Equals(test) => paths.extend([test.signal.path]),
            Test::Rate(test) => paths.extend([test.signal.path]),
            Test::HarshBraking(_) | Test::HarshAcceleration(_) => paths.extend([SPEED]),
            Test::Dtc(_) | Test::MilOn {} => {}
            Test::Geofence(_) => paths.extend(POSITION),
            Test::NoData(test) => paths.extend(test.signals.iter().map(|signal| signal.path)),
            Test::All(conditions) | Test::Any(conditions) => {
                for condition in conditions {
                    condition.add_signals(paths);
                }
            }
            Test::Not(condition) => condition.add_signals(paths),
        }
    }
}

/// A test of a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// The signal.
    #[serde(serialize_with = "serialize_signal")]
    pub signal: &'static SignalDef,
    /// The limit, in the unit of the signal.
    #[serde(flatten)]
    pub bound: Bound,
}

/// A test of a boolean, a text or a number for equality.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Equals {
    /// The signal.
    #[serde(serialize_with = "serialize_signal")]
    pub signal: &'static SignalDef,
    /// The value, of the type of the signal.
    pub value: Value,
}

/// A test of the rate of change of a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// The signal.
    #[serde(serialize_with = "serialize_signal")]
    pub signal: &'static SignalDef,
    /// The limit, in the unit of the signal per unit of time.
    #[serde(flatten)]
    pub bound: Bound,
    /// The unit of time.
    pub per: RateUnit,
    /// The time over which the rate is computed, in seconds.
    pub window_s: u32,
}

/// The unit of time of a rate.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RateUnit {
    /// Per second.
    Second,
    /// Per minute.
    Minute,
    /// Per hour.
    Hour,
}

impl RateUnit {
    /// Returns its milliseconds.
    pub const fn ms(self) -> f64 {
        match self {
            Self::Second => 1000.0,
            Self::Minute => 60.0 * 1000.0,
            Self::Hour => 60.0 * 60.0 * 1000.0,
        }
    }
}

/// A test of the acceleration between two consecutive readings of `Vehicle.Speed`, at most
/// [`SPEED_GAP_MS`](crate::limits::SPEED_GAP_MS) apart. Between readings that are further apart there is none.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Harsh {
    /// The limit of the absolute acceleration in m/s².
    #[serde(rename = "aboveMps2")]
    pub above_mps2: f64,
}

/// A test of trouble codes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DtcTest {
    /// Codes that match one of these.
    pub patterns: Vec<DtcPattern>,
    /// Codes with one of these statuses; with any status if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<DtcStatus>,
}

/// A test for silence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoData {
    /// After how many seconds without data it holds.
    pub after_s: u32,
    /// Samples count as data if they have one of these signals. If empty, all samples and diagnostic events do.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "serialize_signals")]
    pub signals: Vec<&'static SignalDef>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde requires
fn serialize_signal<S: Serializer>(signal: &&'static SignalDef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(signal.path)
}

fn serialize_signals<S: Serializer>(signals: &[&'static SignalDef], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(signals.iter().map(|signal| signal.path))
}
