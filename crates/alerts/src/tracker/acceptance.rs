//! Which events and samples are evaluated.

use std::collections::BTreeSet;

use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::Eid;
use roadcast_signals::Timestamp;

use super::{Tracker, Update};
use crate::batch;

impl Tracker {
    /// Returns the events that were not accepted before, with the samples that are not too late. The outcome depends on the order of
    /// the events, but not on how they are divided into calls.
    pub(super) fn accept(&self, events: impl IntoIterator<Item = Event>, update: &mut Update) -> Vec<Event> {
        self.accept_within(Some(self.allowed_lateness_ms), events, update)
    }

    /// Returns the events that were not accepted before, with the samples after the oldest snapshot.
    pub(super) fn accept_all(&self, events: impl IntoIterator<Item = Event>, update: &mut Update) -> Vec<Event> {
        self.accept_within(None, events, update)
    }

    fn accept_within(
        &self,
        allowed_lateness_ms: Option<i64>,
        events: impl IntoIterator<Item = Event>,
        update: &mut Update,
    ) -> Vec<Event> {
        let oldest = self.states.oldest().time;
        let mut newest = self.states.head().time;
        let mut accepted: Vec<Event> = Vec::new();
        let mut eids: BTreeSet<Eid> = BTreeSet::new();
        for event in events {
            if event.vid != self.vid || matches!(event.body, Body::Alert(_) | Body::Custom(_)) {
                continue;
            }
            if self.window.contains(event.eid) || eids.contains(&event.eid) {
                update.duplicates += 1;
                continue;
            }
            let Some(last) = batch::times(&event).max() else { continue };
            let floor = newest.zip(allowed_lateness_ms).map(|(newest, lateness_ms)| newest.plus_ms(-lateness_ms));
            let is_in_time = |time: Timestamp| Some(time) > oldest && floor.is_none_or(|floor| time >= floor);
            let (event, too_late) = retain_samples(event, is_in_time);
            update.too_late += too_late;
            newest = newest.max(Some(last));
            if let Some(event) = event {
                eids.insert(event.eid);
                accepted.push(event);
            }
        }
        accepted
    }
}

/// Returns an event with the samples that are in time, and the number of the others.
fn retain_samples(mut event: Event, is_in_time: impl Fn(Timestamp) -> bool) -> (Option<Event>, usize) {
    let flags: Vec<bool> = batch::times(&event).map(is_in_time).collect();
    let too_late = flags.iter().filter(|in_time| !**in_time).count();
    if too_late == flags.len() {
        return (None, too_late);
    }
    if let Body::Telemetry(telemetry) = &mut event.body {
        telemetry.samples.retain_rows(&flags);
    }
    (Some(event), too_late)
}
