//! The last-known value of each signal of a vehicle.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use roadcast_signals::{Column, POSITION, SignalPath, Timestamp, Value};

use crate::event::{Body, Event};
use crate::ids::{Eid, VehicleId};
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
        (time_rank(self.at, self.received), self.eid, self.index, Reverse(self.received))
    }

    /// Whether both readings are of the same sample.
    fn is_of_the_sample_of(&self, other: &Self) -> bool {
        (self.eid, self.index, self.at) == (other.eid, other.index, other.at)
    }
}

/// The part of the rank of a reading that does not depend on its event.
fn time_rank(at: Timestamp, received: Timestamp) -> impl Ord + Copy {
    let is_possible = at.ms_since(received) <= CLOCK_TOLERANCE_MS;
    let time = if is_possible { at.min(received) } else { received.plus_ms(-AHEAD_PENALTY_MS) };
    (time, is_possible, at)
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
pub const TAIL_MS: i64 = 30 * 60 * 1000;

fn is_coordinate(path: &SignalPath) -> bool {
    POSITION.contains(&path.as_str())
}

impl VehicleState {
    /// Merges an event. Returns whether any reading became newer.
    pub fn merge_event(&mut self, event: &Event) -> bool {
        let Body::Telemetry(telemetry) = &event.body else { return false };
        let samples = &telemetry.samples;
        // Of one event, the newest reading of a signal is that of the newest of the samples that have it.
        let rank = |row: usize| (time_rank(samples.times()[row], event.received), row);
        let mut by_rank: Vec<usize> = (0..samples.len()).collect();
        by_rank.sort_unstable_by_key(|row| Reverse(rank(*row)));
        let [latitude, longitude] = POSITION.map(|path| samples.column(path));
        let has = |column: Option<&Column>, row: usize| column.is_some_and(|column| column.presence.has(row));
        let mut changed = false;
        // Only signals of the catalogue: otherwise a sender that invents paths could grow the state without limit.
        for column in samples.columns().iter().filter(|column| column.path.def().is_some()) {
            let is_coordinate = is_coordinate(&column.path);
            let is_candidate =
                |row: usize| column.presence.has(row) && (!is_coordinate || has(latitude, row) && has(longitude, row));
            let newest = by_rank.iter().copied().find(|row| is_candidate(*row));
            let Some((row, value)) = newest.and_then(|row| Some((row, column.value_of_row(row)?))) else { continue };
            let index = u32::try_from(row).unwrap_or(u32::MAX);
            let reading = LastKnown { value, at: samples.times()[row], received: event.received, eid: event.eid, index };
            changed |= self.update(&column.path, reading);
        }
        changed
    }

    /// Merges another state. Returns whether any reading or the watermark became newer.
    pub fn merge(&mut self, other: &Self) -> bool {
        let is_later = other.watermark > self.watermark;
        self.watermark = self.watermark.max(other.watermark);
        other.signals.iter().fold(is_later, |changed, (path, reading)| self.update(path, reading.clone()) || changed)
    }

    /// Returns the events that contain the readings.
    pub fn event_ids(&self) -> BTreeSet<Eid> {
        self.signals.values().map(|reading| reading.eid).collect()
    }

    /// Returns the readings that are of these events, without a watermark.
    #[must_use]
    pub fn of_events(&self, eids: &BTreeSet<Eid>) -> Self {
        let is_of_events = |(_, reading): &(&SignalPath, &LastKnown)| eids.contains(&reading.eid);
        let signals = self.signals.iter().filter(is_of_events).map(|(path, reading)| (path.clone(), reading.clone()));
        Self { signals: signals.collect(), watermark: None }
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

    /// Advances the watermark to the start of the interval of [`TAIL_MS`] that contains `time`. All events before must be merged.
    /// The intervals of different vehicles start at different times, so that their states are not written all at once.
    pub fn advance_watermark(&mut self, vid: &VehicleId, time: Timestamp) {
        let phase_ms = vid.as_str().bytes().fold(0, |phase, byte| (phase * 31 + i64::from(byte)) % TAIL_MS);
        let start = Timestamp::from_ms((time.ms() - phase_ms).div_euclid(TAIL_MS) * TAIL_MS + phase_ms);
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
