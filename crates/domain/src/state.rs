//! The last-known value of each signal of a vehicle.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roadcast_signals::{SignalPath, Timestamp, Value};

use crate::event::{Body, Event};
use crate::ids::Eid;

/// A signal's newest reading.
#[derive(Clone, Debug, PartialEq)]
pub struct LastKnown {
    /// Its value.
    pub value: Value,
    /// When the vehicle observed it.
    pub at: Timestamp,
    /// When Roadcast received it.
    pub received: Timestamp,
    /// The event it came in.
    pub eid: Eid,
    /// Its sample's place in that event.
    pub index: u32,
}

impl LastKnown {
    /// Readings order by observed time, then event, then place in it. A clock ahead of ours counts as no later than when
    /// the reading was received: otherwise it would keep out the true readings that come after it.
    fn rank(&self) -> (Timestamp, Eid, u32) {
        (self.at.min(self.received), self.eid, self.index)
    }
}

/// The last-known value of each signal of a vehicle. Merging is commutative, associative and idempotent: late, repeated
/// and reordered events end in the same state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleState {
    /// By signal.
    pub signals: BTreeMap<SignalPath, LastKnown>,
    /// Every stored event of an earlier time is in `signals`; later ones, of [`TAIL_MS`] at most, may be in the log alone.
    /// Nothing where nothing was ever stored.
    pub watermark: Option<Timestamp>,
}

/// How long a stretch of the log may be ahead of the state, in milliseconds: to write a vehicle's state with each of its
/// batches would cost as much as to write its events.
pub const TAIL_MS: i64 = 5 * 60 * 1000;

impl VehicleState {
    /// Takes in an event; says whether anything became newer.
    pub fn observe(&mut self, event: &Event) -> bool {
        let Body::Telemetry(telemetry) = &event.body else { return false };
        let mut changed = false;
        for (index, sample) in telemetry.samples.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            // A signal is a path of the catalogue. Others would let a sender that makes up paths grow a state without end.
            for (path, value) in sample.signals.iter().filter(|(path, _)| path.def().is_some()) {
                let reading =
                    LastKnown { value: value.clone(), at: sample.at, received: event.received, eid: event.eid, index };
                changed |= self.take(path, reading);
            }
        }
        changed
    }

    /// Takes in what another state knows; says whether anything became newer.
    pub fn merge(&mut self, other: &Self) -> bool {
        let further = other.watermark > self.watermark;
        self.watermark = self.watermark.max(other.watermark);
        other.signals.iter().fold(further, |changed, (path, reading)| self.take(path, reading.clone()) || changed)
    }

    /// Whether an event of that time may be stored already: nothing is stored beyond the tail before the watermark moves on.
    pub fn may_hold(&self, time: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| time.ms_since(watermark) < TAIL_MS)
    }

    /// Whether an event of that time lies in the tail, where the log alone says what is known.
    pub fn can_stay_in_log(&self, time: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| (0..TAIL_MS).contains(&time.ms_since(watermark)))
    }

    /// Moves the watermark on, to the start of the stretch that a time lies in. Everything before must be taken in.
    pub fn advance_watermark(&mut self, time: Timestamp) {
        let stretch = Timestamp::from_ms(time.ms().div_euclid(TAIL_MS) * TAIL_MS);
        self.watermark = self.watermark.max(Some(stretch));
    }

    fn take(&mut self, path: &SignalPath, reading: LastKnown) -> bool {
        match self.signals.entry(path.clone()) {
            Entry::Vacant(place) => {
                place.insert(reading);
                true
            }
            Entry::Occupied(mut known) if known.get().rank() < reading.rank() => {
                known.insert(reading);
                true
            }
            Entry::Occupied(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
