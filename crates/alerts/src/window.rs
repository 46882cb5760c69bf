//! The events that late samples may need.

use std::collections::BTreeMap;

use roadcast_domain::event::Event;
use roadcast_domain::ids::Eid;
use roadcast_signals::Timestamp;

use crate::batch;

/// Accepted events with a sample after some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    events: BTreeMap<Eid, Kept>,
    samples: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    event: Event,
    samples: usize,
    bytes: usize,
    last: Timestamp,
}

impl Window {
    pub(crate) fn contains(&self, eid: Eid) -> bool {
        self.events.contains_key(&eid)
    }

    pub(crate) fn get(&self, eid: Eid) -> Option<&Event> {
        self.events.get(&eid).map(|kept| &kept.event)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.values().map(|kept| &kept.event)
    }

    /// The number of samples.
    pub(crate) const fn samples(&self) -> usize {
        self.samples
    }

    /// The bytes of the events in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            let Some(last) = batch::times(&event).max() else { continue };
            let samples = batch::times(&event).count();
            let bytes = event.memory_bytes();
            self.samples += samples;
            self.bytes += bytes;
            self.events.insert(event.eid, Kept { event, samples, bytes, last });
        }
    }

    /// Removes events without a sample after a time.
    pub(crate) fn forget_until(&mut self, time: Option<Timestamp>) {
        let Some(time) = time else { return };
        let (samples, bytes) = (&mut self.samples, &mut self.bytes);
        self.events.retain(|_, kept| {
            let is_kept = kept.last > time;
            if !is_kept {
                *samples -= kept.samples;
                *bytes -= kept.bytes;
            }
            is_kept
        });
    }
}
