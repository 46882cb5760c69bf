//! Processing the stream: archive, judge, publish, store.
//!
//! In that order, because each step makes the next one safe to lose: what is archived can be processed again, what is
//! published can be published again (consumers know an event by its id), and what is stored is done: a retry that finds an
//! event stored has nothing left to do.

mod aside;
mod recent;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _};
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::intake;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::Subject;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_packing::{incoming, wire};
use roadcast_ports::archive::{Archive, Parked, Quarantine, RawBatch, RawRecord};
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::state::{Known, StateStore};
use roadcast_ports::vehicles::Vehicles;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::value::RawValue;

use crate::cached::{CachedEntitlements, CachedSubjects};
use crate::pack::pack;
use crate::tail;
use aside::Aside;
pub use recent::Recent;

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
    /// What was stored lately.
    pub recent: Recent,
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

/// What is known of a vehicle, and which of the events asked for are stored.
type LookUp = Result<(Known, BTreeSet<Eid>), PortError>;

/// An event on its way: the record it came in, its place there, and how long it was.
struct Pending {
    record: usize,
    place: usize,
    bytes: usize,
    stored: StoredEvent,
}

impl Pending {
    /// An event of fewer bytes fits into every store and bus: if it is refused, the fault is ours, and it comes again. A larger
    /// one may be refused for its size, whenever it comes.
    fn is_large(&self) -> bool {
        self.bytes > 256 * 1024
    }
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
        let known = self.drop_known(&mut pending, &mut outcome).await;
        let unpublishable = self.publish(records, &mut pending, &mut outcome).await;
        self.park(unpublishable, &mut outcome).await;
        let unstorable = self.store(records, pending, known, &mut outcome).await;
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
    async fn judge(&self, records: &[Record], outcome: &mut Outcome) -> (Vec<Pending>, Vec<(usize, Parked)>) {
        let mut pending = Vec::new();
        let mut parked = Vec::new();
        for (place, record) in records.iter().enumerate() {
            let aside = Aside { record };
            // One record at a time: what a compressed one unpacks to is gone before the next.
            let text = incoming::text_of(&record.raw.data);
            let events = match text.as_ref().map_err(Clone::clone).and_then(|text| cloudevent::split(text)) {
                Ok(events) => events,
                Err(refusal) => {
                    outcome.counts.samples_received += 1;
                    parked.push((place, aside.whole(&refusal, None, &record.raw.data, 1)));
                    continue;
                }
            };
            for (place_in_record, event) in events.into_iter().enumerate() {
                match self.judge_event(event, record).await {
                    Err(error) => {
                        outcome.counts.samples_received += incoming::count_samples(event);
                        outcome.fail(place, error);
                    }
                    Ok(Err((refusal, vid))) => {
                        let samples = incoming::count_samples(event);
                        outcome.counts.samples_received += samples;
                        parked.push((place, aside.whole(&refusal, vid, event.get().as_bytes(), samples)));
                    }
                    Ok(Ok((vid, intake))) => {
                        outcome.counts.samples_received += intake.sample_count;
                        for (reason, count) in intake.rejected_by_reason() {
                            *outcome.counts.signals_rejected.entry(reason).or_default() += count;
                        }
                        parked.extend(intake.parked.iter().map(|sample| (place, aside.sample(&vid, intake.eid, sample))));
                        let bytes = event.get().len();
                        let on_its_way = |stored| Pending { record: place, place: place_in_record, bytes, stored };
                        pending.extend(intake.accepted.map(on_its_way));
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
        if matches!(Subject::parse(&record.partition_key), Some(Subject::Vid(keyed)) if keyed != vid) {
            let refusal = Refusal::new(Reason::VehicleUnknown, "/subject", "not the vehicle that the record was sent for");
            return Ok(Err((refusal, None)));
        }
        let judged =
            incoming::data_of(&envelope).and_then(|data| intake::judge(&envelope, &data, &vid, record.raw.arrived_at));
        Ok(match judged {
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
    /// Answers what is known of the vehicles of the others.
    async fn drop_known(&self, pending: &mut Vec<Pending>, outcome: &mut Outcome) -> HashMap<VehicleId, Known> {
        let before = pending.len();
        let mut seen = BTreeSet::new();
        pending.retain(|event| seen.insert((event.stored.event.vid.clone(), event.stored.event.eid)));
        outcome.counts.events_deduplicated += before - pending.len();

        let mut by_vehicle: BTreeMap<VehicleId, Vec<Eid>> = BTreeMap::new();
        for Pending { stored, .. } in pending.iter() {
            by_vehicle.entry(stored.event.vid.clone()).or_default().push(stored.event.eid);
        }
        let look_ups = by_vehicle.into_iter().map(|(vid, eids)| async move {
            let answer = self.look_up(&vid, eids).await;
            (vid, answer)
        });
        let looked_up: Vec<(VehicleId, LookUp)> = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;

        let mut known = HashMap::new();
        for (vid, answer) in looked_up {
            let is_of = |event: &Pending| event.stored.event.vid == vid;
            match answer {
                Ok((state, stored)) => {
                    let before = pending.len();
                    pending.retain(|event| !is_of(event) || !stored.contains(&event.stored.event.eid));
                    outcome.counts.events_deduplicated += before - pending.len();
                    known.insert(vid, state);
                }
                Err(error) => {
                    outcome.fail(first_record(pending.iter().filter(|event| is_of(event))), error);
                    pending.retain(|event| !is_of(event));
                }
            }
        }
        known
    }

    /// What is known of a vehicle, and which of these events of it are stored.
    async fn look_up(&self, vid: &VehicleId, eids: Vec<Eid>) -> LookUp {
        let known = self.state.read(vid).await?;
        let in_doubt = |eid: &Eid| known.state.may_hold(eid.time()) && !self.recent.is_behind(vid, *eid);
        let doubtful = eids.into_iter().filter(in_doubt).collect();
        let stored = self.stored(vid, doubtful).await?;
        Ok((known, stored))
    }

    /// Which of these events of a vehicle are stored.
    async fn stored(&self, vid: &VehicleId, mut eids: Vec<Eid>) -> Result<BTreeSet<Eid>, PortError> {
        eids.sort_unstable();
        let mut stored = BTreeSet::new();
        // Events that lie far apart are looked up apart, or a late one would read all that lies between.
        for stretch in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < STRETCH_MS) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            let mut from = Some(*first);
            while let Some(start) = from {
                let range = EventRange { vid: vid.clone(), from: start, to: *last, limit: 1000, consistent: false };
                let page = self.log.range(&range).await?;
                stored.extend(page.events.iter().map(|stored| stored.event.eid));
                from = page.next;
            }
        }
        Ok(stored)
    }

    /// Publishes what some fleet may see; drops what could not be published, so that it is not stored. Answers what the bus
    /// refuses for good.
    async fn publish(&self, records: &[Record], pending: &mut Vec<Pending>, outcome: &mut Outcome) -> Vec<(usize, Parked)> {
        let mut left = Vec::with_capacity(pending.len());
        let mut units: Vec<(Option<FleetId>, Vec<Pending>, String)> = Vec::new();
        for events in by_vehicle(pending.drain(..)) {
            let Some(first) = events.first() else { continue };
            let live = self.entitlements.to_vehicle(&first.stored.event.vid).await;
            match live.map(|all| self.first_live(&all)) {
                Err(error) => outcome.fail(first_record(&events), error),
                // Nobody may see it: it is stored, but stays off the buses.
                Ok(None) => left.extend(events),
                Ok(fleet_id) => match write_units(events) {
                    Ok(written) => units.extend(written.into_iter().map(|(events, json)| (fleet_id.clone(), events, json))),
                    Err((record, error)) => outcome.fail(record, error),
                },
            }
        }
        // A fleet's vehicles together: each entry becomes an entry for every fleet in it.
        units.sort_by(|a, b| a.0.cmp(&b.0));
        let runs = pack(units, |(_, _, json)| json.len());
        let entries: Vec<Batch> =
            runs.iter().map(|run| Batch { events: run.iter().map(|(_, _, json)| json.clone()).collect() }).collect();
        let results = self.bus.publish(&entries).await;
        let mut unpublishable = Vec::new();
        for (run, result) in runs.into_iter().zip(results) {
            let events: Vec<Pending> = run.into_iter().flat_map(|(_, events, _)| events).collect();
            match (result, events.as_slice()) {
                (Ok(()), _) => {
                    outcome.counts.entries_published += 1;
                    left.extend(events);
                }
                // Only an event that stands alone can be too large for the bus.
                (Err(error), [event]) if error.kind() == PortErrorKind::Rejected && event.is_large() => {
                    let aside = Aside { record: &records[event.record] };
                    unpublishable.push((event.record, aside.unstorable(&event.stored.event, event.place)));
                    outcome.failures.push(error);
                }
                (Err(error), events) => outcome.fail(first_record(events), error),
            }
        }
        *pending = left;
        unpublishable
    }

    /// The first fleet that may see the vehicle now.
    fn first_live(&self, entitlements: &[Entitlement]) -> Option<FleetId> {
        let now = self.clock.now();
        let mut live = entitlements.iter().filter(|entitlement| entitlement.is_live(now));
        live.next().map(|entitlement| entitlement.fleet_id.clone())
    }

    /// State first, then the log: an event in the log has nothing left to do. Answers what the stores refuse for good, which
    /// is set aside, or it would come again for ever.
    async fn store(
        &self,
        records: &[Record],
        pending: Vec<Pending>,
        mut known: HashMap<VehicleId, Known>,
        outcome: &mut Outcome,
    ) -> Vec<(usize, Parked)> {
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
                    let aside = Aside { record: &records[record] };
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
    async fn merge_state(&self, known: Known, events: Vec<Pending>) -> (Vec<Pending>, Result<(), PortError>) {
        let times = events.iter().map(|event| event.stored.event.eid.time());
        if times.clone().all(|time| known.state.leaves_to_the_log(time)) {
            return (events, Ok(()));
        }
        let latest = times.max();
        let merged = self.take_in(known, &events, latest).await;
        (events, merged)
    }

    async fn take_in(&self, known: Known, events: &[Pending], latest: Option<Timestamp>) -> Result<(), PortError> {
        let (Some(first), Some(latest)) = (events.first(), latest) else { return Ok(()) };
        let vid = &first.stored.event.vid;
        let mut readings = VehicleState::default();
        if let Some(horizon) = known.state.horizon
            && !known.state.may_hold(latest)
        {
            for stored in tail::read(&self.log, vid, horizon).await? {
                readings.observe(&stored.event);
            }
        }
        for event in events {
            readings.observe(&event.stored.event);
        }
        // Late events alone do not move it: what lies between is in the log.
        if !known.state.may_hold(latest) {
            readings.move_on_to(latest);
        }
        self.state.merge(vid, known, &readings).await
    }
}

/// Each vehicle's events together, in `eid` order.
fn by_vehicle(events: impl Iterator<Item = Pending>) -> impl Iterator<Item = Vec<Pending>> {
    let mut vehicles: BTreeMap<VehicleId, Vec<Pending>> = BTreeMap::new();
    for event in events {
        vehicles.entry(event.stored.event.vid.clone()).or_default().push(event);
    }
    vehicles.into_values().map(|mut events| {
        events.sort_by_key(|event| event.stored.event.eid);
        events
    })
}

/// A vehicle's events as the CloudEvents that carry them over the ingest bus: in blocks, whatever form fleets want.
#[allow(clippy::type_complexity)] // the error carries the first record that it keeps back
fn write_units(events: Vec<Pending>) -> Result<Vec<(Vec<Pending>, String)>, (usize, PortError)> {
    let all: Vec<&Event> = events.iter().map(|event| &event.stored.event).collect();
    let written = wire::write(&all, DeliveryFormat::Blocks, None).map_err(|error| {
        (first_record(&events), PortError::new(PortErrorKind::Rejected, "write events").caused_by(error))
    })?;
    let mut events: Vec<Option<Pending>> = events.into_iter().map(Some).collect();
    let unit = |wire::Written { json, places }: wire::Written| {
        (places.into_iter().filter_map(|place| events[place].take()).collect(), json)
    };
    Ok(written.into_iter().map(unit).collect())
}

fn first_record<'e>(events: impl IntoIterator<Item = &'e Pending>) -> usize {
    events.into_iter().map(|event| event.record).min().unwrap_or(0)
}

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
