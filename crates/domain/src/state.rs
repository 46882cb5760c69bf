//! The last-known value of each signal of a vehicle.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roadcast_signals::{SignalPath, Timestamp, Value};

use crate::event::{Body, Event};
use crate::ids::Eid;
use crate::limits;

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

/// How far the clock of a vehicle may be ahead of the received time without being wrong, in milliseconds. The clocks of the
/// vehicle and of the stream differ a little, and some streams state the received time in whole seconds.
const CLOCK_TOLERANCE_MS: i64 = 2 * 1000;

/// How much older a reading counts whose time is after its receipt, in milliseconds: as much as a clock may be ahead.
const AHEAD_PENALTY_MS: i64 = limits::CLOCK_AHEAD_MS;

impl LastKnown {
    /// Orders readings: the greatest is the newest. The order of two readings depends on these two alone, so that the order
    /// in which they arrive does not matter.
    ///
    /// The time by which a reading is ordered is its observed time, but at most its received time. If the observed time is
    /// after the received time by more than [`CLOCK_TOLERANCE_MS`], the clock of the vehicle is wrong, and the time of the
    /// observation is unknown. Such a reading is older than all readings of the [`AHEAD_PENALTY_MS`] before its receipt
    /// that have a possible time. Readings that are equally old are ordered by observed time, event and index in the event.
    fn rank(&self) -> impl Ord {
        let is_possible = self.at.ms_since(self.received) <= CLOCK_TOLERANCE_MS;
        let time = if is_possible { self.at.min(self.received) } else { self.received.plus_ms(-AHEAD_PENALTY_MS) };
        (time, is_possible, self.at, self.eid, self.index, Reverse(self.received))
    }

    /// Whether both readings are of the same sample.
    fn is_of_the_sample_of(&self, other: &Self) -> bool {
        (self.eid, self.index, self.at) == (other.eid, other.index, other.at)
    }
}

/// The last-known value of each signal of a vehicle. Merging is commutative, associative and idempotent: late, repeated
/// and reordered events result in the same state.
///
/// Latitude and longitude are one value: both are of the same sample. A sample with only one of them changes neither. It
/// suffices to leave it out, because coordinates of one sample have the same rank.
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

/// The signals of a position.
const POSITION: [&str; 2] = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"];

fn is_coordinate(path: &SignalPath) -> bool {
    POSITION.contains(&path.as_str())
}

impl VehicleState {
    /// Merges an event. Returns whether any reading became newer.
    pub fn merge_event(&mut self, event: &Event) -> bool {
        let Body::Telemetry(telemetry) = &event.body else { return false };
        let mut changed = false;
        for (index, sample) in telemetry.samples.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let has_position = POSITION.iter().all(|path| sample.signals.contains_key(*path));
            // Only signals of the catalogue: otherwise a sender that invents paths could grow the state without limit.
            let known = sample.signals.iter().filter(|(path, _)| path.def().is_some());
            for (path, value) in known.filter(|(path, _)| has_position || !is_coordinate(path)) {
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

    /// Removes a position whose coordinates are not of one sample, which earlier releases could store.
    pub fn remove_split_position(&mut self) {
        let [latitude, longitude] = POSITION.map(|path| self.signals.get(path));
        let is_whole = match (latitude, longitude) {
            (Some(latitude), Some(longitude)) => latitude.is_of_the_sample_of(longitude),
            (None, None) => true,
            _ => false,
        };
        if !is_whole {
            self.signals.retain(|path, _| !is_coordinate(path));
        }
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
