//! A summary of the recordings: their vehicles, number of rows and start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use roadcast_traces::{Format, Recording, Row, VehicleKey};

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
        for row in recording.rows() {
            self.rows += 1;
            if let Row::Sample(sample) = row? {
                if let Some(at) = sample.at_ms {
                    self.first_ms = Some(self.first_ms.map_or(at, |first| first.min(at)));
                }
                found.insert(sample.vehicle);
            }
        }
        for key in found {
            let registration = demo_fleet::registration(&key, recording.vehicle_details(&key).as_ref());
            self.vehicles.insert(key, registration);
        }
        Ok(())
    }
}
