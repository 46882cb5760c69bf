//! A batch of the stream: its records, the events in processing, and the outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_domain::trace::TraceCandidates;
use roadcast_ports::PortError;
use roadcast_ports::archive::{QuarantinedItem, RawRecord};

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The shard.
    pub shard: String,
    /// The record's sequence number, partition key, arrival time and bytes.
    pub raw: Arc<RawRecord>,
}

/// The records of an invocation.
#[derive(Copy, Clone)]
pub(super) struct Batch<'a> {
    pub(super) records: &'a [Record],
    /// Whether the records are redriven or restored: they arrived earlier, and are processed beside the batches of the stream.
    pub(super) is_beside_stream: bool,
    /// The vehicles whose events are processed; `None` for all.
    pub(super) vehicles: Option<&'a BTreeSet<VehicleId>>,
}

impl<'a> Batch<'a> {
    /// A batch of the stream.
    pub(super) fn of_stream(records: &'a [Record]) -> Self {
        Self { records, is_beside_stream: false, vehicles: None }
    }

    /// Records that arrived earlier.
    pub(super) fn of_earlier(records: &'a [Record]) -> Self {
        Self { records, is_beside_stream: true, vehicles: None }
    }
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// The index of the first record to retry; it and all records after it are retried. `None` if no retry is needed.
    pub retry_from: Option<usize>,
    /// The index of the first record that was not started, because the batch had taken too long; it is retried.
    pub unstarted_from: Option<usize>,
    /// The errors because of which records are retried.
    pub failures: Vec<PortError>,
    /// The errors because of which events are quarantined. Those events are not retried.
    pub quarantine_causes: Vec<PortError>,
    /// Counts for metrics.
    pub counts: BatchCounts,
    /// Of the events that were newly stored, those that may be traced.
    pub trace_candidates: TraceCandidates,
}

impl BatchOutcome {
    /// Records that `error` makes a retry from this record on necessary.
    pub(super) fn fail(&mut self, record: usize, error: PortError) {
        self.retry_from = Some(self.retry_from.map_or(record, |first| first.min(record)));
        self.failures.push(error);
    }

    /// Adds the outcome of a part of the processing.
    pub(super) fn add(&mut self, part: Self) {
        let Self { retry_from, unstarted_from, failures, quarantine_causes, counts, trace_candidates } = part;
        self.retry_from = self.retry_from.into_iter().chain(retry_from).min();
        self.unstarted_from = self.unstarted_from.into_iter().chain(unstarted_from).min();
        self.failures.extend(failures);
        self.quarantine_causes.extend(quarantine_causes);
        self.counts.add(counts);
        self.trace_candidates.extend(trace_candidates);
    }
}

/// The counts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Samples received.
    pub samples_received: usize,
    /// Samples newly stored.
    pub samples_stored: usize,
    /// Samples quarantined, by reason.
    pub samples_quarantined: BTreeMap<Reason, usize>,
    /// Signals rejected, by reason.
    pub signals_rejected: BTreeMap<&'static str, usize>,
    /// Samples dropped because their vehicle was erased after they were received.
    pub samples_erased: usize,
    /// Events dropped as duplicates.
    pub events_deduplicated: usize,
    /// Entries published to the ingest bus.
    pub entries_published: usize,
    /// Arrivals restored in the feed index: events, each once per fleet.
    pub arrivals_restored: usize,
}

impl BatchCounts {
    fn add(&mut self, part: Self) {
        let Self {
            samples_received,
            samples_stored,
            samples_quarantined,
            signals_rejected,
            samples_erased,
            events_deduplicated,
            entries_published,
            arrivals_restored,
        } = part;
        self.samples_received += samples_received;
        self.samples_stored += samples_stored;
        for (reason, count) in samples_quarantined {
            *self.samples_quarantined.entry(reason).or_default() += count;
        }
        for (reason, count) in signals_rejected {
            *self.signals_rejected.entry(reason).or_default() += count;
        }
        self.samples_erased += samples_erased;
        self.events_deduplicated += events_deduplicated;
        self.entries_published += entries_published;
        self.arrivals_restored += arrivals_restored;
    }
}

/// The result of a step of the processing.
#[derive(Default)]
pub(super) struct StepResult {
    /// The events for the next step.
    pub(super) remaining: Vec<PendingEvent>,
    /// Items to store in quarantine, each with the index of its record.
    pub(super) quarantined: Vec<(usize, QuarantinedItem)>,
    /// The step's part of the outcome.
    pub(super) outcome: BatchOutcome,
}

/// A valid event that is not stored yet.
pub(super) struct PendingEvent {
    /// The index of its record in the batch.
    pub(super) record: usize,
    /// Its index in the record.
    pub(super) index: usize,
    /// Whether no other batch with exclusive events of the vehicle is in progress: the partition key of its record is the id of
    /// its vehicle, and the record is neither redriven nor restored. Other events may be processed at the same time.
    pub(super) is_exclusive: bool,
    /// The log entry that will be stored.
    pub(super) log_entry: StoredEvent,
}

impl PendingEvent {
    /// The vehicle.
    pub(super) fn vid(&self) -> &VehicleId {
        &self.log_entry.event.vid
    }

    /// The event's id.
    pub(super) fn eid(&self) -> Eid {
        self.log_entry.event.eid
    }
}

/// Sorts events by vehicle and `eid`. Equal events keep their order.
pub(super) fn sort_by_vehicle(events: &mut [PendingEvent]) {
    let order = |a: &PendingEvent, b: &PendingEvent| a.vid().cmp(b.vid()).then_with(|| a.eid().cmp(&b.eid()));
    // After the first step of the processing, events mostly are sorted.
    if !events.is_sorted_by(|a, b| order(a, b).is_le()) {
        events.sort_by(order);
    }
}

/// Groups events by vehicle, in `eid` order.
pub(super) fn by_vehicle(mut events: Vec<PendingEvent>) -> impl Iterator<Item = Vec<PendingEvent>> {
    sort_by_vehicle(&mut events);
    let lengths: Vec<usize> = events.chunk_by(|a, b| a.vid() == b.vid()).map(<[PendingEvent]>::len).collect();
    let mut events = events.into_iter();
    lengths.into_iter().map(move |length| events.by_ref().take(length).collect())
}

/// Returns the lowest record index of the events.
pub(super) fn first_record<'e>(events: impl IntoIterator<Item = &'e PendingEvent>) -> usize {
    events.into_iter().map(|event| event.record).min().unwrap_or(0)
}
