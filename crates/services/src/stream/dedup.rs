//! Deduplication: drops events that are stored already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::EventRange;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::{StateStore, StoredState};

use super::batch::{BatchOutcome, PendingEvent, StepResult, first_record};
use super::event_store::{CONCURRENCY, EventStore};
use crate::log_scan;

/// Events of a vehicle at most this far apart are looked up in one range of the log, in milliseconds.
const SAME_RANGE_MS: i64 = 10 * 60 * 1000;

/// A vehicle's stored state, and which of its pending events are stored.
type LookUp = Result<(StoredState, BTreeSet<Eid>), PortError>;

impl<Ports: PortSet> EventStore<Ports> {
    /// Drops events that occur twice in this batch or are stored already, and events that cannot be looked up now, which
    /// are retried. Also returns the stored states of the remaining events' vehicles.
    pub(super) async fn drop_duplicates(
        &self,
        mut pending: Vec<PendingEvent>,
    ) -> (StepResult, HashMap<VehicleId, StoredState>) {
        let mut outcome = BatchOutcome::default();
        let before = pending.len();
        let mut seen = BTreeSet::new();
        pending.retain(|event| seen.insert((event.log_entry.event.vid.clone(), event.log_entry.event.eid)));
        outcome.counts.events_deduplicated += before - pending.len();

        let mut by_vehicle: BTreeMap<VehicleId, Vec<Eid>> = BTreeMap::new();
        for PendingEvent { log_entry, .. } in &pending {
            by_vehicle.entry(log_entry.event.vid.clone()).or_default().push(log_entry.event.eid);
        }
        let look_ups = by_vehicle.into_iter().map(|(vid, eids)| async move {
            let result = self.look_up(&vid, eids).await;
            (vid, result)
        });
        let looked_up: Vec<(VehicleId, LookUp)> = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;

        let mut states = HashMap::new();
        for (vid, result) in looked_up {
            let is_of = |event: &PendingEvent| event.log_entry.event.vid == vid;
            match result {
                Ok((state, stored)) => {
                    let before = pending.len();
                    pending.retain(|event| !is_of(event) || !stored.contains(&event.log_entry.event.eid));
                    outcome.counts.events_deduplicated += before - pending.len();
                    states.insert(vid, state);
                }
                Err(error) => {
                    outcome.fail(first_record(pending.iter().filter(|event| is_of(event))), error);
                    pending.retain(|event| !is_of(event));
                }
            }
        }
        (StepResult { remaining: pending, outcome, ..StepResult::default() }, states)
    }

    /// Reads a vehicle's stored state and which of these events are stored.
    async fn look_up(&self, vid: &VehicleId, eids: Vec<Eid>) -> LookUp {
        let stored_state = self.state.read(vid).await?;
        let may_be_stored = |eid: &Eid| stored_state.state.may_contain(eid.time()) && !self.recent.is_newer(vid, *eid);
        let candidates = eids.into_iter().filter(may_be_stored).collect();
        let stored = self.stored_eids(vid, candidates).await?;
        Ok((stored_state, stored))
    }

    /// Returns which of these events are stored. The result may also contain other stored events.
    async fn stored_eids(&self, vid: &VehicleId, mut eids: Vec<Eid>) -> Result<BTreeSet<Eid>, PortError> {
        eids.sort_unstable();
        // Events far apart are looked up separately, otherwise a late event would read the log in between; concurrently,
        // because a sender may spread a few kilobytes of events over years.
        let mut look_ups = Vec::new();
        for group in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < SAME_RANGE_MS) {
            if let (Some(first), Some(last)) = (group.first(), group.last()) {
                look_ups.push(self.stored_eids_between(vid, *first, *last));
            }
        }
        stream::iter(look_ups).buffer_unordered(CONCURRENCY).try_concat().await
    }

    async fn stored_eids_between(&self, vid: &VehicleId, first: Eid, last: Eid) -> Result<BTreeSet<Eid>, PortError> {
        let mut stored = BTreeSet::new();
        let range = EventRange { vid: vid.clone(), from: first, to: last, limit: log_scan::PAGE, consistent: false };
        log_scan::scan(&self.log, range, |found| {
            stored.insert(found.event.eid);
        })
        .await?;
        Ok(stored)
    }
}
