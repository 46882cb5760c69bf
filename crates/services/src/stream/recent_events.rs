//! What this function stored lately: most of what comes next is newer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};

/// Vehicles that are remembered: a warm function must not grow without end.
const CAPACITY: usize = 100_000;

/// The newest event that was stored of each vehicle, as far as this function knows.
///
/// An event beyond it is taken for new without a look-up. Another instance of the function may have stored it: then it is
/// published and stored once more, which readers of the log and of the feed do not notice, because they know events by id.
#[derive(Debug, Default)]
pub struct RecentEvents(Mutex<HashMap<VehicleId, Eid>>);

impl RecentEvents {
    /// Whether the event is newer than all that is known to be stored.
    pub(super) fn is_behind(&self, vid: &VehicleId, eid: Eid) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(vid).is_some_and(|newest| *newest < eid)
    }

    pub(super) fn note(&self, stored: &StoredEvent) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        let newest = known.entry(stored.event.vid.clone()).or_insert(stored.event.eid);
        *newest = stored.event.eid.max(*newest);
    }
}
