//! Storing: the state where it lags too far, then the log.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::archive::QuarantinedItem;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::{PortError, PortErrorKind};

use super::processor::{BatchOutcome, CONCURRENCY, Pending, Record, StreamProcessor, by_vehicle, first_record};
use super::quarantine::RecordQuarantine;
use crate::log_scan;

impl<A, Q, V, E, B, S: StateStore, L: EventLog, H, K> StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// State first, then the log: an event in the log has nothing left to do. Answers what the stores refuse for good, which
    /// is set aside, or it would come again for ever.
    pub(super) async fn store(
        &self,
        records: &[Record],
        pending: Vec<Pending>,
        mut known: HashMap<VehicleId, StoredState>,
        outcome: &mut BatchOutcome,
    ) -> Vec<(usize, QuarantinedItem)> {
        // A loop, because a closure over borrowed events is not general enough for the compiler here.
        let mut merges = Vec::new();
        for events in by_vehicle(pending.into_iter()) {
            let known = events.first().and_then(|event| known.remove(&event.stored.event.vid)).unwrap_or_default();
            merges.push(self.merge_state(known, events));
        }
        let after_merge: Vec<(Vec<Pending>, Result<(), PortError>)> =
            stream::iter(merges).buffer_unordered(CONCURRENCY).collect().await;

        let mut taken_in = Vec::new();
        for (pending, result) in after_merge {
            match result {
                Ok(()) => taken_in.extend(pending),
                Err(error) => outcome.fail(first_record(&pending), error),
            }
        }
        let origin = |event: Pending| ((event.record, event.place, event.is_large()), event.stored);
        let (origins, events): (Vec<_>, Vec<StoredEvent>) = taken_in.into_iter().map(origin).unzip();
        let appended = self.log.append(&events).await;
        let mut unstorable = Vec::new();
        for (((record, place, is_large), stored), result) in origins.into_iter().zip(&events).zip(appended) {
            match result {
                Ok(()) => {
                    self.recent.note(stored);
                    outcome.counts.samples_stored += stored.event.sample_count();
                }
                Err(error) if error.kind() == PortErrorKind::Rejected && is_large => {
                    let aside = RecordQuarantine { record: &records[record] };
                    unstorable.push((record, aside.unstorable(&stored.event, place)));
                    outcome.failures.push(error);
                }
                Err(error) => outcome.fail(record, error),
            }
        }
        unstorable
    }

    /// Takes a vehicle's events into its state, unless all of them may be left to the log: then nothing is written, and who
    /// reads the state reads the tail of the log with it. When the tail grows too long, it is taken in as a whole.
    async fn merge_state(&self, known: StoredState, events: Vec<Pending>) -> (Vec<Pending>, Result<(), PortError>) {
        let times = events.iter().map(|event| event.stored.event.eid.time());
        if times.clone().all(|time| known.state.can_stay_in_log(time)) {
            return (events, Ok(()));
        }
        let latest = times.max();
        let merged = self.merge_events(known, &events, latest).await;
        (events, merged)
    }

    async fn merge_events(
        &self,
        known: StoredState,
        events: &[Pending],
        latest: Option<Timestamp>,
    ) -> Result<(), PortError> {
        let (Some(first), Some(latest)) = (events.first(), latest) else { return Ok(()) };
        let vid = &first.stored.event.vid;
        let mut readings = VehicleState::default();
        if let Some(watermark) = known.state.watermark
            && !known.state.may_hold(latest)
        {
            for stored in log_scan::unmerged_tail(&self.log, vid, watermark).await? {
                readings.observe(&stored.event);
            }
        }
        for event in events {
            readings.observe(&event.stored.event);
        }
        // Late events alone do not move it: what lies between is in the log.
        if !known.state.may_hold(latest) {
            readings.advance_watermark(latest);
        }
        self.state.merge(vid, known, &readings).await
    }
}
