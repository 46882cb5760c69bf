//! The last-known value of each signal of a vehicle.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roadcast_signals::{SignalPath, Timestamp, Value};

use crate::event::{Body, Event};
use crate::ids::Eid;

/// The newest reading of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct LastKnown {
    /// The value.
    pub value: Value,
    /// When the vehicle observed it.
    pub at: Timestamp,
    /// When Roadcast received it.
    pub received: Timestamp,
    /// The event that contains the reading.
    pub eid: Eid,
    /// Index of the sample in that event.
    pub index: u32,
}

impl LastKnown {
    /// Orders readings by observed time, then by event, then by index in the event. An observed time after the received
    /// time counts as the received time. Otherwise a vehicle clock that is ahead would block the correct readings that
    /// follow.
    fn rank(&self) -> (Timestamp, Eid, u32) {
        (self.at.min(self.received), self.eid, self.index)
    }
}

/// The last-known value of each signal of a vehicle. Merging is commutative, associative and idempotent: late, repeated
/// and reordered events result in the same state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleState {
    /// The newest reading of each signal.
    pub signals: BTreeMap<SignalPath, LastKnown>,
    /// Every stored event before this time is merged into `signals`. Later events, of [`TAIL_MS`] at most, may be only in
    /// the event log. `None` if nothing was ever stored.
    pub watermark: Option<Timestamp>,
}

/// Maximum length of the unmerged tail, the part of the event log that is newer than the state, in milliseconds. Writing a
/// vehicle's state with each of its batches would cost as much as writing its events.
pub const TAIL_MS: i64 = 5 * 60 * 1000;

impl VehicleState {
    /// Merges an event. Returns whether any reading became newer.
    pub fn merge_event(&mut self, event: &Event) -> bool {
        let Body::Telemetry(telemetry) = &event.body else { return false };
        let mut changed = false;
        for (index, sample) in telemetry.samples.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            // Only signals of the catalogue: otherwise a sender that invents paths could grow the state without limit.
            for (path, value) in sample.signals.iter().filter(|(path, _)| path.def().is_some()) {
                let reading =
                    LastKnown { value: value.clone(), at: sample.at, received: event.received, eid: event.eid, index };
                changed |= self.update(path, reading);
            }
        }
        changed
    }

    /// Merges another state. Returns whether any reading or the watermark became newer.
    pub fn merge(&mut self, other: &Self) -> bool {
        let is_later = other.watermark > self.watermark;
        self.watermark = self.watermark.max(other.watermark);
        other.signals.iter().fold(is_later, |changed, (path, reading)| self.update(path, reading.clone()) || changed)
    }

    /// Whether an event of this time may already be stored. Events after the unmerged tail are stored only once the
    /// watermark has advanced.
    pub fn may_contain(&self, time: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| time.ms_since(watermark) < TAIL_MS)
    }

    /// Whether an event of this time is in the unmerged tail, so that it needs to be only in the event log.
    pub fn can_stay_in_log(&self, time: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| (0..TAIL_MS).contains(&time.ms_since(watermark)))
    }

    /// Advances the watermark to `time`, rounded down to a multiple of [`TAIL_MS`]. All events before must be merged.
    pub fn advance_watermark(&mut self, time: Timestamp) {
        let start = Timestamp::from_ms(time.ms().div_euclid(TAIL_MS) * TAIL_MS);
        self.watermark = self.watermark.max(Some(start));
    }

    fn update(&mut self, path: &SignalPath, reading: LastKnown) -> bool {
        match self.signals.entry(path.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(reading);
                true
            }
            Entry::Occupied(mut entry) if entry.get().rank() < reading.rank() => {
                entry.insert(reading);
                true
            }
            Entry::Occupied(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
