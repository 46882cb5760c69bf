//! Collects the events of a run from archive, event log and quarantine.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use roadcast_aws::archive_lines::{QuarantineLine, RawLine};
use roadcast_aws::{ArchiveSection, DynamoEventLog, S3ArchiveReader};
use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::schema::NoSchemas;
use roadcast_domain::validation;
use roadcast_ports::event_log::{EventLog as _, EventRange, PAGE_BYTES};

use super::reconcile::{Archived, Quarantined, RunCounts, Stored, is_complete};
use super::send::SendOutcome;
use crate::aws;
use crate::console::Console;
use crate::stack::Stack;
use crate::stack::tool_clients::REPLAY_SOURCE;

/// The interval between reads of the stores.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Stop waiting if nothing new arrives for this long.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
/// A margin for object times: S3 rounds them to the second.
const OBJECT_TIME_MARGIN_MS: i64 = 2_000;
/// Events closer together than this are read with one range query, in milliseconds.
const RANGE_GAP_MS: i64 = 60 * 60 * 1000;
/// The maximum number of events per page of a range query.
const PAGE_SIZE: usize = 500;

/// Reads the stores. Each object and event is read once.
pub(super) struct Collector {
    archive: S3ArchiveReader,
    log: DynamoEventLog,
    run_start: Timestamp,
    vehicles: BTreeSet<VehicleId>,
    read_objects: HashSet<String>,
    records: HashSet<(String, String)>,
    owners: BTreeMap<Eid, VehicleId>,
    events: BTreeMap<Eid, Event>,
    counts: RunCounts,
}

impl Collector {
    pub(super) fn new(stack: &Stack, run_start: Timestamp, vehicles: BTreeSet<VehicleId>) -> Result<Self> {
        let s3 = aws::s3(&stack.config);
        let dynamodb = aws_sdk_dynamodb::Client::new(&stack.config);
        Ok(Self {
            archive: S3ArchiveReader::new(s3.into(), stack.output("ArchiveBucketName")?),
            log: DynamoEventLog::new(dynamodb, stack.output("VehicleEventsTableName")?),
            run_start,
            vehicles,
            read_objects: HashSet::new(),
            records: HashSet::new(),
            owners: BTreeMap::new(),
            events: BTreeMap::new(),
            counts: RunCounts::default(),
        })
    }

    /// Waits until the stores have every sample of every acknowledged event, or until nothing new arrives.
    pub(super) async fn wait_for(&mut self, acked: &HashMap<Eid, u64>, console: &Console) -> Result<()> {
        self.counts.acked.clone_from(acked);
        let mut step = console.counted_step("Waiting for the stream processor", acked.len() as u64);
        let mut missing: BTreeSet<Eid> = acked.keys().copied().collect();
        let mut item_count = 0;
        let mut last_arrival = Instant::now();
        loop {
            self.read_archive().await?;
            self.read_quarantine().await?;
            self.read_log(&missing).await?;
            missing.retain(|&eid| !is_complete(&self.counts, eid));
            step.set_position((acked.len() - missing.len()) as u64, "events");
            let new_count = self.records.len() + self.counts.stored.len() + self.counts.quarantined.len();
            if new_count != item_count {
                item_count = new_count;
                last_arrival = Instant::now();
            }
            if missing.is_empty() {
                step.finish(&format!("all {} events are stored or quarantined", acked.len()));
                return Ok(());
            }
            if last_arrival.elapsed() > STALL_TIMEOUT {
                step.finish(&format!("{} events are missing, and nothing new arrives", missing.len()));
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The collected counts, with those of sending.
    pub(super) fn counts(&self, sent: SendOutcome) -> RunCounts {
        RunCounts { read: sent.read, refused: sent.refused, acked: sent.acked, ..self.counts.clone() }
    }

    /// The stored events of this run.
    pub(super) fn events(&self) -> &BTreeMap<Eid, Event> {
        &self.events
    }

    async fn read_archive(&mut self) -> Result<()> {
        let since = self.run_start.plus_ms(-OBJECT_TIME_MARGIN_MS);
        for object in self.archive.list(ArchiveSection::Raw, None, Some(since)).await? {
            if self.read_objects.insert(object.key.clone()) {
                for line in self.archive.read_raw(&object.key).await? {
                    self.add_record(&line)?;
                }
            }
        }
        Ok(())
    }

    /// Counts a stream record once, by its sequence number: objects overlap if a batch was retried.
    fn add_record(&mut self, line: &RawLine) -> Result<()> {
        if line.arrived_at < self.run_start || !self.records.insert((line.shard.clone(), line.seq.clone())) {
            return Ok(());
        }
        let bytes = line.data.bytes()?;
        let Ok(text) = stream_record::decode_text(&bytes) else { return Ok(()) };
        for raw in cloudevent::split_events(&text).unwrap_or_default() {
            let Ok(envelope) = Envelope::parse(raw) else { continue };
            let vid = envelope.subject.as_deref().and_then(|subject| subject.parse::<VehicleId>().ok());
            let Some(vid) = vid.filter(|vid| envelope.source == REPLAY_SOURCE && self.vehicles.contains(vid)) else {
                continue;
            };
            // The same function and arrival time as in the stream processor. Recordings contain no custom events.
            let outcome =
                stream_record::event_data(&envelope.event_type, envelope.data.clone(), &mut stream_record::record_budget())
                    .and_then(|data| validation::validate_event(&envelope, data, &vid, line.arrived_at, &NoSchemas));
            let Ok(outcome) = outcome else { continue };
            let event = self.counts.archived.entry(outcome.eid).or_insert_with(|| Archived {
                copies: 0,
                samples: outcome.sample_count as u64,
                signals_rejected: outcome
                    .rejected_by_reason()
                    .into_iter()
                    .map(|(reason, count)| (reason.to_owned(), count as u64))
                    .collect(),
            });
            event.copies += 1;
            self.owners.insert(outcome.eid, vid);
        }
        Ok(())
    }

    /// Reads the entire quarantine: a sample that was quarantined before the run is a duplicate.
    async fn read_quarantine(&mut self) -> Result<()> {
        for object in self.archive.list(ArchiveSection::Quarantine, None, None).await? {
            if self.read_objects.insert(object.key.clone()) {
                for line in self.archive.read_quarantine(&object.key).await? {
                    self.add_quarantined(&line);
                }
            }
        }
        Ok(())
    }

    fn add_quarantined(&mut self, line: &QuarantineLine) {
        let (Some(eid), Some(index)) = (line.eid, line.index) else { return };
        if self.counts.acked.contains_key(&eid) {
            let quarantined: &mut Quarantined = self.counts.quarantined.entry(eid).or_default();
            quarantined.samples.entry(index).or_insert_with(|| line.reason.code().to_owned());
            quarantined.before_run |= line.arrived_at < self.run_start;
        }
    }

    /// Reads events from the log by vehicle. Events that are close in time are read with one range query.
    async fn read_log(&mut self, missing: &BTreeSet<Eid>) -> Result<()> {
        let mut by_vehicle: BTreeMap<&VehicleId, Vec<Eid>> = BTreeMap::new();
        for eid in missing.iter().filter(|eid| !self.counts.stored.contains_key(eid)) {
            // An event may be stored from an earlier run, but is not read before its copy arrives in the archive.
            if let Some(vid) = self.owners.get(eid) {
                by_vehicle.entry(vid).or_default().push(*eid);
            }
        }
        let mut found = Vec::new();
        for (vid, eids) in by_vehicle {
            for range in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < RANGE_GAP_MS) {
                let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
                let mut from = Some(*first);
                while let Some(start) = from {
                    let range = EventRange {
                        vid: vid.clone(),
                        from: start,
                        to: *last,
                        limit: PAGE_SIZE,
                        max_bytes: PAGE_BYTES,
                        consistent: true,
                    };
                    let page = self.log.range(&range).await?;
                    found.extend(page.events);
                    from = page.next;
                }
            }
        }
        for stored in found {
            let event = stored.event;
            if self.counts.acked.contains_key(&event.eid) {
                let before_run = event.received < self.run_start;
                self.counts.stored.insert(event.eid, Stored { samples: event.sample_count() as u64, before_run });
                if !before_run {
                    self.events.insert(event.eid, event);
                }
            }
        }
        Ok(())
    }
}
