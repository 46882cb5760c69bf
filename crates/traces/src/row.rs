//! What a row of a recording says.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The vehicle that a recording is about, as its owner names it.
///
/// Schemes in use: `envirocar`, `capmetro`, `rsk-twizy`, `fms`, `sim`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleKey {
    /// Who names it.
    pub scheme: String,
    /// The name.
    pub value: String,
}

impl VehicleKey {
    pub(crate) fn new(scheme: &str, value: impl Into<String>) -> Self {
        Self { scheme: scheme.to_owned(), value: value.into() }
    }
}

/// `scheme:value`, the form in which a `CloudEvents` subject names a vehicle.
impl fmt::Display for VehicleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.value)
    }
}

/// What is known of a vehicle besides its readings.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The make, as its owner spells it.
    pub make: Option<String>,
    /// The model, as its owner spells it.
    pub model: Option<String>,
    /// The year of construction.
    pub model_year: Option<u16>,
    /// `gasoline`, `diesel` or `electric`.
    pub fuel_type: Option<String>,
    /// The vehicle identification number. Personal data.
    pub vin: Option<String>,
}

/// Without the VIN, which must not reach a log.
impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Details")
            .field("make", &self.make)
            .field("model", &self.model)
            .field("model_year", &self.model_year)
            .field("fuel_type", &self.fuel_type)
            .field("vin", &self.vin.as_ref().map(|_| "…"))
            .finish()
    }
}

/// One row of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A sample.
    Sample(RecordedSample),
    /// A row that cannot be said as a sample.
    Refused {
        /// The line in the unpacked file, from 1.
        line: u64,
        /// Why.
        reason: Inexpressible,
    },
}

/// A sample as its row has it: units converted, nothing rounded, nothing judged.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSample {
    /// The vehicle.
    pub vehicle: VehicleKey,
    /// The line in the unpacked file, from 1.
    pub line: u64,
    /// RFC 3339. Text that is no date (`2032-90-02T11:16:04`) is passed on as it is.
    pub at: String,
    /// The same in milliseconds since 1970, or nothing where `at` is no date.
    pub at_ms: Option<i64>,
    /// Path → value, in the unit of the catalogue.
    pub signals: Map<String, Value>,
}

impl RecordedSample {
    /// The sample as telemetry data holds it: `{"at": …, "signals": {…}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"at": self.at, "signals": self.signals})
    }
}

/// Why a row cannot be said as a sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inexpressible {
    /// Bytes that are no UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// A line beyond the 256 KiB that a row may take.
    #[error("the line is longer than 256 KiB")]
    LineTooLong,
    /// A line of NDJSON that is no JSON object.
    #[error("the line is no JSON object")]
    NotJson,
    /// More or fewer cells than the header has columns.
    #[error("the line has {found} cells where the header has {expected}")]
    CellCount {
        /// Columns of the header.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// A field that every row needs is missing, empty or of the wrong type.
    #[error("`{0}` is missing, empty or of the wrong type")]
    BadField(&'static str),
    /// A reading that should be a number and is none, or one that JSON cannot hold (NaN, infinity).
    #[error("`{0}` is no number")]
    NotANumber(String),
    /// The row measures nothing.
    #[error("the row holds no reading")]
    NoSignals,
    /// The row is a command to the vehicle and not a reading of it.
    #[error("the row is no reading but a `{0}` value")]
    NotAReading(String),
    /// The unit of a reading depends on the year of the row, which cannot be told.
    #[error("the unit of `speed` depends on the year, and `timestamp` has none")]
    UnitUnknown,
    /// No row of the vehicle has a valid time, so no event about it could have one.
    #[error("no time is known for the vehicle")]
    NoValidTime,
}

impl Inexpressible {
    /// A stable name to count by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::LineTooLong => "line_too_long",
            Self::NotJson => "not_json",
            Self::CellCount { .. } => "cell_count",
            Self::BadField(_) => "bad_field",
            Self::NotANumber(_) => "not_a_number",
            Self::NoSignals => "no_signals",
            Self::NotAReading(_) => "not_a_reading",
            Self::UnitUnknown => "unit_unknown",
            Self::NoValidTime => "no_valid_time",
        }
    }
}
