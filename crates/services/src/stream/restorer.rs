//! Restoring: stores again what was stored of archived records.

use std::collections::{BTreeSet, HashMap};

use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::StoredState;
use serde::{Deserialize, Serialize};

use super::alerts::AlertReader;
use super::batch::{Batch, BatchOutcome, PendingEvent, Record, StepResult, first_record};
use super::chunk::{Chunk, ChunkTarget};
use super::dedup::drop_repeated;
use super::event_store::EventStore;
use super::validate::EventValidator;
use crate::delivery::restored_arrivals::{RestoredArrivals, digest_of};

/// What is restored.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    /// The event log, and the states of vehicles as far as its new events change them.
    Events,
    /// The last-known values of vehicles.
    State,
    /// The index of delivered events.
    Arrivals,
}

impl RestoreTarget {
    /// All targets.
    pub const ALL: [Self; 3] = [Self::Events, Self::State, Self::Arrivals];
}

/// Which part of the archived records is restored, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreScope {
    /// The vehicles; none means all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub vehicles: BTreeSet<VehicleId>,
    /// The targets. With [`RestoreTarget::Events`], an event that is in the log is complete and is skipped. Without it, every
    /// event counts as lost in the other targets.
    pub targets: BTreeSet<RestoreTarget>,
}

impl RestoreScope {
    fn includes(&self, target: RestoreTarget) -> bool {
        self.targets.contains(&target)
    }
}

/// Stores again what was stored of archived records: as the stream processor did, but without archiving, quarantining and
/// publishing them again.
pub struct RecordRestorer<Ports: PortSet> {
    /// Validates events.
    pub validator: EventValidator<Ports>,
    /// Reads alerts.
    pub alerts: AlertReader<Ports>,
    /// Drops stored events and stores new ones.
    pub store: EventStore<Ports>,
    /// Records arrivals.
    pub arrivals: RestoredArrivals<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> RecordRestorer<Ports> {
    /// Restores what is lost of these records, at the same time as batches of the stream with events of the same vehicles.
    /// After a failure, restore the same records again.
    pub async fn restore_batch(&self, records: &[Record], scope: &RestoreScope) -> BatchOutcome {
        let vehicles = Some(&scope.vehicles).filter(|vehicles| !vehicles.is_empty());
        let batch = Batch { vehicles, ..Batch::of_earlier(records) };
        self.validator.process(batch, &self.alerts, &self.clock, &ScopedRestore { restorer: self, scope }).await
    }

    /// Returns the events that are lost, and the stored states of their vehicles if these are to be merged.
    async fn lost_events(
        &self,
        pending: Vec<PendingEvent>,
        scope: &RestoreScope,
    ) -> (StepResult, HashMap<VehicleId, StoredState>) {
        if scope.includes(RestoreTarget::Events) {
            self.store.drop_duplicates(pending).await
        } else if scope.includes(RestoreTarget::State) {
            self.store.read_states(pending).await
        } else {
            (StepResult { remaining: pending, ..StepResult::default() }, HashMap::new())
        }
    }

    /// Returns the alerts that are lost. They have no state.
    async fn lost_alerts(&self, alerts: Vec<PendingEvent>, scope: &RestoreScope) -> StepResult {
        if scope.includes(RestoreTarget::Events) {
            self.store.drop_stored_alerts(alerts).await
        } else {
            StepResult { remaining: alerts, ..StepResult::default() }
        }
    }
}

struct ScopedRestore<'a, Ports: PortSet> {
    restorer: &'a RecordRestorer<Ports>,
    scope: &'a RestoreScope,
}

impl<Ports: PortSet> ChunkTarget for ScopedRestore<'_, Ports> {
    /// A chunk is restored in one piece or again: its digest identifies its arrivals.
    const CONTINUES_AFTER_FAILURE: bool = false;

    /// Records the arrivals of what is lost of the chunk, then stores it. The log is last: an event that is in the log is
    /// complete.
    async fn flush(&self, records: &[Record], chunk: Chunk) -> BatchOutcome {
        let Self { restorer, scope } = self;
        let Chunk { mut pending, mut alerts, quarantined, .. } = chunk;
        let mut outcome = BatchOutcome::default();
        for (_, item) in quarantined {
            *outcome.counts.samples_quarantined.entry(item.reason).or_default() += item.samples;
        }
        outcome.counts.events_deduplicated += drop_repeated(&mut pending) + drop_repeated(&mut alerts);
        // Of all events, because a retry finds some of them in the log.
        let digest = digest_of(pending.iter().chain(&alerts).map(|event| (event.vid(), event.eid())));
        let (lost, states) = restorer.lost_events(pending, scope).await;
        outcome.add(lost.outcome);
        let lost_alerts = restorer.lost_alerts(alerts, scope).await;
        outcome.add(lost_alerts.outcome);
        if outcome.retry_from.is_some() {
            return outcome;
        }
        if scope.includes(RestoreTarget::Arrivals) {
            let events = lost.remaining.iter().chain(&lost_alerts.remaining);
            let events: Vec<&Event> = events.map(|event| &event.log_entry.event).collect();
            match restorer.arrivals.record(digest, &events).await {
                Ok(recorded) => outcome.counts.arrivals_restored += recorded,
                Err(error) => {
                    outcome.fail(first_record(lost.remaining.iter().chain(&lost_alerts.remaining)), error);
                    return outcome;
                }
            }
        }
        let stored = if scope.includes(RestoreTarget::Events) {
            let mut stored = restorer.store.store(records, lost.remaining, states).await;
            let appended = restorer.store.append_to_log(records, lost_alerts.remaining).await;
            stored.quarantined.extend(appended.quarantined);
            stored.outcome.add(appended.outcome);
            stored
        } else if scope.includes(RestoreTarget::State) {
            restorer.store.merge_all(records, lost.remaining, states).await
        } else {
            StepResult::default()
        };
        for (_, item) in stored.quarantined {
            *outcome.counts.samples_quarantined.entry(item.reason).or_default() += item.samples;
        }
        outcome.add(stored.outcome);
        outcome
    }
}
