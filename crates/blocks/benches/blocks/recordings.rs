//! Recordings as samples on the grids of the catalogue, for tests and benchmarks.

// Tests and benchmarks each use a part of this module.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use roadcast_blocks::BlockEvent;
use roadcast_signals::{Sample, Signals, Timestamp, accept, reject_null_position};
use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{RecordedSample, Recording};

/// The samples of a recording.
pub(crate) struct Recorded {
    /// The samples of each vehicle, in order.
    pub(crate) vehicles: Vec<Vec<Sample>>,
}

/// The number of samples per upload.
const SAMPLES_PER_EVENT: usize = 10;

/// Reads a recording. Returns `None` if it is not available.
pub(crate) fn read(name: &str) -> Option<Recorded> {
    let in_folder = |folder: &str| -> Option<Vec<PathBuf>> {
        let entries = std::fs::read_dir(roadcast_test_data::find(folder)?).ok()?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "gz"));
        files.sort();
        Some(files)
    };
    let files = match name {
        "simulated" => return Some(simulated()),
        "envirocar" => vec![roadcast_test_data::find("envirocar/measurements.ndjson.zst")?],
        "twizy" => in_folder("rsk_twizy")?,
        "capmetro" => vec![roadcast_test_data::find("capmetro/vehicle_positions_2015-03-07.csv.gz")?],
        "truck" => {
            let folder = roadcast_test_data::find("fms_vss_recording")?;
            ["signalsFmsRecording.csv.gz", "signalsCovesaCvRecording.csv.gz"].map(|file| folder.join(file)).to_vec()
        }
        _ => return None,
    };
    let mut vehicles: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for file in files {
        for row in Recording::open(&file, None).ok()?.rows() {
            let Ok(roadcast_traces::Row::Sample(recorded)) = row else { continue };
            vehicles.entry(recorded.vehicle.to_string()).or_default().extend(accepted_sample(&recorded));
        }
    }
    Some(Recorded { vehicles: vehicles.into_values().collect() })
}

/// Twenty minutes of ten simulated vehicles.
fn simulated() -> Recorded {
    let mut simulator = Simulator::new(&SimConfig::default());
    let uploads = simulator.next_uploads(SimConfig::default().start_ms + 20 * 60 * 1000);
    let mut vehicles: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for upload in uploads {
        for recorded in upload.events.iter().flat_map(roadcast_traces::TraceEvent::samples) {
            vehicles.entry(upload.vehicle.to_string()).or_default().extend(accepted_sample(recorded));
        }
    }
    Recorded { vehicles: vehicles.into_values().collect() }
}

/// Returns the values that the catalogue accepts, rounded to its grids, or `None` if there are none.
fn accepted_sample(recorded: &RecordedSample) -> Option<Sample> {
    let at = Timestamp::parse_rfc3339(&recorded.at).ok()?;
    let mut signals: Signals = recorded
        .signals
        .iter()
        .filter_map(|(path, value)| accept(path, &serde_json::value::to_raw_value(value).ok()?).ok())
        .collect();
    reject_null_position(&mut signals);
    (!signals.is_empty()).then_some(Sample { at, signals })
}

/// Groups the samples of a vehicle into events of one upload each.
pub(crate) fn events_of(samples: &[Sample]) -> Vec<BlockEvent> {
    let event = |(number, samples): (usize, &[Sample])| {
        let at = samples.iter().map(|sample| sample.at.ms()).min().unwrap_or_default();
        let latest = samples.iter().map(|sample| sample.at).max().unwrap_or(Timestamp::from_ms(0));
        // Any distinct hash is suitable: hashes are not compressible.
        let hash = (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834) >> 48;
        // About one second of latency.
        let received = latest.plus_ms(700 + i64::try_from(hash % 600).unwrap_or_default());
        BlockEvent { eid: u128::from(at.cast_unsigned()) << 80 | hash, received, samples: samples.to_vec() }
    };
    samples.chunks(SAMPLES_PER_EVENT).enumerate().map(event).collect()
}
