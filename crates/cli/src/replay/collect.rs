//! Collecting what archive, event log and quarantine hold of a run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use roadcast_aws::archive_lines::{QuarantineLine, RawLine};
use roadcast_aws::{DynamoEventLog, Part, S3ArchiveReader};
use roadcast_codec::stream_record;
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::schema::NoSchemas;
use roadcast_domain::validation;
use roadcast_ports::event_log::{EventLog as _, EventRange};

use super::reconcile::{Archived, Facts, Quarantined, Stored, is_settled};
use super::send::Sent;
use crate::aws;
use crate::console::Console;
use crate::stack::Stack;
use crate::stack::onboard::REPLAY_SOURCE;

/// How often the stores are looked at.
const POLL: Duration = Duration::from_secs(1);
/// Where nothing more has come for so long, nothing will.
const GIVE_UP_AFTER: Duration = Duration::from_mins(2);
/// S3 dates its objects to the second.
const WRITTEN_MARGIN_MS: i64 = 2_000;
/// Events that lie closer together than this are read in one range, in milliseconds.
const STRETCH_MS: i64 = 60 * 60 * 1000;
const PAGE: usize = 500;

/// Reads the stores, each object and event once.
pub(super) struct Collector {
    archive: S3ArchiveReader,
    log: DynamoEventLog,
    run_start: Timestamp,
    vehicles: BTreeSet<VehicleId>,
    read_objects: HashSet<String>,
    records: HashSet<(String, String)>,
    owners: BTreeMap<Eid, VehicleId>,
    events: BTreeMap<Eid, Event>,
    facts: Facts,
}

impl Collector {
    pub(super) fn new(stack: &Stack, run_start: Timestamp, vehicles: BTreeSet<VehicleId>) -> Result<Self> {
        let s3 = aws::s3(&stack.config);
        let dynamodb = aws_sdk_dynamodb::Client::new(&stack.config);
        Ok(Self {
            archive: S3ArchiveReader::new(s3, stack.file.output("ArchiveBucketName")?),
            log: DynamoEventLog::new(dynamodb, stack.file.output("VehicleEventsTableName")?),
            run_start,
            vehicles,
            read_objects: HashSet::new(),
            records: HashSet::new(),
            owners: BTreeMap::new(),
            events: BTreeMap::new(),
            facts: Facts::default(),
        })
    }

    /// Waits until the stores hold every sample of every acknowledged event, or nothing more comes.
    pub(super) async fn wait_for(&mut self, acked: &HashMap<Eid, u64>, console: &Console) -> Result<()> {
        self.facts.acked.clone_from(acked);
        let mut step = console.counted("Waiting for the stream", acked.len() as u64);
        let mut missing: BTreeSet<Eid> = acked.keys().copied().collect();
        let mut held = 0;
        let mut came = Instant::now();
        loop {
            self.read_archive().await?;
            self.read_quarantine().await?;
            self.read_log(&missing).await?;
            missing.retain(|&eid| !is_settled(&self.facts, eid));
            step.reach((acked.len() - missing.len()) as u64, "events");
            let now_held = self.records.len() + self.facts.stored.len() + self.facts.quarantined.len();
            if now_held != held {
                held = now_held;
                came = Instant::now();
            }
            if missing.is_empty() {
                step.done(&format!("all {} events are where they belong", acked.len()));
                return Ok(());
            }
            if came.elapsed() > GIVE_UP_AFTER {
                step.done(&format!("{} events are missing, and nothing more comes", missing.len()));
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Everything that is known now.
    pub(super) fn facts(&self, sent: Sent) -> Facts {
        Facts { read: sent.read, refused: sent.refused, acked: sent.acked, ..self.facts.clone() }
    }

    /// The stored events of this run.
    pub(super) fn events(&self) -> &BTreeMap<Eid, Event> {
        &self.events
    }

    async fn read_archive(&mut self) -> Result<()> {
        let since = self.run_start.plus_ms(-WRITTEN_MARGIN_MS);
        for object in self.archive.list(Part::Raw, None, Some(since)).await? {
            if self.read_objects.insert(object.key.clone()) {
                for line in self.archive.read_raw(&object.key).await? {
                    self.note_record(&line)?;
                }
            }
        }
        Ok(())
    }

    /// A record of the stream: objects overlap where a batch was tried again, and its sequence number tells it apart.
    fn note_record(&mut self, line: &RawLine) -> Result<()> {
        if line.arrived_at < self.run_start || !self.records.insert((line.shard.clone(), line.seq.clone())) {
            return Ok(());
        }
        let bytes = line.data.bytes()?;
        let Ok(text) = stream_record::decode_text(&bytes) else { return Ok(()) };
        for raw in cloudevent::split(&text).unwrap_or_default() {
            let Ok(envelope) = Envelope::read(raw) else { continue };
            let vid = envelope.subject.as_deref().and_then(|subject| subject.parse::<VehicleId>().ok());
            let Some(vid) = vid.filter(|vid| envelope.source == REPLAY_SOURCE && self.vehicles.contains(vid)) else {
                continue;
            };
            // The same function, with the same time, as the stream processor's. A recording holds no custom events.
            let judged = stream_record::json_data(&envelope, &mut stream_record::record_budget())
                .and_then(|data| validation::validate_event(&envelope, &data, &vid, line.arrived_at, &NoSchemas));
            let Ok(judged) = judged else { continue };
            let event = self.facts.archived.entry(judged.eid).or_insert_with(|| Archived {
                copies: 0,
                samples: judged.sample_count as u64,
                signals_rejected: judged
                    .rejected_by_reason()
                    .into_iter()
                    .map(|(reason, count)| (reason.to_owned(), count as u64))
                    .collect(),
            });
            event.copies += 1;
            self.owners.insert(judged.eid, vid);
        }
        Ok(())
    }

    /// All of the quarantine, because what lies there from before makes a sample a duplicate.
    async fn read_quarantine(&mut self) -> Result<()> {
        for object in self.archive.list(Part::Quarantine, None, None).await? {
            if self.read_objects.insert(object.key.clone()) {
                for line in self.archive.read_quarantine(&object.key).await? {
                    self.note_parked(&line);
                }
            }
        }
        Ok(())
    }

    fn note_parked(&mut self, line: &QuarantineLine) {
        let (Some(eid), Some(index)) = (line.eid, line.index) else { return };
        if self.facts.acked.contains_key(&eid) {
            let parked: &mut Quarantined = self.facts.quarantined.entry(eid).or_default();
            parked.samples.entry(index).or_insert_with(|| line.reason.code().to_owned());
            parked.before |= line.arrived_at < self.run_start;
        }
    }

    /// Looks for events in the log, vehicle by vehicle, those that lie close together in one range.
    async fn read_log(&mut self, missing: &BTreeSet<Eid>) -> Result<()> {
        let mut by_vehicle: BTreeMap<&VehicleId, Vec<Eid>> = BTreeMap::new();
        for eid in missing.iter().filter(|eid| !self.facts.stored.contains_key(eid)) {
            // An event that has not come through the stream yet may be known already, but its copy is not counted yet.
            if let Some(vid) = self.owners.get(eid) {
                by_vehicle.entry(vid).or_default().push(*eid);
            }
        }
        let mut found = Vec::new();
        for (vid, eids) in by_vehicle {
            for stretch in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < STRETCH_MS) {
                let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
                let mut from = Some(*first);
                while let Some(start) = from {
                    let range = EventRange { vid: vid.clone(), from: start, to: *last, limit: PAGE, consistent: true };
                    let page = self.log.range(&range).await?;
                    found.extend(page.events);
                    from = page.next;
                }
            }
        }
        for stored in found {
            let event = stored.event;
            if self.facts.acked.contains_key(&event.eid) {
                let before = event.received < self.run_start;
                self.facts.stored.insert(event.eid, Stored { samples: event.sample_count() as u64, before });
                if !before {
                    self.events.insert(event.eid, event);
                }
            }
        }
        Ok(())
    }
}
