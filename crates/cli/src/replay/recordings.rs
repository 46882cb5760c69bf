//! A summary of the recordings: their vehicles, number of rows and start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use roadcast_traces::{Format, Recording, Row, RowRefusal, TraceError, VehicleKey};

use crate::api::Registration;
use crate::stack::demo_fleet;

/// The summary of all recordings.
#[derive(Default)]
pub(super) struct RecordingSummary {
    /// The vehicles, with the details of the recording for their registration.
    pub(super) vehicles: BTreeMap<VehicleKey, Registration>,
    pub(super) rows: u64,
    /// The earliest valid sample time, in milliseconds since 1970.
    pub(super) first_ms: Option<i64>,
}

impl RecordingSummary {
    /// Reads the files. Fails if one of them has no row that can become an event.
    pub(super) fn read(files: &[PathBuf], format: Option<Format>) -> Result<Self> {
        let mut summary = Self::default();
        for file in files {
            summary.add(file, format)?;
        }
        Ok(summary)
    }

    fn add(&mut self, file: &Path, format: Option<Format>) -> Result<()> {
        let mut recording = Recording::open(file, format)?;
        let mut found = BTreeSet::new();
        let (mut rows, mut first_refused, mut has_usable_row) = (0, None, false);
        for row in recording.rows() {
            rows += 1;
            match row? {
                Row::Sample(sample) => {
                    if let Some(at) = sample.at_ms {
                        self.first_ms = Some(self.first_ms.map_or(at, |first| first.min(at)));
                        has_usable_row = true;
                    } else {
                        first_refused = first_refused.or(Some((sample.line, RowRefusal::NoValidTime)));
                    }
                    found.insert(sample.vehicle);
                }
                Row::Refused { line, reason } => first_refused = first_refused.or(Some((line, reason))),
            }
        }
        if !has_usable_row {
            let (path, format) = (file.to_owned(), recording.format());
            return Err(TraceError::NoUsableRow { path, format, rows, first: first_refused }.into());
        }
        self.rows += rows;
        for key in found {
            let registration = demo_fleet::registration(&key, recording.vehicle_details(&key).as_ref());
            self.vehicles.insert(key, registration);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// Writes a file into the temporary directory, reads it as a recording, and returns the error.
    fn read(name: &str, content: &str) -> Result<u64, String> {
        let path = std::env::temp_dir().join(format!("roadcast-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let summary = RecordingSummary::read(std::slice::from_ref(&path), None);
        std::fs::remove_file(&path).unwrap();
        summary.map(|summary| summary.rows).map_err(|error| error.to_string())
    }

    #[test]
    fn file_that_is_no_recording_is_an_error() {
        for content in ["{\n \"type\": \"FeatureCollection\"\n}\n", "{\"type\":\"FeatureCollection\"}", "a,b\n1,2\n"] {
            let error = read("unknown.json", content).unwrap_err();
            assert!(error.contains("is not a known recording"), "{error}");
        }
    }

    #[test]
    fn recording_without_a_usable_row_is_an_error() {
        let header = "field,signal,value,delay\n";
        let error = read("header.csv", header).unwrap_err();
        assert!(error.contains("no usable row: it has no rows"), "{error}");
        let error = read("target.csv", &format!("{header}target,Vehicle.Speed,1,0\n")).unwrap_err();
        assert!(error.contains("all are refused (1), the first at line 2"), "{error}");
        let error = read("time.ndjson", "{\"vehicle_id\":\"v\",\"time\":\"yesterday\",\"lon\":1}\n").unwrap_err();
        assert!(error.contains("no row of the vehicle has a valid time"), "{error}");
        assert_eq!(read("mixed.csv", &format!("{header}current,Vehicle.Speed,1,0\nnonsense\n")), Ok(2));
    }
}
