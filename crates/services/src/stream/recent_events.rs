//! For each vehicle, the newest event that this instance has stored: most following events are newer.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};

/// The maximum number of vehicles: a warm function must not grow without bound. The vehicle that has not sent an event for the
/// longest time is evicted.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// For each vehicle, the newest event that this instance of the function has stored.
///
/// A newer event counts as new without a look-up. If another instance of the function has stored it, it is published and
/// stored once more, which is not visible to readers of the log and of the feed, because they deduplicate events by id.
#[derive(Debug)]
pub struct RecentEvents(Mutex<LruCache<VehicleId, Eid>>);

impl Default for RecentEvents {
    fn default() -> Self {
        Self(Mutex::new(LruCache::sparse(CAPACITY)))
    }
}

impl RecentEvents {
    /// Whether the event is newer than the newest stored event of its vehicle. False if that one is unknown.
    pub(super) fn is_newer(&self, vid: &VehicleId, eid: Eid) -> bool {
        let mut newest_by_vehicle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest_by_vehicle.get(vid).is_some_and(|newest| *newest < eid)
    }

    pub(super) fn record(&self, stored: &StoredEvent) {
        let mut newest_by_vehicle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match newest_by_vehicle.get_mut(&stored.event.vid) {
            Some(newest) => *newest = stored.event.eid.max(*newest),
            None => {
                newest_by_vehicle.put(stored.event.vid.clone(), stored.event.eid);
            }
        }
    }
}
