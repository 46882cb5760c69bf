//! Processing the stream: archive, judge, publish, store.
//!
//! In that order, because each step makes the next one safe to lose: what is archived can be processed again, what is
//! published can be published again (consumers know an event by its id), and what is stored is done: a retry that finds an
//! event stored has nothing left to do.

mod aside;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::intake;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::Subject;
use roadcast_ports::archive::{Archive, Parked, Quarantine, RawBatch, RawRecord};
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{Appended, EventLog, EventRange};
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::value::RawValue;

use crate::cached::{CachedEntitlements, CachedSubjects};
use crate::pack::pack;
use aside::Aside;

/// Processes batches of the stream.
pub struct Process<A, Q, V, E, B, S, L, K> {
    /// Where every record is kept as it came.
    pub archive: A,
    /// Where goes what cannot be taken.
    pub quarantine: Q,
    /// Who subjects name.
    pub subjects: CachedSubjects<V, K>,
    /// Whose events anybody may see.
    pub entitlements: CachedEntitlements<E, K>,
    /// To enrichment.
    pub bus: B,
    /// Last-known values.
    pub state: S,
    /// The events.
    pub log: L,
    /// The time.
    pub clock: K,
}

/// A record as the stream hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its shard.
    pub shard: String,
    /// Its partition key: the vehicle, where the record came over HTTP.
    pub partition_key: String,
    /// The record itself.
    pub raw: RawRecord,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The first record that must come again, by its place in the batch: it and all after it do.
    pub retry_from: Option<usize>,
    /// What went wrong, for the log.
    pub failures: Vec<PortError>,
    /// What was counted.
    pub counts: Counts,
}

/// What was counted in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that arrived.
    pub samples_received: usize,
    /// Samples newly stored.
    pub samples_stored: usize,
    /// Samples set aside, by reason.
    pub samples_quarantined: BTreeMap<Reason, usize>,
    /// Signals removed, by reason.
    pub signals_rejected: BTreeMap<&'static str, usize>,
    /// Events that were stored before.
    pub events_deduplicated: usize,
    /// Entries put onto the ingest bus.
    pub entries_published: usize,
}

/// An event on its way: the record it came in, and its bytes there.
struct Pending<'r> {
    record: usize,
    bytes: &'r RawValue,
    stored: StoredEvent,
}

impl<A, Q, V, E, B, S, L, K> Process<A, Q, V, E, B, S, L, K>
where
    A: Archive,
    Q: Quarantine,
    V: Vehicles,
    E: Entitlements,
    B: IngestBus,
    S: StateStore,
    L: EventLog,
    K: Clock,
{
    /// Processes a batch. One bad record never blocks the others: poison is set aside, and only what failed for a passing
    /// reason comes again.
    pub async fn batch(&self, records: &[Record]) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(error) = self.archive(records).await {
            outcome.fail(0, error);
            return outcome;
        }
        let (mut pending, parked) = self.judge(records, &mut outcome).await;
        self.park(parked, &mut outcome).await;
        self.drop_known(&mut pending, &mut outcome).await;
        let unpublishable = self.publish(records, &mut pending, &mut outcome).await;
        self.park(unpublishable, &mut outcome).await;
        let unstorable = self.store(records, pending, &mut outcome).await;
        self.park(unstorable, &mut outcome).await;
        outcome
    }

    async fn archive(&self, records: &[Record]) -> Result<(), PortError> {
        let mut shards: BTreeMap<&str, Vec<RawRecord>> = BTreeMap::new();
        for record in records {
            shards.entry(&record.shard).or_default().push(record.raw.clone());
        }
        for (shard, records) in shards {
            self.archive.keep(&RawBatch { shard: shard.to_owned(), records }).await?;
        }
        Ok(())
    }

    /// Judges every event of every record.
    async fn judge<'r>(&self, records: &'r [Record], outcome: &mut Outcome) -> (Vec<Pending<'r>>, Vec<(usize, Parked)>) {
        let mut pending = Vec::new();
        let mut parked = Vec::new();
        for (place, record) in records.iter().enumerate() {
            let aside = Aside { record };
            let events = match std::str::from_utf8(&record.raw.data) {
                Ok(text) => cloudevent::split(text),
                Err(_) => Err(Refusal::new(Reason::NotJson, "", "not UTF-8")),
            };
            let events = match events {
                Ok(events) => events,
                Err(refusal) => {
                    outcome.counts.samples_received += 1;
                    parked.push((place, aside.whole(&refusal, None, &record.raw.data, 1)));
                    continue;
                }
            };
            for event in events {
                let samples = intake::count_samples(event);
                outcome.counts.samples_received += samples;
                match self.judge_event(event, record).await {
                    Err(error) => outcome.fail(place, error),
                    Ok(Err((refusal, vid))) => {
                        parked.push((place, aside.whole(&refusal, vid, event.get().as_bytes(), samples)));
                    }
                    Ok(Ok((vid, intake))) => {
                        for (reason, count) in intake.rejected_by_reason() {
                            *outcome.counts.signals_rejected.entry(reason).or_default() += count;
                        }
                        parked.extend(intake.parked.iter().map(|sample| (place, aside.sample(&vid, intake.eid, sample))));
                        pending.extend(intake.accepted.map(|stored| Pending { record: place, bytes: event, stored }));
                    }
                }
            }
        }
        (pending, parked)
    }

    #[allow(clippy::type_complexity)] // two kinds of failure: ours is tried again, the event's own is set aside
    async fn judge_event(
        &self,
        event: &RawValue,
        record: &Record,
    ) -> Result<Result<(VehicleId, intake::Intake), (Refusal, Option<VehicleId>)>, PortError> {
        let envelope = match Envelope::read(event) {
            Ok(envelope) => envelope,
            Err(refusal) => return Ok(Err((refusal, None))),
        };
        let name = envelope.subject.as_deref().unwrap_or(&record.partition_key);
        let vid = match Subject::parse(name) {
            Some(subject) => self.subjects.resolve(&subject).await?,
            None => None,
        };
        let Some(vid) = vid else {
            let refusal = Refusal::new(Reason::VehicleUnknown, "/subject", "no vehicle of that name is registered");
            return Ok(Err((refusal, None)));
        };
        Ok(match intake::judge(&envelope, &vid, record.raw.arrived_at) {
            Ok(intake) => Ok((vid, intake)),
            Err(refusal) => Err((refusal, Some(vid))),
        })
    }

    /// Sets aside. Comes before storing, so that an event that is stored has its bad samples in quarantine.
    async fn park(&self, parked: Vec<(usize, Parked)>, outcome: &mut Outcome) {
        let Some(first) = parked.iter().map(|(record, _)| *record).min() else { return };
        let items: Vec<Parked> = parked.into_iter().map(|(_, item)| item).collect();
        match self.quarantine.park(&items).await {
            Ok(()) => {
                for item in items {
                    *outcome.counts.samples_quarantined.entry(item.reason).or_default() += item.samples;
                }
            }
            Err(error) => outcome.fail(first, error),
        }
    }

    /// Drops events that this batch holds twice or that are stored already, and those that cannot be looked up for now.
    async fn drop_known(&self, pending: &mut Vec<Pending<'_>>, outcome: &mut Outcome) {
        let before = pending.len();
        let mut seen = BTreeSet::new();
        pending.retain(|event| seen.insert((event.stored.event.vid.clone(), event.stored.event.eid)));

        let mut by_vehicle: BTreeMap<VehicleId, Vec<Eid>> = BTreeMap::new();
        for Pending { stored, .. } in pending.iter() {
            by_vehicle.entry(stored.event.vid.clone()).or_default().push(stored.event.eid);
        }
        let look_ups = by_vehicle.into_iter().map(|(vid, eids)| async move {
            let known = self.known(&vid, eids).await;
            (vid, known)
        });
        let known: HashMap<VehicleId, Result<BTreeSet<Eid>, PortError>> =
            stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;

        let mut kept = Vec::with_capacity(pending.len());
        let mut unknown_for_now = BTreeMap::new();
        for event in pending.drain(..) {
            match known.get(&event.stored.event.vid) {
                Some(Ok(known)) if known.contains(&event.stored.event.eid) => {}
                Some(Ok(_)) => kept.push(event),
                Some(Err(_)) | None => {
                    unknown_for_now.entry(event.stored.event.vid.clone()).or_insert(event.record);
                }
            }
        }
        let waiting = before - kept.len();
        outcome.counts.events_deduplicated += waiting;
        for (vid, result) in known {
            if let (Err(error), Some(record)) = (result, unknown_for_now.get(&vid)) {
                outcome.fail(*record, error);
            }
        }
        *pending = kept;
    }

    /// Which of these events of a vehicle are stored.
    async fn known(&self, vid: &VehicleId, mut eids: Vec<Eid>) -> Result<BTreeSet<Eid>, PortError> {
        eids.sort_unstable();
        let mut known = BTreeSet::new();
        // Events that lie far apart are looked up apart, or a late one would read all that lies between.
        for stretch in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < STRETCH_MS) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            let mut from = Some(*first);
            while let Some(start) = from {
                let range = EventRange { vid: vid.clone(), from: start, to: *last, limit: 1000 };
                let page = self.log.range(&range).await?;
                known.extend(page.events.iter().map(|stored| stored.event.eid));
                from = page.next;
            }
        }
        Ok(known)
    }

    /// Publishes what some fleet may see; drops what could not be published, so that it is not stored. Answers what the bus
    /// refuses for good.
    async fn publish(
        &self,
        records: &[Record],
        pending: &mut Vec<Pending<'_>>,
        outcome: &mut Outcome,
    ) -> Vec<(usize, Parked)> {
        let mut published = Vec::with_capacity(pending.len());
        let mut unseen = Vec::new();
        for event in pending.drain(..) {
            let live = self.entitlements.to_vehicle(&event.stored.event.vid).await;
            match live.map(|all| self.anybody_live(&all)) {
                Err(error) => outcome.fail(event.record, error),
                // Nobody may see it: it is stored, but stays off the buses.
                Ok(false) => unseen.push(event),
                Ok(true) => match serde_json::to_string(&event.stored.event.to_cloud_event()) {
                    Ok(json) => published.push((event, json)),
                    Err(error) => {
                        let error = PortError::new(PortErrorKind::Rejected, "write an event").caused_by(error);
                        outcome.fail(event.record, error);
                    }
                },
            }
        }
        let runs = pack(published, |(_, json)| json.len());
        let entries: Vec<Batch> =
            runs.iter().map(|run| Batch { events: run.iter().map(|(_, json)| json.clone()).collect() }).collect();
        let results = self.bus.publish(&entries).await;
        let mut unpublishable = Vec::new();
        for (run, result) in runs.into_iter().zip(results) {
            match (result, run.as_slice()) {
                (Ok(()), _) => {
                    outcome.counts.entries_published += 1;
                    pending.extend(run.into_iter().map(|(event, _)| event));
                }
                // Only an event that stands alone can be too large for the bus.
                (Err(error), [(event, _)])
                    if error.kind() == PortErrorKind::Rejected && event.bytes.get().len() > LARGE_BYTES =>
                {
                    let aside = Aside { record: &records[event.record] };
                    unpublishable.push((event.record, aside.unstorable(&event.stored.event, event.bytes)));
                    outcome.failures.push(error);
                }
                (Err(error), _) => outcome.fail(run.iter().map(|(event, _)| event.record).min().unwrap_or(0), error),
            }
        }
        pending.append(&mut unseen);
        unpublishable
    }

    fn anybody_live(&self, entitlements: &[roadcast_domain::entitlement::Entitlement]) -> bool {
        let now = self.clock.now();
        entitlements.iter().any(|entitlement| entitlement.is_live(now))
    }

    /// State first, then the log: an event in the log has nothing left to do. Answers what the stores refuse for good, which
    /// is set aside, or it would come again for ever.
    async fn store(&self, records: &[Record], pending: Vec<Pending<'_>>, outcome: &mut Outcome) -> Vec<(usize, Parked)> {
        let mut by_vehicle: BTreeMap<VehicleId, Vec<Pending<'_>>> = BTreeMap::new();
        for event in pending {
            by_vehicle.entry(event.stored.event.vid.clone()).or_default().push(event);
        }
        // A loop, because a closure over borrowed events is not general enough for the compiler here.
        let mut merges = Vec::with_capacity(by_vehicle.len());
        for (vid, events) in by_vehicle {
            merges.push(self.merge_state(vid, events));
        }
        let after_merge: Vec<(Vec<Pending<'_>>, Result<(), PortError>)> =
            stream::iter(merges).buffer_unordered(CONCURRENCY).collect().await;

        let mut places = Vec::new();
        let mut events = Vec::new();
        for (pending, result) in after_merge {
            match result {
                Ok(()) => {
                    for Pending { record, bytes, stored } in pending {
                        places.push((record, bytes));
                        events.push(stored);
                    }
                }
                Err(error) => outcome.fail(pending.iter().map(|event| event.record).min().unwrap_or(0), error),
            }
        }
        let mut unstorable = Vec::new();
        for (((record, bytes), event), result) in places.into_iter().zip(&events).zip(self.log.append(&events).await) {
            match result {
                Ok(Appended::New) => outcome.counts.samples_stored += event.event.sample_count(),
                Ok(Appended::Known) => outcome.counts.events_deduplicated += 1,
                Err(error) if error.kind() == PortErrorKind::Rejected && bytes.get().len() > LARGE_BYTES => {
                    let aside = Aside { record: &records[record] };
                    unstorable.push((record, aside.unstorable(&event.event, bytes)));
                    outcome.failures.push(error);
                }
                Err(error) => outcome.fail(record, error),
            }
        }
        unstorable
    }

    /// Takes a vehicle's events into its state.
    async fn merge_state<'r>(&self, vid: VehicleId, events: Vec<Pending<'r>>) -> (Vec<Pending<'r>>, Result<(), PortError>) {
        let mut readings = VehicleState::default();
        for event in &events {
            readings.observe(&event.stored.event);
        }
        let merged = if readings.signals.is_empty() { Ok(()) } else { self.state.merge(&vid, &readings).await };
        (events, merged)
    }
}

/// An event of fewer bytes fits into every store and bus: if it is refused, the fault is ours, and it comes again. A larger one
/// may be refused for its size, whenever it comes.
const LARGE_BYTES: usize = 256 * 1024;
/// Vehicles that are looked up or merged at the same time.
const CONCURRENCY: usize = 16;
/// Events of one vehicle that lie within this of each other are looked up in one range, in milliseconds.
const STRETCH_MS: i64 = 10 * 60 * 1000;

impl Outcome {
    fn fail(&mut self, record: usize, error: PortError) {
        self.retry_from = Some(self.retry_from.map_or(record, |first| first.min(record)));
        self.failures.push(error);
    }
}
