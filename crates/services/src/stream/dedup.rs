//! Deduplication: drops events that are stored already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::{StateStore, StoredState};

use super::batch::{BatchOutcome, PendingEvent, StepResult, by_vehicle, first_record, sort_by_vehicle};
use super::event_store::{CONCURRENCY, EventStore};

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
        outcome.counts.events_deduplicated += drop_repeated(&mut pending);
        let (mut step, states) = self.look_up_all(pending, true).await;
        step.outcome.add(outcome);
        (step, states)
    }

    /// Returns the stored states of the events' vehicles. Drops the events of those that cannot be read now.
    pub(super) async fn read_states(&self, pending: Vec<PendingEvent>) -> (StepResult, HashMap<VehicleId, StoredState>) {
        self.look_up_all(pending, false).await
    }

    /// Looks up sorted events, in the log too if `in_log`.
    async fn look_up_all(&self, pending: Vec<PendingEvent>, in_log: bool) -> (StepResult, HashMap<VehicleId, StoredState>) {
        let vehicles: Vec<(VehicleId, Vec<(Eid, bool)>)> = pending
            .chunk_by(|a, b| a.vid() == b.vid())
            .map(|events| {
                let ids = events.iter().map(|event| (event.eid(), event.is_exclusive)).collect();
                (events[0].vid().clone(), ids)
            })
            .collect();
        let look_ups = vehicles.into_iter().map(|(vid, events)| async move {
            let result = self.look_up(&vid, events, in_log).await;
            (vid, result)
        });
        let looked_up = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;
        drop_stored(pending, looked_up)
    }

    /// Reads a vehicle's stored state and which of these events are stored. Each event has a flag whether it is
    /// exclusive. Only then do the watermark and the newest stored event show that it cannot be stored yet. Without `in_log`,
    /// none counts as stored.
    async fn look_up(&self, vid: &VehicleId, events: Vec<(Eid, bool)>, in_log: bool) -> LookUp {
        let stored_state = self.state.read(vid).await?;
        let may_be_stored = |(eid, is_exclusive): &(Eid, bool)| {
            !is_exclusive || (stored_state.state.may_contain(eid.time()) && !self.recent.is_newer(vid, *eid))
        };
        let candidates: Vec<Eid> = events.into_iter().filter(may_be_stored).map(|(eid, _)| eid).collect();
        if candidates.is_empty() || !in_log {
            return Ok((stored_state, BTreeSet::new()));
        }
        let stored = self.log.stored_ids(vid, &candidates).await?;
        Ok((stored_state, stored))
    }
}

/// Sorts events by vehicle and `eid`, and drops those that occur twice. Returns how many it dropped.
pub(super) fn drop_repeated(pending: &mut Vec<PendingEvent>) -> usize {
    let before = pending.len();
    sort_by_vehicle(pending);
    pending.dedup_by(|later, first| later.eid() == first.eid() && later.vid() == first.vid());
    before - pending.len()
}

/// Drops the events that are stored, and those of vehicles whose look-up failed. Also returns the stored states of the other
/// vehicles. One pass over the events, because a batch may contain almost as many vehicles as events.
fn drop_stored(
    pending: Vec<PendingEvent>,
    looked_up: BTreeMap<VehicleId, LookUp>,
) -> (StepResult, HashMap<VehicleId, StoredState>) {
    let mut step = StepResult::default();
    let mut failed_records: BTreeMap<VehicleId, usize> = BTreeMap::new();
    for events in by_vehicle(pending) {
        let Some(vid) = events.first().map(PendingEvent::vid) else { continue };
        match looked_up.get(vid) {
            Some(Err(_)) => {
                failed_records.insert(vid.clone(), first_record(&events));
            }
            Some(Ok((_, stored))) => {
                let before = events.len();
                let kept = step.remaining.len();
                step.remaining.extend(events.into_iter().filter(|event| !stored.contains(&event.eid())));
                step.outcome.counts.events_deduplicated += before - (step.remaining.len() - kept);
            }
            None => step.remaining.extend(events),
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
        PendingEvent { record, index: 0, is_exclusive: true, log_entry: fixtures::diagnostic_event(vehicle, 0) }
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
