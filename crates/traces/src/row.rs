//! The contents of a row of a recording.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The vehicle of a recording, by the name that its source uses.
///
/// Schemes in use: `envirocar`, `capmetro`, `rsk-twizy`, `fms`, `sim`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleKey {
    /// The naming scheme.
    pub scheme: String,
    /// The name in the scheme.
    pub value: String,
}

impl VehicleKey {
    pub(crate) fn new(scheme: &str, value: impl Into<String>) -> Self {
        Self { scheme: scheme.to_owned(), value: value.into() }
    }
}

/// Writes `scheme:value`, the form of a vehicle in a `CloudEvents` subject.
impl fmt::Display for VehicleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.value)
    }
}

/// Master data of a vehicle, where a recording has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VehicleDetails {
    /// The make, as the source spells it.
    pub make: Option<String>,
    /// The model, as the source spells it.
    pub model: Option<String>,
    /// The year of construction.
    pub model_year: Option<u16>,
    /// `gasoline`, `diesel` or `electric`.
    pub fuel_type: Option<String>,
    /// The vehicle identification number. Personal data.
    pub vin: Option<String>,
}

/// Omits the VIN, which must not be logged.
impl fmt::Debug for VehicleDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VehicleDetails")
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
    /// A row that cannot be represented as a sample.
    Refused {
        /// The line number in the decompressed file, from 1.
        line: u64,
        /// The reason.
        reason: RowRefusal,
    },
}

/// A sample as in its row: units are converted, values are neither rounded nor validated.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSample {
    /// The vehicle.
    pub vehicle: VehicleKey,
    /// The line number in the decompressed file, from 1.
    pub line: u64,
    /// The time in RFC 3339. A text that is not a date (`2032-90-02T11:16:04`) is passed on unchanged.
    pub at: String,
    /// The same time in milliseconds since 1970, or `None` if `at` is not a date.
    pub at_ms: Option<i64>,
    /// The values by path, in the units of the catalogue.
    pub signals: Map<String, Value>,
}

impl RecordedSample {
    /// Returns the sample as in telemetry data: `{"at": …, "signals": {…}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"at": self.at, "signals": self.signals})
    }

    /// Returns the same as [`to_json`](Self::to_json), to be written without a copy.
    pub fn as_telemetry(&self) -> impl Serialize {
        TelemetrySample { at: &self.at, signals: &self.signals }
    }
}

#[derive(Serialize)]
struct TelemetrySample<'s> {
    at: &'s str,
    signals: &'s Map<String, Value>,
}

/// Why a row cannot be represented as a sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowRefusal {
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// The line exceeds the limit of 256 KiB.
    #[error("the line is longer than 256 KiB")]
    LineTooLong,
    /// A line of NDJSON is not a JSON object.
    #[error("the line is not a JSON object")]
    NotJson,
    /// The number of cells differs from the number of columns in the header.
    #[error("the line has {found} cells, but the header has {expected}")]
    CellCount {
        /// Number of columns in the header.
        expected: usize,
        /// Number of cells in the row.
        found: usize,
    },
    /// A quote is never closed.
    #[error("a quote is never closed")]
    OpenQuote,
    /// A required field is missing, empty or of the wrong type.
    #[error("`{0}` is missing, empty or of the wrong type")]
    BadField(&'static str),
    /// A value is not a number, or a number that JSON cannot represent (NaN, infinity).
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// The row has no measured value.
    #[error("the row has no measured value")]
    NoSignals,
    /// The row is a target value, not a current one.
    #[error("the row is a `{0}` value, not a reading")]
    NotAReading(String),
    /// The unit of a value depends on the year of the row, and the row has no year.
    #[error("the unit of `speed` depends on the year, and `timestamp` has no year")]
    UnitUnknown,
    /// No row of the vehicle has a valid time, so that its events would have no time.
    #[error("no row of the vehicle has a valid time")]
    NoValidTime,
}

impl RowRefusal {
    /// Returns the stable code, for counting.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::LineTooLong => "line_too_long",
            Self::NotJson => "not_json",
            Self::CellCount { .. } => "cell_count",
            Self::OpenQuote => "open_quote",
            Self::BadField(_) => "bad_field",
            Self::NotANumber(_) => "not_a_number",
            Self::NoSignals => "no_signals",
            Self::NotAReading(_) => "not_a_reading",
            Self::UnitUnknown => "unit_unknown",
            Self::NoValidTime => "no_valid_time",
        }
    }
}
