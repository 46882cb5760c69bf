//! Deduplication: drops events that are stored already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::EventRange;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::{StateStore, StoredState};

use super::batch::{BatchOutcome, PendingEvent, StepResult};
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
        let looked_up = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;
        let (mut step, states) = drop_stored(pending, looked_up);
        step.outcome.add(outcome);
        (step, states)
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

/// Drops the events that are stored, and those of vehicles whose look-up failed. Also returns the stored states of the other
/// vehicles. One pass over the events, because a batch may contain almost as many vehicles as events.
fn drop_stored(
    pending: Vec<PendingEvent>,
    looked_up: BTreeMap<VehicleId, LookUp>,
) -> (StepResult, HashMap<VehicleId, StoredState>) {
    let mut step = StepResult::default();
    let mut failed_records: BTreeMap<VehicleId, usize> = BTreeMap::new();
    for event in pending {
        let Event { vid, eid, .. } = &event.log_entry.event;
        match looked_up.get(vid) {
            Some(Ok((_, stored))) if stored.contains(eid) => step.outcome.counts.events_deduplicated += 1,
            Some(Err(_)) => {
                let first = failed_records.entry(vid.clone()).or_insert(event.record);
                *first = event.record.min(*first);
            }
            Some(Ok(_)) | None => step.remaining.push(event),
        }
    }
    let mut states = HashMap::new();
    for (vid, result) in looked_up {
        match result {
            Ok((state, _)) => {
                states.insert(vid, state);
            }
            Err(error) => step.outcome.fail(failed_records.remove(&vid).unwrap_or(0), error),
        }
    }
    (step, states)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use roadcast_ports::PortErrorKind;
    use roadcast_testbed::fixtures;

    use super::*;

    fn event(record: usize, vehicle: u128) -> PendingEvent {
        PendingEvent { record, index: 0, bytes: 100, log_entry: fixtures::diagnostic_event(vehicle, 0) }
    }

    #[test]
    fn drops_stored_events_and_retries_failed_look_ups() {
        let pending = vec![event(4, 1), event(3, 2), event(2, 3), event(1, 2)];
        let vid = |n: usize| pending[n].log_entry.event.vid.clone();
        let looked_up = BTreeMap::from([
            (vid(0), Ok((StoredState::default(), BTreeSet::from([pending[0].log_entry.event.eid])))),
            (vid(1), Err(PortError::new(PortErrorKind::TimedOut, "reading"))),
            (vid(2), Ok((StoredState::default(), BTreeSet::new()))),
        ]);
        let (step, states) = drop_stored(pending, looked_up);
        assert_eq!(step.remaining.iter().map(|event| event.record).collect::<Vec<_>>(), [2]);
        assert_eq!((step.outcome.retry_from, step.outcome.failures.len()), (Some(1), 1));
        assert_eq!(step.outcome.counts.events_deduplicated, 1);
        assert_eq!(states.len(), 2);
    }

    #[test]
    fn dropping_stored_events_does_not_multiply_vehicles_by_events() {
        let pending: Vec<PendingEvent> = (0..20_000).map(|n| event(n, n as u128)).collect();
        let stored = |event: &PendingEvent| BTreeSet::from([event.log_entry.event.eid]);
        let looked_up = pending
            .iter()
            .map(|event| (event.log_entry.event.vid.clone(), Ok((StoredState::default(), stored(event)))))
            .collect();
        let started = Instant::now();
        let (step, _) = drop_stored(pending, looked_up);
        assert_eq!((step.remaining.len(), step.outcome.counts.events_deduplicated), (0, 20_000));
        // 400 million comparisons take far longer.
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
