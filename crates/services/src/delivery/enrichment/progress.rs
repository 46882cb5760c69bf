//! What a failed attempt delivered of an entry, so that a retry in the same process delivers only the rest.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Holders;
use roadcast_domain::event::EventType;
use roadcast_domain::ids::FleetId;
use roadcast_domain::webhook::WebhookInterest;
use roadcast_ports::feed::Delivery;

use super::{FleetEvents, RedactedEvent};
use crate::entry_packing::{entry_share, pack};

/// Maximum number of parts of an entry that are remembered. More parts are delivered again by a retry.
const MAX_PARTS: usize = 4096;

/// How far a part of an entry was delivered. A part is a CloudEvent for a fleet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Published, but not yet in the feed index.
    Published,
    /// Published and in the feed index.
    Recorded,
}

/// A digest of fleet, holders and event ids: 128 bits with random keys, so that two parts of an entry do not share one.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PartKey(u64, u64);

/// The parts of an entry that were delivered. Keep it between the attempts of the entry.
#[derive(Debug, Default)]
pub struct EntryProgress {
    parts: Mutex<HashMap<PartKey, Stage>>,
    keys: (RandomState, RandomState),
}

impl EntryProgress {
    /// Returns the number of parts that were delivered.
    pub fn len(&self) -> usize {
        self.parts().len()
    }

    /// Returns whether nothing was delivered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn key(&self, fleet_id: &FleetId, held_by: &Holders, event: &RedactedEvent) -> PartKey {
        let part = (fleet_id.as_str(), held_by, &event.events);
        PartKey(self.keys.0.hash_one(part), self.keys.1.hash_one(part))
    }

    pub(super) fn stage(&self, part: PartKey) -> Option<Stage> {
        self.parts().get(&part).copied()
    }

    pub(super) fn set(&self, parts: &[PartKey], stage: Stage) {
        let mut known = self.parts();
        for part in parts {
            if known.len() < MAX_PARTS || known.contains_key(part) {
                known.insert(*part, stage);
            }
        }
    }

    fn parts(&self) -> MutexGuard<'_, HashMap<PartKey, Stage>> {
        // A panic cannot leave the map inconsistent.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one entry for a fleet.
pub(super) struct Group {
    held_by: Holders,
    pub(super) events: Vec<RedactedEvent>,
    pub(super) parts: Vec<PartKey>,
}

impl Group {
    /// Whether an endpoint of the fleet wants one of the events.
    pub(super) fn is_wanted(&self, interest: Option<&WebhookInterest>) -> bool {
        interest.is_some_and(|interest| self.events.iter().any(|event| interest.wants(event.event_type.as_str())))
    }

    /// Returns how many of the events were received before `time`, without alerts: an alert counts as received when its cause was,
    /// which may be long before it was evaluated.
    pub(super) fn received_before(&self, time: Timestamp) -> usize {
        let events = self.events.iter().filter(|event| event.event_type != EventType::Alert);
        events.flat_map(|event| &event.received).filter(|received| **received < time).count()
    }

    pub(super) fn into_delivery(self, fleet_id: &FleetId) -> Delivery {
        let events = self.events.into_iter().flat_map(|event| event.events).collect();
        Delivery { fleet_id: fleet_id.clone(), events, held_by: self.held_by }
    }
}

/// Returns the groups that are published but not in the feed index, and those to publish. Drops what is in the feed index.
pub(super) fn split_by_progress(
    fleet_id: &FleetId,
    events: FleetEvents,
    progress: &EntryProgress,
) -> (Vec<Group>, Vec<Group>) {
    let (mut published, mut groups) = (Vec::new(), Vec::new());
    for (held_by, events) in events {
        let group = |events: Vec<(PartKey, RedactedEvent)>| {
            let (parts, events) = events.into_iter().unzip();
            Group { held_by: held_by.clone(), events, parts }
        };
        let (mut unrecorded, mut missing) = (Vec::new(), Vec::new());
        for event in events {
            let part = progress.key(fleet_id, &held_by, &event);
            match progress.stage(part) {
                None => missing.push((part, event)),
                Some(Stage::Published) => unrecorded.push((part, event)),
                Some(Stage::Recorded) => {}
            }
        }
        if !unrecorded.is_empty() {
            published.push(group(unrecorded));
        }
        groups.extend(pack(missing, |(_, event)| entry_share(&event.json, event.decoded_bytes)).into_iter().map(group));
    }
    (published, groups)
}
