//! Storing: merges events into the state if the unmerged tail is too long, then appends them to the log.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::{PortError, PortErrorKind};

use super::batch::{BatchOutcome, PendingEvent, Record, StepResult, by_vehicle, first_record};
use super::event_store::{CONCURRENCY, EventStore};
use super::quarantine::QuarantinedItemBuilder;
use crate::log_scan;

impl<Ports: PortSet> EventStore<Ports> {
    /// Merges the state, then appends to the log. An event in the log needs no further step, so the state is merged before.
    /// Quarantines the events that the stores reject permanently, because a retry would never succeed. No event remains.
    pub(super) async fn store(
        &self,
        records: &[Record],
        pending: Vec<PendingEvent>,
        mut states: HashMap<VehicleId, StoredState>,
    ) -> StepResult {
        let mut outcome = BatchOutcome::default();
        // A loop, because the compiler rejects a closure over borrowed events here.
        let mut merges = Vec::new();
        for events in by_vehicle(pending.into_iter()) {
            let state = events.first().and_then(|event| states.remove(&event.log_entry.event.vid)).unwrap_or_default();
            merges.push(self.merge_state(state, events));
        }
        let after_merge: Vec<(Vec<PendingEvent>, Result<(), PortError>)> =
            stream::iter(merges).buffer_unordered(CONCURRENCY).collect().await;

        let mut merged_events = Vec::new();
        for (pending, result) in after_merge {
            match result {
                Ok(()) => merged_events.extend(pending),
                Err(error) => outcome.fail(first_record(&pending), error),
            }
        }
        let location = |event: PendingEvent| ((event.record, event.index, event.is_large()), event.log_entry);
        let (locations, events): (Vec<_>, Vec<StoredEvent>) = merged_events.into_iter().map(location).unzip();
        let appended = self.log.append(&events).await;
        let mut quarantined = Vec::new();
        for (((record, index, is_large), stored), result) in locations.into_iter().zip(&events).zip(appended) {
            match result {
                Ok(()) => {
                    self.recent.record(stored);
                    outcome.counts.samples_stored += stored.event.sample_count();
                }
                Err(error) if error.kind() == PortErrorKind::Rejected && is_large => {
                    let builder = QuarantinedItemBuilder { record: &records[record] };
                    quarantined.push((record, builder.unstorable(&stored.event, index)));
                    outcome.quarantine_causes.push(error);
                }
                Err(error) => outcome.fail(record, error),
            }
        }
        StepResult { remaining: Vec::new(), quarantined, outcome }
    }

    /// Merges a vehicle's events into its stored state, unless all of them can stay in the unmerged tail of the log: then
    /// nothing is written, and readers of the state also read the tail. If the tail would become too long, it is merged
    /// entirely.
    async fn merge_state(
        &self,
        stored_state: StoredState,
        events: Vec<PendingEvent>,
    ) -> (Vec<PendingEvent>, Result<(), PortError>) {
        let times = events.iter().map(|event| event.log_entry.event.eid.time());
        if times.clone().all(|time| stored_state.state.can_stay_in_log(time)) {
            return (events, Ok(()));
        }
        let latest = times.max();
        let merged = self.merge_events(stored_state, &events, latest).await;
        (events, merged)
    }

    async fn merge_events(
        &self,
        stored_state: StoredState,
        events: &[PendingEvent],
        latest: Option<Timestamp>,
    ) -> Result<(), PortError> {
        let (Some(first), Some(latest)) = (events.first(), latest) else { return Ok(()) };
        let vid = &first.log_entry.event.vid;
        let mut new_values = VehicleState::default();
        if let Some(watermark) = stored_state.state.watermark
            && !stored_state.state.may_contain(latest)
        {
            for stored in log_scan::unmerged_tail(&self.log, vid, watermark).await? {
                new_values.merge_event(&stored.event);
            }
        }
        for event in events {
            new_values.merge_event(&event.log_entry.event);
        }
        // Late events alone do not advance the watermark: the events in between are in the log.
        if !stored_state.state.may_contain(latest) {
            new_values.advance_watermark(latest);
        }
        self.state.merge(vid, stored_state, &new_values).await
    }
}
