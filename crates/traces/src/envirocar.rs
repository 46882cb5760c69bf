//! enviroCar measurements: one JSON object per line, with the phenomena that the car provided.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cells::Header;
use crate::instant;
use crate::lines::Lines;
use crate::paths::{LATITUDE, LONGITUDE};
use crate::row::{RecordedSample, RowRefusal, VehicleDetails, VehicleKey};

/// The member that identifies a row of this format, as it is written in JSON.
pub(crate) const VEHICLE_MEMBER: &str = "\"vehicle_id\"";

const SCHEME: &str = "envirocar";

/// Phenomena and their paths. All values have the unit of the catalogue.
///
/// The source gives l/s as the unit of `MAF` and % as the unit of `GPS Accuracy`; the values are in g/s and metres (see the
/// README), so they are not converted either.
pub(crate) const PHENOMENA: &[(&str, &str)] = &[
    ("Speed", "Vehicle.OBD.Speed"),
    ("GPS Speed", "Vehicle.CurrentLocation.Speed"),
    ("Rpm", "Vehicle.OBD.EngineSpeed"),
    ("Engine Load", "Vehicle.OBD.EngineLoad"),
    ("Throttle Position", "Vehicle.OBD.ThrottlePosition"),
    ("Intake Pressure", "Vehicle.OBD.MAP"),
    ("Intake Temperature", "Vehicle.OBD.IntakeTemp"),
    ("MAF", "Vehicle.OBD.MAF"),
    ("Calculated MAF", "Vehicle.OBD.CalculatedMAF"),
    ("Consumption", "Vehicle.OBD.FuelRate"),
    ("CO2", "Vehicle.Powertrain.CombustionEngine.CO2EmissionRate"),
    ("O2 Lambda Voltage", "Vehicle.OBD.O2WR.Sensor1.Voltage"),
    ("O2 Lambda Voltage ER", "Vehicle.OBD.O2WR.Sensor1.Lambda"),
    ("GPS Altitude", "Vehicle.CurrentLocation.Altitude"),
    ("GPS Bearing", "Vehicle.CurrentLocation.Heading"),
    ("GPS Accuracy", "Vehicle.CurrentLocation.HorizontalAccuracy"),
    ("GPS HDOP", "Vehicle.CurrentLocation.HorizontalDilution"),
    ("GPS VDOP", "Vehicle.CurrentLocation.VerticalDilution"),
    ("GPS PDOP", "Vehicle.CurrentLocation.PositionDilution"),
];

#[derive(Deserialize)]
struct Measurement {
    #[serde(default)]
    vehicle_id: Value,
    #[serde(default)]
    time: Value,
    #[serde(default)]
    lon: Value,
    #[serde(default)]
    lat: Value,
    #[serde(default)]
    phenomenons: Value,
}

#[derive(Default)]
pub(crate) struct Reader {
    vehicles: HashMap<String, VehicleDetails>,
    /// The number of readings left out, by phenomenon without a path.
    unmapped_readings: BTreeMap<String, u64>,
}

impl Reader {
    /// Creates a reader with master data from the `tracks.csv` in the same folder, if it exists.
    pub(crate) fn with_tracks_beside(measurements: &Path) -> Self {
        Self {
            vehicles: tracks(&measurements.with_file_name("tracks.csv")).unwrap_or_default(),
            unmapped_readings: BTreeMap::new(),
        }
    }

    pub(crate) fn details(&self, value: &str) -> Option<VehicleDetails> {
        self.vehicles.get(value).cloned()
    }

    pub(crate) fn unmapped_readings(&self) -> &BTreeMap<String, u64> {
        &self.unmapped_readings
    }

    pub(crate) fn read(&mut self, line: u64, text: &str) -> Result<RecordedSample, RowRefusal> {
        // Checked separately, because serde accepts an array as a struct.
        if !text.trim_start().starts_with('{') {
            return Err(RowRefusal::NotJson);
        }
        let row: Measurement = serde_json::from_str(text).map_err(|_| RowRefusal::NotJson)?;
        let Value::String(vehicle) = row.vehicle_id else {
            return Err(RowRefusal::BadField("vehicle_id"));
        };
        if vehicle.is_empty() {
            return Err(RowRefusal::BadField("vehicle_id"));
        }
        let Value::String(at) = row.time else {
            return Err(RowRefusal::BadField("time"));
        };
        let mut signals = Map::new();
        put(&mut signals, LONGITUDE, "lon", row.lon)?;
        put(&mut signals, LATITUDE, "lat", row.lat)?;
        match row.phenomenons {
            Value::Object(phenomena) => {
                for (name, value) in phenomena {
                    match path_of(&name) {
                        Some(path) => put(&mut signals, path, &name, value)?,
                        None => *self.unmapped_readings.entry(name).or_default() += 1,
                    }
                }
            }
            Value::Null => {}
            _ => return Err(RowRefusal::BadField("phenomenons")),
        }
        if signals.is_empty() {
            return Err(RowRefusal::NoSignals);
        }
        Ok(RecordedSample { vehicle: VehicleKey::new(SCHEME, vehicle), line, at_ms: instant::parse_ms(&at), at, signals })
    }
}

fn path_of(phenomenon: &str) -> Option<&'static str> {
    PHENOMENA.iter().find(|(name, _)| *name == phenomenon).map(|(_, path)| *path)
}

fn put(signals: &mut Map<String, Value>, path: &str, name: &str, value: Value) -> Result<(), RowRefusal> {
    match value {
        Value::Number(_) => {
            signals.insert(path.to_owned(), value);
            Ok(())
        }
        // Not measured.
        Value::Null => Ok(()),
        _ => Err(RowRefusal::NotANumber(name.to_owned())),
    }
}

/// Reads the vehicles by id, as far as the file is readable: master data is optional.
fn tracks(path: &Path) -> Option<HashMap<String, VehicleDetails>> {
    let mut lines = Lines::open(path).ok()?;
    let header = Header::parse(&lines.next().ok()??.ok()?);
    let mut vehicles = HashMap::new();
    while let Ok(Some(line)) = lines.next() {
        let Ok(row) = line.and_then(|line| {
            let row = header.row(&line)?;
            let details = VehicleDetails {
                make: row.text("manufacturer").map(str::to_owned),
                model: row.text("model").map(str::to_owned),
                model_year: row.text("construction_year").and_then(|year| year.parse().ok()),
                fuel_type: row.text("fuel_type").map(str::to_owned),
                vin: None,
            };
            Ok((row.required("vehicle_id")?.to_owned(), details))
        }) else {
            continue;
        };
        vehicles.entry(row.0).or_insert(row.1);
    }
    Some(vehicles)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn read(text: &str) -> Result<RecordedSample, RowRefusal> {
        Reader::default().read(7, text)
    }

    #[test]
    fn phenomena_get_their_paths_bit_for_bit() {
        let sample = read(
            r#"{"track_id":"t","vehicle_id":"v","id":"i","time":"2017-02-19T12:19:28Z","lon":7.460849252134524,"lat":53.31205075886625,"phenomenons":{"Speed":45.3604651093483,"GPS Speed":44.1,"MAF":null}}"#,
        )
        .unwrap();
        assert_eq!(sample.vehicle.to_string(), "envirocar:v");
        assert_eq!(sample.line, 7);
        assert_eq!(sample.at_ms, Some(1_487_506_768_000));
        assert_eq!(
            Value::from(sample.signals).to_string(),
            r#"{"Vehicle.CurrentLocation.Latitude":53.31205075886625,"Vehicle.CurrentLocation.Longitude":7.460849252134524,"Vehicle.CurrentLocation.Speed":44.1,"Vehicle.OBD.Speed":45.3604651093483}"#
        );
    }

    #[test]
    fn unusable_rows_are_refused_with_a_reason() {
        for (text, code) in [
            ("{\"vehicle_id\":\"v\",", "not_json"),
            ("[1,2]", "not_json"),
            ("{}", "bad_field"),
            (r#"{"vehicle_id":"","time":"2017-02-19T12:19:28Z","lon":1}"#, "bad_field"),
            (r#"{"vehicle_id":"v","time":5,"lon":1}"#, "bad_field"),
            (r#"{"vehicle_id":"v","time":"2017-02-19T12:19:28Z"}"#, "no_signals"),
            (r#"{"vehicle_id":"v","time":"2017-02-19T12:19:28Z","lon":"7"}"#, "not_a_number"),
            (r#"{"vehicle_id":"v","time":"2017-02-19T12:19:28Z","phenomenons":{"Rpm":"fast"}}"#, "not_a_number"),
            (r#"{"vehicle_id":"v","time":"2017-02-19T12:19:28Z","phenomenons":[]}"#, "bad_field"),
        ] {
            assert_eq!(read(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn invalid_time_is_passed_on_as_text() {
        let sample = read(r#"{"vehicle_id":"v","time":"yesterday","lon":1}"#).unwrap();
        assert_eq!((sample.at.as_str(), sample.at_ms), ("yesterday", None));
    }

    #[test]
    fn phenomenon_without_a_path_is_counted() {
        let mut reader = Reader::default();
        let row = r#"{"vehicle_id":"v","time":"2017-02-19T12:19:28Z","lon":1,"phenomenons":{"Mood":3}}"#;
        reader.read(1, row).unwrap();
        reader.read(2, row).unwrap();
        assert_eq!(reader.unmapped_readings().get("Mood"), Some(&2));
    }
}
