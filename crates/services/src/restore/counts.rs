//! What a restore counts.

use serde::{Deserialize, Serialize};

use crate::stream::BatchCounts;

/// What was restored. After a failure, what the failed attempt stored counts as present.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreCounts {
    /// Records of the archive.
    pub records: usize,
    /// Samples of these records, without those of other vehicles.
    pub samples: usize,
    /// Samples that were stored.
    pub samples_stored: usize,
    /// Events that were stored already, or occurred twice.
    pub events_present: usize,
    /// Arrivals that were recorded: events, each once per fleet.
    pub arrivals_recorded: usize,
    /// Samples that are invalid or of unknown vehicles. They are in the quarantine since they arrived, or would be in it today.
    pub samples_invalid: usize,
    /// Batches of the archive that cannot be read. The log names them.
    pub unreadable_batches: usize,
}

impl RestoreCounts {
    pub(super) fn add_batch(&mut self, records: usize, counts: &BatchCounts) {
        self.add(&Self {
            records,
            samples: counts.samples_received,
            samples_stored: counts.samples_stored,
            events_present: counts.events_deduplicated,
            arrivals_recorded: counts.arrivals_restored,
            samples_invalid: counts.samples_quarantined.values().sum(),
            unreadable_batches: 0,
        });
    }

    /// Adds what another part of the restore counted.
    pub fn add(&mut self, other: &Self) {
        let Self {
            records,
            samples,
            samples_stored,
            events_present,
            arrivals_recorded,
            samples_invalid,
            unreadable_batches,
        } = other;
        self.records += records;
        self.samples += samples;
        self.samples_stored += samples_stored;
        self.events_present += events_present;
        self.arrivals_recorded += arrivals_recorded;
        self.samples_invalid += samples_invalid;
        self.unreadable_batches += unreadable_batches;
    }
}
