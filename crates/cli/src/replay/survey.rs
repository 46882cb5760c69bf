//! A first reading of the recordings: which vehicles they are about, and how long they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use roadcast_traces::{Format, Recording, Row, VehicleKey};

use crate::api::Registration;
use crate::stack::onboard;

/// What the recordings hold.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) vehicles: BTreeMap<VehicleKey, Registration>,
    pub(super) rows: u64,
    /// The earliest valid time, in milliseconds since 1970.
    pub(super) first_ms: Option<i64>,
}

impl Survey {
    pub(super) fn of(files: &[PathBuf], format: Option<Format>) -> Result<Self> {
        let mut survey = Self::default();
        for file in files {
            survey.add(file, format)?;
        }
        Ok(survey)
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
            let registration = onboard::registration(&key, recording.vehicle_details(&key).as_ref());
            self.vehicles.insert(key, registration);
        }
        Ok(())
    }
}
