//! Reads the real recordings, if they are available: every row is counted, and the same file produces the same events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use roadcast_test_data::find;
use roadcast_traces::simulate::{Faults, SimConfig, Simulator};
use roadcast_traces::{Batcher, Recording, Row, TraceEvent, VehicleKey};

/// The totals of a file.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    rows: usize,
    refused: BTreeMap<&'static str, usize>,
    without_date: usize,
    vehicles: BTreeSet<VehicleKey>,
    paths: BTreeSet<String>,
    uploads: usize,
    events: usize,
    samples: usize,
    ids: HashSet<String>,
}

fn read_totals(path: &Path) -> Totals {
    let mut recording = Recording::open(path, None).unwrap();
    let mut batcher = Batcher::new(Batcher::DEFAULT_SAMPLES_PER_UPLOAD, "urn:test");
    let mut totals = Totals::default();
    let mut uploads = Vec::new();
    for row in recording.rows() {
        totals.rows += 1;
        match row.unwrap() {
            Row::Sample(sample) => {
                totals.without_date += usize::from(sample.at_ms.is_none());
                totals.vehicles.insert(sample.vehicle.clone());
                totals.paths.extend(sample.signals.keys().cloned());
                uploads.extend(batcher.push(sample));
            }
            Row::Refused { reason, .. } => *totals.refused.entry(reason.code()).or_default() += 1,
        }
    }
    uploads.extend(batcher.finish());
    assert!(batcher.take_refused().is_empty());
    assert_eq!(recording.bytes_read(), recording.bytes_total());
    assert!(recording.unmapped_readings().is_empty(), "{:?}", recording.unmapped_readings());
    totals.uploads = uploads.len();
    for event in uploads.iter().flat_map(|upload| &upload.events) {
        totals.events += 1;
        totals.samples += event.samples().len();
        totals.ids.insert(event.id.clone());
    }
    // Every row is a sample of exactly one event, and all events have distinct ids.
    assert_eq!(totals.rows, totals.samples + totals.refused.values().sum::<usize>());
    assert_eq!(totals.ids.len(), totals.events);
    println!(
        "{}: {} rows, refused {:?}, {} without a date, {} vehicles, {} events, {} uploads",
        path.file_name().unwrap().to_string_lossy(),
        totals.rows,
        totals.refused,
        totals.without_date,
        totals.vehicles.len(),
        totals.events,
        totals.uploads
    );
    totals
}

#[test]
fn simulated_upload_counts_its_samples() {
    let config = SimConfig { faults: Faults::frequent(), ..SimConfig::default() };
    let uploads = Simulator::new(&config).next_uploads(config.start_ms + 120_000);
    assert!(!uploads.is_empty());
    for upload in uploads {
        let samples: usize = upload.events.iter().map(|event| event.samples().len()).sum();
        assert_eq!(samples, upload.samples);
    }
}

#[test]
fn every_envirocar_row_is_a_sample_of_six_cars() {
    let Some(path) = find("envirocar/measurements.ndjson.zst") else {
        return;
    };
    let found = read_totals(&path);
    assert_eq!((found.rows, found.vehicles.len()), (34_660, 6));
    assert_eq!((found.refused.len(), found.without_date), (0, 0));
    assert_eq!(found, read_totals(&path), "the same file produces the same events");
    let recording = Recording::open(&path, None).unwrap();
    for vehicle in &found.vehicles {
        let details = recording.vehicle_details(vehicle).unwrap();
        assert!(details.make.is_some() && details.model_year.is_some() && details.fuel_type.is_some());
    }
}

#[test]
fn every_capmetro_row_is_read_including_duplicates() {
    for (day, rows, vehicles) in [
        ("2015-03-07", 44_564, 158),
        ("2015-09-06", 53_569, 146),
        ("2016-03-22", 34_030, 195),
        ("2016-11-24", 24_490, 152),
        ("2016-12-16", 34_501, 279),
        ("2017-03-21", 45_386, 329),
    ] {
        let Some(path) = find(&format!("capmetro/vehicle_positions_{day}.csv.gz")) else {
            return;
        };
        let found = read_totals(&path);
        assert_eq!((found.rows, found.vehicles.len()), (rows, vehicles), "{day}");
        assert_eq!((found.refused.len(), found.without_date), (0, 0), "{day}");
    }
}

#[test]
fn sentinel_speed_of_a_bus_is_passed_on() {
    let Some(path) = find("capmetro/vehicle_positions_2017-03-21.csv.gz") else {
        return;
    };
    let sentinels = Recording::open(path, None)
        .unwrap()
        .rows()
        .filter(|row| matches!(row, Ok(Row::Sample(sample)) if sample.signals["Vehicle.Speed"].as_f64().unwrap() > 400.0))
        .count();
    assert_eq!(sentinels, 7);
}

#[test]
fn twizy_trips_have_44_invalid_dates() {
    let mut totals = (0, 0);
    for (trip, rows) in [
        ("T1_03_29_2021", 6189),
        ("T1_06_30_2021_1", 5200),
        ("T1_06_30_2021_2", 5903),
        ("T1_07_01_2021", 4535),
        ("T3_04_22_2021_1", 1049),
        ("T3_04_22_2021_2", 1098),
        ("T3_04_26_2021_1", 1032),
        ("T3_04_26_2021_2", 1033),
        ("T3_05_25_2021_2", 1121),
        ("T3_05_25_2021_3", 953),
        ("T3_05_31_2021", 1122),
    ] {
        let Some(path) = find(&format!("rsk_twizy/{trip}.csv.gz")) else {
            return;
        };
        let found = read_totals(&path);
        assert_eq!(found.rows, rows, "{trip}");
        assert_eq!((found.refused.len(), found.vehicles.len()), (0, 1), "{trip}");
        totals.0 += found.rows;
        totals.1 += found.without_date;
    }
    assert_eq!(totals, (29_235, 44));
}

#[test]
fn every_truck_row_is_a_sample_with_a_catalogue_path() {
    let catalogue: HashSet<String> =
        csv::Reader::from_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../signals/catalogue.csv"))
            .unwrap()
            .records()
            .map(|record| record.unwrap()[1].to_owned())
            .collect();
    for (name, rows, paths, vin) in
        [("signalsFmsRecording", 3989, 15, Some("YV2E4C3A5VB180691")), ("signalsCovesaCvRecording", 1885, 4, None)]
    {
        let Some(path) = find(&format!("fms_vss_recording/{name}.csv.gz")) else {
            return;
        };
        let found = read_totals(&path);
        assert_eq!((found.rows, found.paths.len()), (rows, paths), "{name}");
        assert!(found.refused.is_empty(), "{name}");
        let unknown: Vec<_> = found.paths.iter().filter(|path| !catalogue.contains(*path)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let vehicle = found.vehicles.first().unwrap();
        assert_eq!(vehicle.to_string(), format!("fms:{name}"));
        let details = Recording::open(&path, None).unwrap().vehicle_details(vehicle);
        assert_eq!(details.and_then(|details| details.vin).as_deref(), vin);
    }
}

#[test]
fn events_of_different_files_have_different_ids() {
    let mut files: HashMap<String, PathBuf> = HashMap::new();
    let Some(first) = find("rsk_twizy/T3_04_22_2021_1.csv.gz") else {
        return;
    };
    let second = first.with_file_name("T3_04_22_2021_2.csv.gz");
    for path in [first, second] {
        for id in read_totals(&path).ids {
            assert_eq!(files.insert(id, path.clone()), None);
        }
    }
}

#[test]
fn event_converts_to_a_cloud_event() {
    let config = SimConfig::default();
    let uploads = Simulator::new(&config).next_uploads(config.start_ms + 20_000);
    let event: &TraceEvent = &uploads[0].events[0];
    let json = event.to_cloud_event(Some("sim:1-00000"));
    assert_eq!(json["specversion"], "1.0");
    assert_eq!(json["type"], "roadcast.telemetry.v1");
    assert_eq!(json["datacontenttype"], "application/json");
    assert_eq!(json["subject"], "sim:1-00000");
    assert_eq!(json["time"], json["data"]["samples"][0]["at"]);
    assert_eq!(json["data"]["samples"].as_array().unwrap().len(), 10);
    assert!(json["data"]["samples"][0]["signals"]["Vehicle.Speed"].is_number());
    assert_eq!(event.to_cloud_event(None).get("subject"), None);
}
