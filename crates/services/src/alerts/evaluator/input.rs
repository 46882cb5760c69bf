//! What is evaluated: the events of vehicles, and the time that passes for them.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;

use super::shards::Shard;

/// What is evaluated of a vehicle.
#[derive(Default)]
pub(super) struct Input {
    /// The events, in the order of their arrival.
    pub(super) events: Vec<Event>,
    /// How many of them were pending.
    pub(super) pending: usize,
    /// The record to retry from if the evaluation fails.
    pub(super) record: usize,
    /// The time that has passed, if it may have an effect.
    pub(super) time: Option<Timestamp>,
    /// Whether the store knows that the silence of the vehicle is watched.
    pub(super) is_watched: bool,
}

/// What is evaluated, by vehicle.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) by_vehicle: BTreeMap<VehicleId, Input>,
}

impl Input {
    /// Whether there are events that were read just now.
    pub(super) fn has_new_events(&self) -> bool {
        self.events.len() > self.pending
    }
}

impl Inputs {
    /// Returns what a shard has not finished. If it fails again, it is retried with this record.
    pub(super) fn unfinished(shard: &mut Shard, record: usize) -> Self {
        let mut inputs = Self::default();
        for (vid, events) in shard.take_pending() {
            inputs.by_vehicle.insert(vid, Input { pending: events.len(), events, record, ..Input::default() });
        }
        for key in &shard.unfinished {
            inputs.of_vehicle(&key.vid, record);
        }
        inputs
    }

    /// Adds the events of a record.
    pub(super) fn add(&mut self, events: Vec<Event>, record: usize) {
        for event in events {
            let vid = event.vid.clone();
            self.of_vehicle(&vid, record).events.push(event);
        }
    }

    /// Returns the input of a vehicle, to add to it.
    pub(super) fn of_vehicle(&mut self, vid: &VehicleId, record: usize) -> &mut Input {
        self.by_vehicle.entry(vid.clone()).or_insert_with(|| Input { record, ..Input::default() })
    }
}
