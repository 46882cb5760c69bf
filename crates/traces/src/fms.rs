//! Truck recordings with VSS paths and values, and with delays instead of times.

use std::path::Path;

use serde_json::{Map, Number, Value};

use crate::cells::Header;
use crate::error::TraceError;
use crate::format::Format;
use crate::instant;
use crate::lines::Lines;
use crate::row::{RecordedSample, RowRefusal, VehicleDetails, VehicleKey};

pub(crate) const COLUMNS: &[&str] = &["field", "signal", "value", "delay"];

const SCHEME: &str = "fms";
const VIN: &str = "Vehicle.VehicleIdentification.VIN";
/// The number of lines that are searched for the VIN. Recordings that contain it have it in their first rows.
const MAX_VIN_LINE: u64 = 1000;

pub(crate) struct Reader {
    header: Header,
    vehicle: VehicleKey,
    vin: Option<String>,
    start_ms: i64,
    /// The time of the last row since the start, in microseconds.
    since_start_us: i64,
}

impl Reader {
    /// Creates a reader whose vehicle has the name of the file.
    pub(crate) fn new(header: &str, path: &Path, start_ms: i64) -> Result<Self, TraceError> {
        Ok(Self {
            header: Header::with_columns(Format::FmsVss, COLUMNS, header, path)?,
            vehicle: VehicleKey::new(SCHEME, stem(path)),
            vin: None,
            start_ms,
            since_start_us: 0,
        })
    }

    pub(crate) fn start_at(&mut self, start_ms: i64) {
        self.start_ms = start_ms;
    }

    /// Searches the first rows for the VIN, so that the vehicle can be registered with it before any row is sent.
    pub(crate) fn find_vin(&mut self, path: &Path) {
        let Ok(mut lines) = Lines::open(path) else {
            return;
        };
        while let Ok(Some(line)) = lines.next()
            && lines.number() <= MAX_VIN_LINE
        {
            if let Ok(line) = line
                && let Ok(row) = self.header.row(&line)
                && row.text("signal") == Some(VIN)
                && let Some(vin) = row.text("value")
            {
                self.vin = Some(vin.to_owned());
                return;
            }
        }
    }

    pub(crate) fn details(&self, value: &str) -> Option<VehicleDetails> {
        (value == self.vehicle.value && self.vin.is_some())
            .then(|| VehicleDetails { vin: self.vin.clone(), ..VehicleDetails::default() })
    }

    pub(crate) fn read(&mut self, line: u64, text: &str) -> Result<RecordedSample, RowRefusal> {
        let row = self.header.row(text)?;
        let since_start_us = row
            .number("delay")?
            .and_then(|delay_s| self.advance_by(delay_s))
            .ok_or_else(|| RowRefusal::NotANumber("delay".to_owned()))?;
        let at_ms = self.start_ms + since_start_us.div_euclid(1000);
        let at = instant::format_ms(at_ms).ok_or_else(|| RowRefusal::NotANumber("delay".to_owned()))?;
        // The delay is valid, so it advances the time even if the row is refused.
        self.since_start_us = since_start_us;
        let field = row.required("field")?;
        if field != "current" {
            return Err(RowRefusal::NotAReading(field.to_owned()));
        }
        let mut signals = Map::new();
        signals.insert(row.required("signal")?.to_owned(), parse_value(row.required("value")?));
        Ok(RecordedSample { vehicle: self.vehicle.clone(), line, at, at_ms: Some(at_ms), signals })
    }

    /// Returns the time of the recording after a delay, in microseconds: delays can be a few microseconds, and thousands of
    /// delays rounded to milliseconds would add up to an error of seconds.
    #[allow(clippy::cast_possible_truncation)] // checked against the bound
    fn advance_by(&self, delay_s: f64) -> Option<i64> {
        const MAX_DELAY_S: f64 = 1e9;
        (0.0..=MAX_DELAY_S)
            .contains(&delay_s)
            .then(|| self.since_start_us.checked_add((delay_s * 1e6).round() as i64))
            .flatten()
    }
}

/// Returns the file name up to its first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.split('.').find(|part| !part.is_empty()) {
        Some(stem) => stem.to_owned(),
        None => "recording".to_owned(),
    }
}

/// Parses a value by its form: a boolean, a number in JSON syntax, or otherwise a text.
fn parse_value(text: &str) -> Value {
    match text {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        _ => serde_json::from_str::<Number>(text).map_or_else(|_| text.into(), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn reader() -> Reader {
        Reader::new("field,signal,value,delay", Path::new("dir/truck.csv.gz"), 1_000).unwrap()
    }

    #[test]
    fn values_are_parsed_by_their_form() {
        assert_eq!(parse_value("True"), Value::Bool(true));
        assert_eq!(parse_value("False"), Value::Bool(false));
        assert_eq!(parse_value("375"), Value::from(375));
        assert_eq!(parse_value("22.572"), Value::from(22.572));
        assert_eq!(parse_value("REST"), Value::from("REST"));
        assert_eq!(parse_value("007"), Value::from("007"));
        assert_eq!(parse_value("NaN"), Value::from("NaN"));
        assert_eq!(parse_value("1e999"), Value::from("1e999"));
    }

    #[test]
    fn delays_add_up_without_rounding_each() {
        let mut reader = reader();
        let times: Vec<_> = (0..4)
            .map(|line| {
                let sample = reader.read(line, "current,Vehicle.Speed,1,0.0004").unwrap();
                (sample.at, sample.at_ms)
            })
            .collect();
        assert_eq!(times[1], ("1970-01-01T00:00:01.000Z".to_owned(), Some(1_000)));
        assert_eq!(times[3], ("1970-01-01T00:00:01.001Z".to_owned(), Some(1_001)));
    }

    #[test]
    fn vehicle_has_the_name_of_the_file() {
        let sample = reader().read(2, "current,Vehicle.Speed,1,0").unwrap();
        assert_eq!(sample.vehicle.to_string(), "fms:truck");
    }

    #[test]
    fn malformed_rows_are_refused_but_their_delay_counts() {
        for (row, code) in [
            ("current,Vehicle.Speed,1", "cell_count"),
            ("current,Vehicle.Speed,1,soon", "not_a_number"),
            ("current,Vehicle.Speed,1,-1", "not_a_number"),
            ("current,Vehicle.Speed,1,1e300", "not_a_number"),
            ("current,Vehicle.Speed,1,", "not_a_number"),
            ("target,Vehicle.Speed,1,1", "not_a_reading"),
            ("current,,1,1", "bad_field"),
            ("current,Vehicle.Speed,,1", "bad_field"),
        ] {
            assert_eq!(reader().read(2, row).unwrap_err().code(), code, "{row}");
        }
        let mut reader = reader();
        reader.read(2, "target,Vehicle.Speed,1,1.5").unwrap_err();
        let sample = reader.read(3, "current,Vehicle.Speed,1,0").unwrap();
        assert_eq!(sample.at_ms, Some(2_500));
    }
}
