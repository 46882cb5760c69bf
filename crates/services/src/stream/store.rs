//! Storing: merges events into the state if the unmerged tail is too long, then appends them to the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{PendingEvent, Record, StepResult, by_vehicle, first_record};
use super::event_store::{CONCURRENCY, EventStore};
use super::quarantine::quarantine_refused;
use crate::log_scan;

/// The events whose readings the state refuses because of their data, each with the error.
type RefusedEvents = BTreeMap<Eid, PortError>;

impl<Ports: PortSet> EventStore<Ports> {
    /// Merges the state, then appends to the log. An event in the log needs no further step, so the state is merged before.
    /// Quarantines the events that a store refuses because of their data, because a retry would never succeed. No event
    /// remains.
    pub(super) async fn store(
        &self,
        records: &[Record],
        pending: Vec<PendingEvent>,
        states: HashMap<VehicleId, StoredState>,
    ) -> StepResult {
        let mut merged = self.merge_all(records, pending, states).await;
        let appended = self.append_to_log(records, std::mem::take(&mut merged.remaining)).await;
        merged.quarantined.extend(appended.quarantined);
        merged.outcome.add(appended.outcome);
        merged
    }

    /// Merges events into the states of their vehicles, as far as necessary. Quarantines those that a state refuses because of
    /// their data; the others remain.
    pub(super) async fn merge_all(
        &self,
        records: &[Record],
        pending: Vec<PendingEvent>,
        mut states: HashMap<VehicleId, StoredState>,
    ) -> StepResult {
        let mut step = StepResult::default();
        // A loop, because the compiler rejects a closure over borrowed events here.
        let mut merges = Vec::new();
        for events in by_vehicle(pending) {
            let state = events.first().and_then(|event| states.remove(&event.log_entry.event.vid)).unwrap_or_default();
            merges.push(self.merge_state(state, events));
        }
        let after_merge: Vec<(Vec<PendingEvent>, Result<RefusedEvents, PortError>)> =
            stream::iter(merges).buffer_unordered(CONCURRENCY).collect().await;

        for (pending, result) in after_merge {
            match result {
                Err(error) => step.outcome.fail(first_record(&pending), error),
                Ok(refused) => {
                    for event in pending {
                        match refused.get(&event.log_entry.event.eid) {
                            Some(error) => quarantine_refused(&mut step, records, &event, error.clone()),
                            None => step.remaining.push(event),
                        }
                    }
                }
            }
        }
        step
    }

    /// Appends events to the log. Quarantines those that it refuses because of their data. No event remains.
    pub(super) async fn append_to_log(&self, records: &[Record], pending: Vec<PendingEvent>) -> StepResult {
        let mut step = StepResult::default();
        let location = |event: PendingEvent| ((event.record, event.index, event.is_exclusive), event.log_entry);
        let (locations, events): (Vec<_>, Vec<StoredEvent>) = pending.into_iter().map(location).unzip();
        let appended = self.append(&events).await;
        for (((record, index, is_exclusive), log_entry), result) in locations.into_iter().zip(events).zip(appended) {
            match result {
                Ok(()) => {
                    self.recent.record(&log_entry);
                    step.outcome.trace_candidates.add(log_entry.event.eid);
                    step.outcome.counts.samples_stored += log_entry.event.sample_count();
                }
                Err(error) if error.kind() == PortErrorKind::Rejected => {
                    let event = PendingEvent { record, index, is_exclusive, log_entry };
                    quarantine_refused(&mut step, records, &event, error);
                }
                Err(error) => step.outcome.fail(record, error),
            }
        }
        step
    }

    /// Appends events to the log and returns the result of each. The events of an item that the log refuses because of its
    /// data are appended again, each alone, so that only those are refused that cause it.
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        let mut results = self.log.append(events).await;
        let is_refused =
            |result: &Result<(), PortError>| result.as_ref().is_err_and(|error| error.kind() == PortErrorKind::Rejected);
        let refused: Vec<usize> = (0..results.len()).filter(|index| is_refused(&results[*index])).collect();
        if refused.len() < 2 {
            return results;
        }
        let mut appends = Vec::new();
        for index in refused {
            appends.push(async move { (index, self.log.append(&events[index..=index]).await.pop()) });
        }
        let appended: Vec<_> = stream::iter(appends).buffer_unordered(CONCURRENCY).collect().await;
        for (index, result) in appended {
            results[index] = result.unwrap_or(Ok(()));
        }
        results
    }

    /// Merges a vehicle's events into its stored state, unless all of them can stay in the unmerged tail of the log: then
    /// nothing is written, and readers of the state also read the tail. If the tail would become too long, it is merged
    /// entirely.
    ///
    /// An event that is not exclusive is always merged and never advances the watermark. Another batch may advance
    /// the watermark at the same time, after it has read the log without this event.
    async fn merge_state(
        &self,
        stored_state: StoredState,
        events: Vec<PendingEvent>,
    ) -> (Vec<PendingEvent>, Result<RefusedEvents, PortError>) {
        let time = |event: &PendingEvent| event.log_entry.event.eid.time();
        if events.iter().all(|event| event.is_exclusive && stored_state.state.can_stay_in_log(time(event))) {
            return (events, Ok(RefusedEvents::new()));
        }
        let latest = events.iter().filter(|event| event.is_exclusive).map(time).max();
        let merged = self.merge_events(stored_state, &events, latest).await;
        (events, merged)
    }

    /// Merges events, and the unmerged tail if `latest` is after it: the time of the latest exclusive event.
    /// Returns the events that the state refuses because of their data; all others are merged. A refused event of the tail is
    /// in the log already and stays there.
    async fn merge_events(
        &self,
        mut stored_state: StoredState,
        events: &[PendingEvent],
        latest: Option<Timestamp>,
    ) -> Result<RefusedEvents, PortError> {
        let mut refused = RefusedEvents::new();
        let Some(first) = events.first() else { return Ok(refused) };
        let vid = &first.log_entry.event.vid;
        let mut last_page = None;
        if let Some(latest) = latest {
            (stored_state, last_page) = self.merge_full_pages(vid, stored_state, latest).await?;
        }
        loop {
            let last_page = last_page.take();
            let new_values = self.new_values(vid, &stored_state.state, events, latest, &refused, last_page).await?;
            let error = match self.state.merge(vid, stored_state, &new_values).await {
                Err(error) if error.kind() == PortErrorKind::Rejected => error,
                result => return result.map(|()| refused),
            };
            let found = self.merge_separately(vid, &new_values).await?;
            if found.is_empty() {
                // All readings are merged, but the watermark is refused: not the fault of an event.
                return Err(PortError::new(PortErrorKind::Internal, "advance the watermark of a state").caused_by(error));
            }
            refused.extend(found);
            stored_state = self.state.read(vid).await?;
        }
    }

    /// Merges the unmerged tail up to its last page if `latest` is after it, and advances the watermark with each page: a
    /// sender may store any number of events in that time, and a retry must continue where the function was ended. Returns
    /// the stored state, and the newest values of the last page; `None` if the rest of the tail is not read.
    async fn merge_full_pages(
        &self,
        vid: &VehicleId,
        mut stored_state: StoredState,
        latest: Timestamp,
    ) -> Result<(StoredState, Option<VehicleState>), PortError> {
        while let Some(watermark) = stored_state.state.watermark.filter(|_| !stored_state.state.may_contain(latest)) {
            let page = log_scan::unmerged_page(&self.log, vid, watermark).await?;
            let mut readings = VehicleState::default();
            for stored in &page.events {
                readings.merge_event(&stored.event);
            }
            let Some(next) = page.next else { return Ok((stored_state, Some(readings))) };
            // All events before the next page are merged. A page of events of one millisecond does not advance the watermark.
            let Some(merged_to) = Some(next.time()).filter(|next| *next > watermark) else { break };
            readings.watermark = Some(merged_to);
            match self.state.merge(vid, stored_state, &readings).await {
                // An event that the state refuses is found when the rest is merged.
                Err(error) if error.kind() == PortErrorKind::Rejected => return Ok((self.state.read(vid).await?, None)),
                merged => merged?,
            }
            stored_state = self.state.read(vid).await?;
        }
        Ok((stored_state, None))
    }

    /// Returns the newest values of the events and of the unmerged tail, without those of `refused` events. Reads the tail
    /// unless `tail` has its newest values.
    async fn new_values(
        &self,
        vid: &VehicleId,
        stored_state: &VehicleState,
        events: &[PendingEvent],
        latest: Option<Timestamp>,
        refused: &RefusedEvents,
        tail: Option<VehicleState>,
    ) -> Result<VehicleState, PortError> {
        let is_tail_read = tail.is_some();
        let mut new_values = tail.unwrap_or_default();
        // Late events alone do not advance the watermark: the events in between are in the log.
        let after_tail = latest.filter(|latest| !stored_state.may_contain(*latest));
        if let Some(watermark) = stored_state.watermark
            && after_tail.is_some()
            && !is_tail_read
        {
            let merge = |stored: StoredEvent| {
                if !refused.contains_key(&stored.event.eid) {
                    new_values.merge_event(&stored.event);
                }
            };
            log_scan::scan_unmerged_tail(&self.log, vid, watermark, merge).await?;
        }
        for event in events.iter().filter(|event| !refused.contains_key(&event.log_entry.event.eid)) {
            new_values.merge_event(&event.log_entry.event);
        }
        if let Some(latest) = after_tail {
            new_values.advance_watermark(vid, latest);
        }
        Ok(new_values)
    }

    /// Merges readings in halves, by event, until the events that the state refuses are alone. Returns those. The watermark
    /// is not merged: it states that all events before it are.
    async fn merge_separately(&self, vid: &VehicleId, readings: &VehicleState) -> Result<RefusedEvents, PortError> {
        let mut refused = RefusedEvents::new();
        let mut groups: Vec<Vec<Eid>> = vec![readings.event_ids().into_iter().collect()];
        while let Some(mut group) = groups.pop() {
            let of_group: BTreeSet<Eid> = group.iter().copied().collect();
            let stored_state = self.state.read(vid).await?;
            match self.state.merge(vid, stored_state, &readings.of_events(&of_group)).await {
                Ok(()) => {}
                Err(error) if error.kind() == PortErrorKind::Rejected => {
                    let later = group.split_off(group.len() / 2);
                    if group.is_empty() {
                        refused.extend(later.into_iter().map(|eid| (eid, error.clone())));
                    } else {
                        groups.extend([later, group]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }
}
