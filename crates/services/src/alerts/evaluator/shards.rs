//! Which records of a shard an instance has evaluated, and which ones it must read again.
//!
//! Any instance may get the next batch of a shard. So each batch begins with a look at which instance evaluated the one before. If it
//! was another one, this instance reads the records in between; if it is new, it reads those that the event log may not have
//! yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::alert_state::{EvaluationKey, ShardEvaluations as _};
use roadcast_ports::archive::RawRecord;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::stream::{ReadStart, StreamReader as _};

use crate::stream::{EventReader, EventValidator, Record, RecordContent};

/// For how long an instance is behind a shard at most, to read what it has missed. Otherwise it starts again.
const MAX_BEHIND_MS: i64 = 10 * 60 * 1000;
/// How far before a batch the log may be complete, tried one after the other: the batch window of the stream processor and a minute for
/// its work, and longer.
const LOOK_BACKS_MS: [i64; 3] = [150 * 1000, 15 * 60 * 1000, 2 * 60 * 60 * 1000];
/// For how long the stream keeps records.
const RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// Records that are read to find whether the log is complete up to a time, the time in which they arrived, and the vehicles of which
/// an event is looked up.
const PROBED_RECORDS: usize = 200;
const PROBED_MS: i64 = 10 * 1000;
const PROBED_VEHICLES: usize = 16;

/// Reads the shards of the stream beside the batches.
pub struct ShardReader<Ports: PortSet> {
    /// Which instance evaluates each shard.
    pub evaluations: Ports::ShardEvaluations,
    /// The records of the stream.
    pub stream: Ports::StreamReader,
    /// The event log.
    pub log: Ports::EventLog,
}

/// A shard as this instance has evaluated it.
pub(super) struct Shard {
    pub(super) id: Arc<str>,
    /// The last record that was evaluated, and when it arrived; `None` before the first one.
    pub(super) position: Option<(String, Timestamp)>,
    /// Whether all records before the next batch were evaluated.
    is_current: bool,
    /// Where to continue to read what is missing.
    missing_from: Option<ReadStart>,
    /// Whether the evaluations of the shard must be restored from the records of the stream that the log does not have.
    must_start_again: bool,
    /// The first record of the batch, without its data.
    first: Option<RawRecord>,
    /// Whether the log has all that arrived before the batch, except in the last minutes; `None` if that was not looked up.
    is_log_recent: Option<bool>,
    /// Events that were read again, of vehicles whose evaluations are not in memory.
    pub(super) pending: BTreeMap<VehicleId, Vec<Event>>,
    /// The bytes of these events.
    pub(super) pending_bytes: usize,
    /// The evaluations that must be restored, published or stored again, whether or not further events arrive.
    pub(super) unfinished: BTreeSet<EvaluationKey>,
    /// Which of its watched evaluations are loaded.
    pub(super) watched: Watched,
}

/// How far the watched evaluations of a shard are loaded.
pub(super) enum Watched {
    /// Those up to this one; none of them without it.
    After(Option<EvaluationKey>),
    /// All of them.
    Loaded,
}

impl Shard {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            position: None,
            is_current: false,
            missing_from: None,
            must_start_again: false,
            first: None,
            is_log_recent: None,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            unfinished: BTreeSet::new(),
            watched: Watched::Loaded,
        }
    }

    /// States that a record was evaluated, and all before it.
    pub(super) fn advance(&mut self, record: &RawRecord) {
        let is_new = self.position.as_ref().is_none_or(|(position, _)| precedes(position, &record.sequence_number));
        if is_new && !record.sequence_number.is_empty() {
            self.position = Some((record.sequence_number.clone(), record.arrived_at));
            if self.missing_from.is_some() {
                self.missing_from = Some(ReadStart::After(record.sequence_number.clone()));
            }
        }
    }

    /// States that what is in memory and in the log is not enough to restore an evaluation.
    pub(super) fn start_again(&mut self) {
        self.must_start_again = true;
    }

    /// States that nothing is missing.
    pub(super) fn complete(&mut self) {
        self.missing_from = None;
        self.is_current = true;
    }

    /// States that the next batch may begin later than after the last record that was evaluated: the mapping gives up a batch that
    /// fails for long.
    pub(super) fn doubt(&mut self) {
        if let Some((sequence_number, _)) = &self.position {
            self.missing_from = Some(ReadStart::After(sequence_number.clone()));
        }
        self.is_current = false;
    }

    pub(super) fn add_pending(&mut self, vid: VehicleId, events: Vec<Event>) {
        self.pending_bytes += events.iter().map(Event::memory_bytes).sum::<usize>();
        self.pending.entry(vid).or_default().extend(events);
    }

    pub(super) fn take_pending(&mut self) -> BTreeMap<VehicleId, Vec<Event>> {
        self.pending_bytes = 0;
        std::mem::take(&mut self.pending)
    }
}

/// Whether a record is before another one of the same shard.
pub(super) fn precedes(a: &str, b: &str) -> bool {
    // Numbers in decimal, longer than any integer.
    (a.len(), a) < (b.len(), b)
}

impl<Ports: PortSet> ShardReader<Ports> {
    /// Prepares the evaluation of a batch that begins with `first`. Afterwards, the shard states what must be read before.
    /// Returns whether the evaluations of the shard in memory are of no use.
    pub(super) async fn follow(
        &self,
        instance: &str,
        shard: &mut Shard,
        first: &RawRecord,
        validator: &EventValidator<Ports>,
    ) -> Result<bool, PortError> {
        shard.first = Some(RawRecord { data: Vec::new(), ..first.clone() });
        shard.is_log_recent = None;
        let taken_by = self.evaluations.instance(&shard.id).await?;
        let is_followed = (shard.is_current || shard.missing_from.is_some()) && !shard.must_start_again;
        if taken_by.as_deref() == Some(instance) && is_followed {
            return Ok(false);
        }
        let must_start_again = shard.must_start_again;
        let is_near = |(_, arrived_at): &(String, Timestamp)| {
            first.arrived_at.ms_since(*arrived_at) <= MAX_BEHIND_MS && !must_start_again
        };
        let position = shard.position.take_if(|position| is_near(position));
        let (start, is_new) = match &position {
            Some((sequence_number, _)) => (ReadStart::After(sequence_number.clone()), false),
            None => (self.start_of_missing(&shard.id, first, validator).await?, true),
        };
        if taken_by.as_deref() != Some(instance) {
            self.evaluations.take(&shard.id, instance).await?;
        }
        if is_new {
            let first = shard.first.take();
            *shard = Shard { watched: Watched::After(None), first, ..Shard::new(&shard.id) };
        }
        shard.position = position;
        shard.is_current = false;
        shard.missing_from = Some(start);
        Ok(is_new)
    }

    /// Whether the log has all that arrived before the batch, except in the last minutes. Looks once for a batch.
    pub(super) async fn is_log_recent(
        &self,
        shard: &mut Shard,
        validator: &EventValidator<Ports>,
    ) -> Result<bool, PortError> {
        let (None, Some(first)) = (shard.is_log_recent, &shard.first) else {
            return Ok(shard.is_log_recent.unwrap_or_default());
        };
        let start = ReadStart::At(first.arrived_at.plus_ms(-LOOK_BACKS_MS[0]));
        let is_recent = self.is_log_complete(&shard.id, &start, first, validator).await?;
        shard.is_log_recent = Some(is_recent);
        Ok(is_recent)
    }

    /// Returns the next records of a shard that are missing before `first`, at most `limit`, and whether they are all.
    pub(super) async fn missing(
        &self,
        shard: &Shard,
        first: &RawRecord,
        limit: usize,
    ) -> Result<(Vec<Record>, bool), PortError> {
        let Some(from) = &shard.missing_from else { return Ok((Vec::new(), true)) };
        let page = self.stream.read(&shard.id, from, limit).await?;
        let length = page.len();
        let missing = page.into_iter().take_while(|record| precedes(&record.sequence_number, &first.sequence_number));
        let records: Vec<Record> = missing.map(|raw| Record { shard: shard.id.to_string(), raw: raw.into() }).collect();
        let are_all = length == 0 || records.len() < length;
        Ok((records, are_all))
    }

    /// Returns from where on the log may not have the events of the stream.
    async fn start_of_missing(
        &self,
        shard: &str,
        first: &RawRecord,
        validator: &EventValidator<Ports>,
    ) -> Result<ReadStart, PortError> {
        for look_back_ms in LOOK_BACKS_MS {
            let start = ReadStart::At(first.arrived_at.plus_ms(-look_back_ms));
            if self.is_log_complete(shard, &start, first, validator).await? {
                return Ok(start);
            }
        }
        Ok(ReadStart::At(first.arrived_at.plus_ms(-RETENTION_MS)))
    }

    /// Whether the log is known to have all that arrived up to a time: it has the events of the first records that arrived then.
    async fn is_log_complete(
        &self,
        shard: &str,
        start: &ReadStart,
        first: &RawRecord,
        validator: &EventValidator<Ports>,
    ) -> Result<bool, PortError> {
        let page = self.stream.read(shard, start, PROBED_RECORDS).await?;
        let Some(end) = page.first().map(|record| record.arrived_at.plus_ms(PROBED_MS)) else { return Ok(false) };
        let is_probed =
            |record: &RawRecord| record.arrived_at <= end && precedes(&record.sequence_number, &first.sequence_number);
        let page = page.into_iter().take_while(is_probed);
        let records: Vec<Record> = page.map(|raw| Record { shard: shard.to_owned(), raw: raw.into() }).collect();
        let mut reader = EventReader::start(validator).await?;
        reader.resolve_keys(&records).await;
        let mut probes: BTreeMap<VehicleId, Eid> = BTreeMap::new();
        for record in &records {
            if probes.len() == PROBED_VEHICLES {
                break;
            }
            if let RecordContent::Events(events, _) = reader.read(record).await? {
                for event in events {
                    probes.entry(event.vid).or_insert(event.eid);
                }
            }
        }
        let mut absent = 0;
        for (vid, eid) in &probes {
            absent += usize::from(!self.log.stored_ids(vid, &[*eid]).await?.contains(eid));
        }
        // One of many vehicles may lack its event: the log may have refused it.
        Ok(!probes.is_empty() && absent <= probes.len() / PROBED_VEHICLES)
    }
}
