//! The events of a batch that may be traced.

use std::collections::BTreeSet;

use super::{EventSampling, TraceId};
use crate::ids::Eid;

/// The events of a batch that are traced at the lowest rates: at most [`TraceCandidates::MAX`]. Whatever the rate is, those that it
/// traces are among them, unless they are more. So a use case reports what may be traced, bounded, and does not know the rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceCandidates(BTreeSet<(u64, Eid)>);

impl TraceCandidates {
    /// The maximum number of events. It also limits what a sender can cause that selects the ids of its events.
    pub const MAX: usize = 20;

    /// Adds an event. Adding it again has no effect.
    pub fn add(&mut self, eid: Eid) {
        let candidate = (TraceId::of_event(eid).randomness(), eid);
        if self.0.len() < Self::MAX {
            self.0.insert(candidate);
        } else if self.0.first().is_some_and(|lowest| *lowest < candidate) && self.0.insert(candidate) {
            self.0.pop_first();
        }
    }

    /// Returns the events that are traced.
    pub fn traced(&self, sampling: EventSampling) -> impl Iterator<Item = Eid> {
        self.0.iter().map(|(_, eid)| *eid).filter(move |eid| sampling.includes(*eid))
    }
}

impl Extend<Eid> for TraceCandidates {
    fn extend<Eids: IntoIterator<Item = Eid>>(&mut self, eids: Eids) {
        eids.into_iter().for_each(|eid| self.add(eid));
    }
}

impl FromIterator<Eid> for TraceCandidates {
    fn from_iter<Eids: IntoIterator<Item = Eid>>(eids: Eids) -> Self {
        let mut candidates = Self::default();
        candidates.extend(eids);
        candidates
    }
}

impl IntoIterator for TraceCandidates {
    type Item = Eid;
    type IntoIter = std::iter::Map<std::collections::btree_set::IntoIter<(u64, Eid)>, fn((u64, Eid)) -> Eid>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(_, eid)| eid)
    }
}
