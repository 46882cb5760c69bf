//! Bus positions of Capital Metro, Austin: one CSV file per day.

use std::path::Path;

use serde_json::Map;

use crate::cells::Header;
use crate::error::TraceError;
use crate::format::Format;
use crate::instant;
use crate::paths::{LATITUDE, LONGITUDE, SPEED};
use crate::row::{RecordedSample, RowRefusal, VehicleKey};

pub(crate) const COLUMNS: &[&str] = &["vehicle_id", "timestamp", "speed", "latitude", "longitude"];
/// Text columns and their paths. These columns are optional.
pub(crate) const TEXTS: &[(&str, &str)] = &[
    ("route_id", "Vehicle.Transit.RouteId"),
    ("trip_id", "Vehicle.Transit.TripId"),
    ("trip_headsign", "Vehicle.Transit.Headsign"),
];

const SCHEME: &str = "capmetro";
const KMH_PER_MPH: f64 = 1.609_344;
const KMH_PER_METRE_PER_SECOND: f64 = 3.6;

pub(crate) struct Reader {
    header: Header,
}

impl Reader {
    pub(crate) fn new(header: &str, path: &Path) -> Result<Self, TraceError> {
        Header::with_columns(Format::CapMetro, COLUMNS, header, path).map(|header| Self { header })
    }

    pub(crate) fn read(&self, line: u64, text: &str) -> Result<RecordedSample, RowRefusal> {
        let row = self.header.row(text)?;
        let vehicle = row.required("vehicle_id")?;
        let timestamp = row.required("timestamp")?;
        let mut signals = Map::new();
        if row.text("speed").is_some() {
            let factor = kmh_per_unit(timestamp).ok_or(RowRefusal::UnitUnknown)?;
            row.put_number(&mut signals, "speed", SPEED, factor)?;
        }
        row.put_number(&mut signals, "latitude", LATITUDE, 1.0)?;
        row.put_number(&mut signals, "longitude", LONGITUDE, 1.0)?;
        for (column, path) in TEXTS {
            if let Some(text) = row.text(column) {
                signals.insert((*path).to_owned(), text.into());
            }
        }
        if signals.is_empty() {
            return Err(RowRefusal::NoSignals);
        }
        let at = instant::to_utc(timestamp).unwrap_or_else(|| timestamp.to_owned());
        Ok(RecordedSample { vehicle: VehicleKey::new(SCHEME, vehicle), line, at_ms: instant::parse_ms(&at), at, signals })
    }
}

/// The unit of the feed: miles per hour up to 2015, metres per second from 2016 on, by local date.
fn kmh_per_unit(timestamp: &str) -> Option<f64> {
    let (year, _) = timestamp.split_once('-')?;
    if year.len() != 4 {
        return None;
    }
    let year: u16 = year.parse().ok()?;
    Some(if year <= 2015 { KMH_PER_MPH } else { KMH_PER_METRE_PER_SECOND })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn read(row: &str) -> Result<RecordedSample, RowRefusal> {
        Reader::new("vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign", Path::new("day.csv"))
            .unwrap()
            .read(2, row)
    }

    fn speed(row: &str) -> f64 {
        read(row).unwrap().signals[SPEED].as_f64().unwrap()
    }

    #[test]
    fn speed_is_mph_in_2015_and_metres_per_second_from_2016() {
        let mph = speed("1,2015-12-31T23:59:59-06:00,10,1,1,30.2,-97.7,N");
        let metres = speed("1,2016-01-01T00:00:00-06:00,10,1,1,30.2,-97.7,N");
        assert!((mph - 16.093_44).abs() < 1e-9);
        assert!((metres - 36.0).abs() < 1e-9);
    }

    #[test]
    fn times_are_converted_to_utc() {
        let sample = read("2010,2015-03-07T10:03:34-06:00,0.0,320,1388007,30.231535,-97.73347,NORTHBOUND").unwrap();
        assert_eq!(sample.at, "2015-03-07T16:03:34Z");
        assert_eq!(sample.at_ms, Some(1_425_744_214_000));
        assert_eq!(sample.vehicle.to_string(), "capmetro:2010");
        assert_eq!(sample.signals["Vehicle.Transit.RouteId"], "320");
        assert_eq!(sample.signals["Vehicle.Transit.Headsign"], "NORTHBOUND");
    }

    #[test]
    fn sentinel_speed_and_zero_position_are_passed_on() {
        let sample = read("1,2017-03-21T00:00:31-05:00,113.9952,1,1,0,0,").unwrap();
        assert!((sample.signals[SPEED].as_f64().unwrap() - 410.38).abs() < 0.01);
        assert_eq!(sample.signals[LATITUDE], 0.0);
    }

    #[test]
    fn malformed_rows_are_refused_with_a_reason() {
        for (row, code) in [
            ("1,2017-03-21T00:00:31-05:00,1,1,1,0,0", "cell_count"),
            (",2017-03-21T00:00:31-05:00,1,1,1,0,0,", "bad_field"),
            ("1,,1,1,1,0,0,", "bad_field"),
            ("1,2017-03-21T00:00:31-05:00,fast,1,1,0,0,", "not_a_number"),
            ("1,2017-03-21T00:00:31-05:00,NaN,1,1,0,0,", "not_a_number"),
            ("1,2017-03-21T00:00:31-05:00,1e308,1,1,0,0,", "not_a_number"),
            ("1,noon,1,1,1,0,0,", "unit_unknown"),
            ("1,2017-03-21T00:00:31-05:00,,,,,,", "no_signals"),
        ] {
            assert_eq!(read(row).unwrap_err().code(), code, "{row}");
        }
    }

    #[test]
    fn error_names_the_missing_column() {
        let error = Reader::new("vehicle_id,timestamp", Path::new("day.csv")).err().unwrap();
        assert!(error.to_string().contains("`speed`"), "{error}");
    }
}
