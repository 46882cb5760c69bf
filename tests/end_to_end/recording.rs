//! A small recording of two cars: real trips if they are available, otherwise simulated ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The number of rows per car.
const ROWS: usize = 60;

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
        let rows = real_rows().unwrap_or_else(simulated_rows);
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("two-cars.ndjson");
        let text = rows.values().flatten().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{row}");
            text
        });
        std::fs::write(&file, text).expect("the recording is written");
        let count = rows.values().map(Vec::len).sum();
        Self { file, cars: rows.into_keys().collect(), rows: count, _folder: folder }
    }
}

/// The first rows of the first two cars of enviroCar; None if they are not available.
fn real_rows() -> Option<BTreeMap<String, Vec<Value>>> {
    let path = roadcast_test_data::find("envirocar/measurements.ndjson.zst")?;
    let lines = BufReader::new(zstd::Decoder::new(std::fs::File::open(path).ok()?).ok()?).lines();
    let mut cars: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let row: Value = serde_json::from_str(&line.ok()?).ok()?;
        let car = row["vehicle_id"].as_str()?.to_owned();
        if cars.len() == 2 && !cars.contains_key(&car) {
            continue;
        }
        let rows = cars.entry(car).or_default();
        if rows.len() < ROWS {
            rows.push(row);
        }
        if cars.len() == 2 && cars.values().all(|rows| rows.len() == ROWS) {
            return Some(cars);
        }
    }
    None
}

fn simulated_rows() -> BTreeMap<String, Vec<Value>> {
    let row = |car: &str, n: usize| {
        let drift = f64::from(u32::try_from(n).expect("few rows")) / 10_000.0;
        json!({
            "track_id": "t", "vehicle_id": car, "id": format!("{car}-{n}"),
            "time": format!("2020-03-06T09:{:02}:{:02}Z", n * 5 / 60, n * 5 % 60),
            "lon": 7.46 + drift, "lat": 53.3 + drift,
            "phenomenons": {"Speed": 40.0 + drift, "Rpm": 2000.0 + drift, "GPS Altitude": 39.0},
        })
    };
    ["simulated-a", "simulated-b"]
        .into_iter()
        .map(|car| (car.to_owned(), (0..ROWS).map(|n| row(car, n)).collect()))
        .collect()
}
