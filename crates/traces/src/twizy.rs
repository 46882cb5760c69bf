//! Trips of a Renault Twizy around Rabat: one CSV file per trip, one row per second.

use std::path::Path;

use serde_json::{Map, Value};
use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use crate::cells::{Cells, Header};
use crate::error::TraceError;
use crate::format::Format;
use crate::instant;
use crate::paths::{LATITUDE, LONGITUDE, SPEED};
use crate::row::{RecordedSample, RowRefusal, VehicleDetails, VehicleKey};

pub(crate) const COLUMNS: &[&str] = &["Date", "Time", "Soc", "Speed", "LAT", "LON"];

const SCHEME: &str = "rsk-twizy";
const VEHICLE: &str = "twizy-1";

/// Numeric columns and their paths. All values have the unit of the catalogue.
pub(crate) const NUMBERS: &[(&str, &str)] = &[
    ("Soc", "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current"),
    ("Speed", SPEED),
    ("LAT", LATITUDE),
    ("LON", LONGITUDE),
    ("ALT", "Vehicle.CurrentLocation.Altitude"),
    ("GpsSpeed", "Vehicle.CurrentLocation.Speed"),
    ("Temperature", "Vehicle.Exterior.AirTemperature"),
    ("Humidity", "Vehicle.Exterior.Humidity"),
    ("WindSpeedAv", "Vehicle.Exterior.WindSpeed"),
    ("SpeedLimit", "Vehicle.Exterior.SpeedLimit"),
];
pub(crate) const TRAFFIC: &str = "Vehicle.Exterior.TrafficLevel";
pub(crate) const WEATHER: &str = "Vehicle.Exterior.Weather";
pub(crate) const GEAR: &str = "Vehicle.Powertrain.Transmission.SelectedGear";

pub(crate) struct Reader {
    header: Header,
}

impl Reader {
    pub(crate) fn new(header: &str, path: &Path) -> Result<Self, TraceError> {
        Header::with_columns(Format::Twizy, COLUMNS, header, path).map(|header| Self { header })
    }

    pub(crate) fn details(value: &str) -> Option<VehicleDetails> {
        (value == VEHICLE).then(|| VehicleDetails {
            make: Some("Renault".to_owned()),
            model: Some("Twizy".to_owned()),
            fuel_type: Some("electric".to_owned()),
            ..VehicleDetails::default()
        })
    }

    pub(crate) fn read(&self, line: u64, text: &str) -> Result<RecordedSample, RowRefusal> {
        let row = self.header.row(text)?;
        let at = at(row.required("Date")?, row.required("Time")?);
        let mut signals = Map::new();
        for (column, path) in NUMBERS {
            row.put_number(&mut signals, column, path, 1.0)?;
        }
        put_mode(&row, &mut signals)?;
        if let Some(level) = row.text("Traffic") {
            // An integer in the catalogue and in the file.
            let level: i64 = level.parse().map_err(|_| RowRefusal::NotANumber("Traffic".to_owned()))?;
            signals.insert(TRAFFIC.to_owned(), level.into());
        }
        if let Some(weather) = row.text("Weather") {
            signals.insert(WEATHER.to_owned(), weather.into());
        }
        if signals.is_empty() {
            return Err(RowRefusal::NoSignals);
        }
        Ok(RecordedSample { vehicle: VehicleKey::new(SCHEME, VEHICLE), line, at_ms: instant::parse_ms(&at), at, signals })
    }
}

/// The selector position as the VSS number: 0 neutral, -1 reverse, 127 drive.
fn put_mode(row: &Cells<'_>, signals: &mut Map<String, Value>) -> Result<(), RowRefusal> {
    let gear = match row.text("Mode") {
        None => return Ok(()),
        Some("N") => 0,
        Some("R") => -1,
        Some("D") => 127,
        Some(_) => return Err(RowRefusal::BadField("Mode")),
    };
    signals.insert(GEAR.to_owned(), gear.into());
    Ok(())
}

/// Converts `MM/DD/YYYY` and `HH:MM:SS` in local time to RFC 3339 in UTC. A value that is not a date keeps its digits, in
/// the order year, month, day and without a zone, so that it remains recognisable and invalid.
fn at(date: &str, time: &str) -> String {
    let fields: Vec<&str> = date.split('/').collect();
    let &[month, day, year] = fields.as_slice() else {
        return format!("{date}T{time}");
    };
    utc(year, month, day, time).unwrap_or_else(|| format!("{year:0>4}-{month:0>2}-{day:0>2}T{time}"))
}

fn utc(year: &str, month: &str, day: &str, time: &str) -> Option<String> {
    let year: i32 = year.parse().ok()?;
    if !(0..=9999).contains(&year) {
        return None;
    }
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, day.parse().ok()?).ok()?;
    let fields: Vec<u8> = time.split(':').map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let &[hour, minute, second] = fields.as_slice() else {
        return None;
    };
    let local = PrimitiveDateTime::new(date, Time::from_hms(hour, minute, second).ok()?);
    let at = local.checked_sub(utc_offset(local))?;
    instant::to_utc(&format!("{}T{}Z", iso_date(at.date()), iso_time(at.time())))
}

fn iso_date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn iso_time(time: Time) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// Returns the offset of Moroccan time from UTC: one hour, but zero during Ramadan. In 2021, clocks were set back on 11
/// April at 03:00 and forward on 16 May at 02:00 (IANA time zone database, `Africa/Casablanca`). All recordings are from
/// 2021. The hour that occurred twice on 11 April is interpreted as the first occurrence.
fn utc_offset(local: PrimitiveDateTime) -> Duration {
    let ramadan = time::macros::datetime!(2021-04-11 03:00)..time::macros::datetime!(2021-05-16 02:00);
    if ramadan.contains(&local) { Duration::ZERO } else { Duration::HOUR }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const HEADER: &str =
        "Date,Time,Soc,Speed,Mode,LAT,LON,ALT,GpsSpeed,Temperature,Humidity,Weather,WindSpeedAv,Traffic,SpeedLimit";

    fn read(row: &str) -> Result<RecordedSample, RowRefusal> {
        Reader::new(HEADER, Path::new("T1.csv")).unwrap().read(2, row)
    }

    #[test]
    fn row_values_get_their_paths() {
        let sample = read("03/29/2021,11:13:45,87.5,1.5,D,33.9,-6.7,140,0,20,60,Clouds,2.49,0,40").unwrap();
        assert_eq!(sample.vehicle.to_string(), "rsk-twizy:twizy-1");
        assert_eq!(sample.at, "2021-03-29T10:13:45Z");
        assert_eq!(sample.signals[GEAR], 127);
        assert_eq!(sample.signals[WEATHER], "Clouds");
        assert_eq!(sample.signals[SPEED], 1.5);
        assert_eq!(sample.signals.len(), NUMBERS.len() + 3);
    }

    #[test]
    fn local_time_is_one_hour_ahead_except_in_ramadan() {
        for (date, time, utc) in [
            ("04/11/2021", "02:59:59", "2021-04-11T01:59:59Z"),
            ("04/11/2021", "03:00:00", "2021-04-11T03:00:00Z"),
            ("4/22/2021", "08:42:50", "2021-04-22T08:42:50Z"),
            ("05/16/2021", "01:59:59", "2021-05-16T01:59:59Z"),
            ("05/16/2021", "03:00:00", "2021-05-16T02:00:00Z"),
            ("7/1/2021", "00:34:36", "2021-06-30T23:34:36Z"),
        ] {
            assert_eq!(at(date, time), utc);
        }
    }

    #[test]
    fn invalid_date_keeps_its_digits() {
        for (date, text) in [
            ("02/00/2090", "2090-02-00T11:13:45"),
            ("90/02/2032", "2032-90-02T11:13:45"),
            ("3/0/2000", "2000-03-00T11:13:45"),
            ("yesterday", "yesterdayT11:13:45"),
            ("01/01/99999", "99999-01-01T11:13:45"),
            ("01/01/-001", "-001-01-01T11:13:45"),
        ] {
            assert_eq!(at(date, "11:13:45"), text);
            assert_eq!(instant::parse_ms(text), None);
        }
        assert_eq!(at("03/29/2021", "25:00:00"), "2021-03-29T25:00:00");
        assert_eq!(at("01/01/0000", "00:00:00"), "0000-01-01T00:00:00");
    }

    #[test]
    fn malformed_rows_are_refused_with_a_reason() {
        for (row, code) in [
            ("03/29/2021,11:13:45,87.5", "cell_count"),
            (",11:13:45,87.5,1.5,D,33.9,-6.7,140,0,20,60,Clouds,2.49,0,40", "bad_field"),
            ("03/29/2021,11:13:45,full,1.5,D,33.9,-6.7,140,0,20,60,Clouds,2.49,0,40", "not_a_number"),
            ("03/29/2021,11:13:45,87.5,1.5,X,33.9,-6.7,140,0,20,60,Clouds,2.49,0,40", "bad_field"),
            ("03/29/2021,11:13:45,,,,,,,,,,,,,", "no_signals"),
        ] {
            assert_eq!(read(row).unwrap_err().code(), code, "{row}");
        }
    }
}
