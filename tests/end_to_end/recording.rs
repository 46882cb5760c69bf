//! Small recordings: real trips if they are available, otherwise simulated ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The number of rows per car of the recording of two cars.
const ROWS: usize = 60;
/// The maximum number of rows per car of a part of enviroCar, and of rows of the truck.
const ROWS_OF_PART: usize = 300;
const ROWS_OF_TRUCK: usize = 2000;
const ENVIROCAR: &str = "envirocar/measurements.ndjson.zst";
const TRUCK: &str = "fms_vss_recording/signalsFmsRecording.csv.gz";

/// A recording in the format of enviroCar.
pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    /// The ids of the cars in the recording.
    pub(crate) cars: Vec<String>,
    /// The number of rows. Each row is a sample.
    pub(crate) rows: usize,
    _folder: TempDir,
}

impl Recording {
    pub(crate) fn of_two_cars() -> Self {
        let rows = real_rows(0, 2, ROWS).unwrap_or_else(|| simulated_rows(["simulated-a", "simulated-b"], ROWS));
        Self::of_rows(rows, "two-cars.ndjson")
    }

    /// Other cars of enviroCar, with more rows.
    pub(crate) fn of_more_cars() -> Self {
        let simulated = || simulated_rows(["simulated-c", "simulated-d", "simulated-e"], ROWS_OF_PART);
        Self::of_rows(real_rows(2, 3, ROWS_OF_PART).unwrap_or_else(simulated), "more-cars.ndjson")
    }

    fn of_rows(rows: BTreeMap<String, Vec<Value>>, name: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join(name);
        let text = rows.values().flatten().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{row}");
            text
        });
        std::fs::write(&file, text).expect("the recording is written");
        let count = rows.values().map(Vec::len).sum();
        Self { file, cars: rows.into_keys().collect(), rows: count, _folder: folder }
    }
}

/// Writes the first rows of the recording of the truck into a folder, or simulated ones, and returns the file.
pub(crate) fn truck_recording(folder: &Path) -> PathBuf {
    let real = || {
        let file = std::fs::File::open(roadcast_test_data::find(TRUCK)?).ok()?;
        let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
        lines.take(ROWS_OF_TRUCK + 1).collect::<Result<Vec<String>, _>>().ok()
    };
    let simulated = || {
        let row = |n: usize| match n % 3 {
            0 => format!("current,Vehicle.Speed,{},0.4", 50 + n % 30),
            1 => format!("current,Vehicle.Powertrain.CombustionEngine.Speed,{},0.3", 1000 + n % 500),
            _ => format!("current,Vehicle.CurrentOverallWeight,{},0.3", 15_000 + n),
        };
        // Like the real one, it begins with the VIN, with which the tool registers the vehicle.
        let first = ["field,signal,value,delay", "current,Vehicle.VehicleIdentification.VIN,WMA06XZZ7FM000017,0.3"];
        first.map(str::to_owned).into_iter().chain((0..ROWS_OF_TRUCK).map(row)).collect()
    };
    let file = folder.join("truck.csv");
    std::fs::write(&file, real().unwrap_or_else(simulated).join("\n") + "\n").expect("the recording is written");
    file
}

/// The first rows of cars of enviroCar, after as many cars that are left out; `None` if they are not available.
fn real_rows(left_out: usize, cars: usize, rows_of_car: usize) -> Option<BTreeMap<String, Vec<Value>>> {
    let path = roadcast_test_data::find(ENVIROCAR)?;
    let lines = BufReader::new(zstd::Decoder::new(std::fs::File::open(path).ok()?).ok()?).lines();
    let (mut others, mut found) = (BTreeSet::new(), BTreeMap::<String, Vec<Value>>::new());
    for line in lines {
        let row: Value = serde_json::from_str(&line.ok()?).ok()?;
        let car = row["vehicle_id"].as_str()?.to_owned();
        if others.len() < left_out {
            others.insert(car.clone());
        }
        if others.contains(&car) || (found.len() == cars && !found.contains_key(&car)) {
            continue;
        }
        let rows = found.entry(car).or_default();
        if rows.len() < rows_of_car {
            rows.push(row);
        }
        if found.len() == cars && found.values().all(|rows| rows.len() == rows_of_car) {
            break;
        }
    }
    (found.len() == cars).then_some(found)
}

fn simulated_rows<const CARS: usize>(cars: [&str; CARS], rows_of_car: usize) -> BTreeMap<String, Vec<Value>> {
    let row = |car: &str, n: usize| {
        let drift = f64::from(u32::try_from(n).expect("few rows")) / 10_000.0;
        json!({
            "track_id": "t", "vehicle_id": car, "id": format!("{car}-{n}"),
            "time": format!("2020-03-06T09:{:02}:{:02}Z", n * 5 / 60, n * 5 % 60),
            "lon": 7.46 + drift, "lat": 53.3 + drift,
            "phenomenons": {"Speed": 40.0 + drift, "Rpm": 2000.0 + drift, "GPS Altitude": 39.0},
        })
    };
    cars.into_iter().map(|car| (car.to_owned(), (0..rows_of_car).map(|n| row(car, n)).collect())).collect()
}
