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
    /// The largest id of an event that was taken in. State is kept before the log, so an event beyond it was never stored:
    /// data that comes in order needs no look-up for duplicates.
    pub frontier: Option<Eid>,
}

impl VehicleState {
    /// Takes in an event; says whether anything became newer.
    pub fn observe(&mut self, event: &Event) -> bool {
        let mut changed = self.reach(Some(event.eid));
        let Body::Telemetry(telemetry) = &event.body else { return changed };
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
        let further = self.reach(other.frontier);
        other.signals.iter().fold(further, |changed, (path, reading)| self.take(path, reading.clone()) || changed)
    }

    /// Whether an event of that id may be stored already.
    pub fn may_hold(&self, eid: Eid) -> bool {
        self.frontier.is_some_and(|frontier| eid <= frontier)
    }

    fn reach(&mut self, eid: Option<Eid>) -> bool {
        let further = eid > self.frontier;
        if further {
            self.frontier = eid;
        }
        further
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
