//! Small records that decompress to large ones: one sender must cost the other records of its batch no more than time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::refusal::Reason;
use roadcast_ports::PortError;
use roadcast_ports::archive::{Quarantine, QuarantinedItem, RawRecord};
use roadcast_ports::clock::Clock;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, TelemetryPage};
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{
    AlertReader, BatchOutcome, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor,
};
use roadcast_signals::{Sample, SignalPath, Signals, Value};
use roadcast_testbed::{ManualClock, Memory, PortSet, port_set};
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, event};

/// An event log and quarantine that only count what they receive.
#[derive(Clone, Default)]
pub(crate) struct CountingSink(Arc<Mutex<SinkCounts>>);

#[derive(Clone, Copy, Default)]
pub(crate) struct SinkCounts {
    pub(crate) total: usize,
    max_per_call: usize,
}

impl CountingSink {
    fn count(&self, received: usize) {
        let mut counts = self.0.lock().unwrap();
        counts.total += received;
        counts.max_per_call = counts.max_per_call.max(received);
    }

    pub(crate) fn counts(&self) -> SinkCounts {
        *self.0.lock().unwrap()
    }
}

impl EventLog for CountingSink {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.count(events.iter().map(|stored| stored.event.sample_count()).sum());
        events.iter().map(|_| Ok(())).collect()
    }

    async fn telemetry(&self, _: &EventRange) -> Result<TelemetryPage, PortError> {
        Ok(TelemetryPage::default())
    }

    async fn range(&self, _: &EventRange) -> Result<EventPage, PortError> {
        Ok(EventPage::default())
    }

    async fn get(&self, _: &VehicleId, _: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(None)
    }

    async fn stored_ids(&self, _: &VehicleId, _: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        Ok(BTreeSet::new())
    }
}

impl Quarantine for CountingSink {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        self.count(items.len());
        Ok(())
    }
}

/// A clock that advances by `step_ms` on each read, to simulate slow processing.
#[derive(Clone)]
pub(crate) struct SlowClock {
    clock: ManualClock,
    step_ms: i64,
}

impl Clock for SlowClock {
    fn now(&self) -> Timestamp {
        self.clock.advance_ms(self.step_ms);
        self.clock.now()
    }
}

port_set! {
    /// Ports in memory with a log that counts.
    pub(crate) enum WithCountingLog {
        Clock = SlowClock;
        EventLog = CountingSink;
    }
}

port_set! {
    /// Ports in memory with a log and a quarantine that count.
    enum WithCountingSinks {
        Clock = SlowClock;
        EventLog = CountingSink;
        Quarantine = CountingSink;
    }
}

/// Processes a batch in a new stream processor whose clock advances by `step_ms` on each read.
pub(crate) async fn process<Ports>(
    pipeline: &PipelineFixture,
    quarantine: Ports::Quarantine,
    log: Ports::EventLog,
    records: &[Record],
    step_ms: i64,
) -> BatchOutcome
where
    Ports: PortSet<Archive = Memory, Vehicles = Memory, Schemas = Memory, Clock = SlowClock>,
    Ports: PortSet<Entitlements = Memory, IngestBus = Memory, StateStore = Memory, SecretSource = Memory>,
{
    let memory = || pipeline.memory.clone();
    let clock = SlowClock { clock: pipeline.clock.clone(), step_ms };
    let processor = StreamProcessor::<Ports> {
        archive: memory(),
        quarantine,
        validator: EventValidator {
            subjects: CachedSubjects::new(memory(), clock.clone()),
            schemas: CachedSchemas::new(memory(), clock.clone()),
        },
        alerts: AlertReader { secrets: memory() },
        publisher: Publisher {
            entitlements: CachedEntitlements::new(memory(), clock.clone()),
            bus: memory(),
            clock: clock.clone(),
        },
        store: EventStore { state: memory(), log, recent: RecentEvents::default() },
        clock,
    };
    processor.process_batch(records).await
}

pub(crate) fn record(vid: &VehicleId, number: usize, data: Vec<u8>) -> Record {
    let partition_key = vid.to_string();
    let raw = RawRecord {
        sequence_number: number.to_string(),
        partition_key,
        arrived_at: Timestamp::parse_rfc3339(NOON).unwrap(),
        data,
    };
    Record { shard: "shard".to_owned(), raw: raw.into() }
}

/// A compressed record with the maximum number of events or bytes, all with these samples.
fn compressed_record(id: usize, samples: &str) -> Vec<u8> {
    let mut envelope = event("ID", &[]);
    envelope.as_object_mut().unwrap().remove("data");
    let envelope = envelope.to_string();
    let one = format!("{},\"data\":{{\"samples\":[{samples}]}}}}", envelope.strip_suffix('}').unwrap());
    let count = (limits::UNPACKED_RECORD_BYTES / (one.len() + 10)).min(limits::EVENTS_PER_UPLOAD);
    let events: Vec<String> = (0..count).map(|n| one.replace("\"ID\"", &format!("\"{id}-{n}\""))).collect();
    let record = stream_record::compress(&format!("[{}]", events.join(",")));
    assert!(record.len() < 16 * 1024, "the record is small");
    record
}

/// An event with a block of equal samples of `signals` signals: a few hundred bytes.
pub(crate) fn constant_block_event(id: &str, signals: usize) -> String {
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    let signal = |n: usize| (SignalPath::parse(&format!("acme.s{n}")).unwrap(), Value::Number(1.0));
    let signals: Signals = (0..signals).map(signal).collect();
    let samples: Vec<Sample> = (0..500).map(|n| Sample { at: noon.plus_ms(-n * 500), signals: signals.clone() }).collect();
    let mut event = event(id, &[]);
    event.as_object_mut().unwrap().remove("data");
    event["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
    event["data_base64"] = json!(stream_record::block_base64(&samples).unwrap());
    event.to_string()
}

#[tokio::test]
async fn batch_that_exceeds_memory_is_processed_in_chunks() {
    let pipeline = PipelineFixture::new(21);
    let (sender, other) = (pipeline.vehicle("sender").await, pipeline.vehicle("other").await);
    let sample = json!({"at": NOON, "signals": {"Vehicle.OBD.DTCList": vec!["P0301"; 8]}}).to_string();
    let mut records: Vec<Record> =
        (0..12).map(|n| record(&sender, n, compressed_record(n, &vec![sample.as_str(); 500].join(",")))).collect();
    records.insert(6, record(&other, 99, event("good", &[(60, 50.0)]).to_string().into_bytes()));
    let log = CountingSink::default();
    let outcome = process::<WithCountingLog>(&pipeline, pipeline.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, pipeline.memory.quarantined().len()), (None, 0));
    assert_eq!(outcome.counts.samples_stored, outcome.counts.samples_received);
    let SinkCounts { total, max_per_call } = log.counts();
    assert_eq!(total, outcome.counts.samples_stored);
    assert!(total > 300_000, "{total}");
    // Each sample takes more than half a kilobyte in memory: a list of texts.
    assert!(max_per_call < 250_000, "{max_per_call} samples in one call");
}

#[tokio::test]
async fn quarantined_items_are_written_in_chunks() {
    let pipeline = PipelineFixture::new(22);
    let vid = pipeline.vehicle("sender").await;
    let records = [record(&vid, 0, compressed_record(0, &vec!["{}"; 500].join(",")))];
    let quarantine = CountingSink::default();
    let outcome = process::<WithCountingSinks>(&pipeline, quarantine.clone(), CountingSink::default(), &records, 0).await;

    assert_eq!(outcome.retry_from, None);
    let SinkCounts { total, max_per_call } = quarantine.counts();
    assert_eq!((total, outcome.counts.samples_quarantined[&Reason::SampleInvalid]), (500_000, 500_000));
    assert!(max_per_call < 100_000, "{max_per_call} items in one call");
}

#[tokio::test]
async fn oversized_record_is_quarantined_entirely_and_blocks_nothing() {
    let pipeline = PipelineFixture::new(23);
    let (sender, other) = (pipeline.vehicle("sender").await, pipeline.vehicle("other").await);
    let objects = stream_record::compress(&format!("[{}]", vec!["{}"; 1_000_000].join(",")));
    let spaces = stream_record::compress(&" ".repeat(limits::UNPACKED_RECORD_BYTES + 1));
    let block = constant_block_event("wide", 1000).into_bytes();
    let oversized = [objects, spaces, block];
    let mut records: Vec<Record> = Vec::new();
    for (n, bytes) in oversized.iter().enumerate() {
        assert!(bytes.len() < 20_000, "the record is small");
        records.push(record(&sender, 2 * n, bytes.clone()));
        records.push(record(&other, 2 * n + 1, event(&n.to_string(), &[(60, 50.0)]).to_string().into_bytes()));
    }
    let log = CountingSink::default();
    let outcome = process::<WithCountingLog>(&pipeline, pipeline.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, log.counts().total), (None, oversized.len()));
    let quarantined = pipeline.memory.quarantined();
    assert!(quarantined.iter().all(|item| item.reason == Reason::TooLarge));
    assert_eq!(quarantined.iter().map(|item| item.samples).collect::<Vec<_>>(), [1, 1, 500]);
    assert!(quarantined.iter().zip(&oversized).all(|(item, bytes)| item.bytes == *bytes), "the bytes are unchanged");
}

#[tokio::test]
async fn blocks_beyond_the_byte_budget_are_quarantined_one_by_one() {
    let pipeline = PipelineFixture::new(24);
    let vid = pipeline.vehicle("sender").await;
    let events: Vec<String> = (0..100).map(|n| constant_block_event(&n.to_string(), 60)).collect();
    let records = [record(&vid, 0, stream_record::compress(&format!("[{}]", events.join(","))))];
    assert!(records[0].raw.data.len() < 10_000, "the record is small");
    let log = CountingSink::default();
    let outcome = process::<WithCountingLog>(&pipeline, pipeline.memory.clone(), log.clone(), &records, 0).await;

    // 500 samples of 60 signals are 480,000 bytes; 69 such blocks fit into 32 MiB.
    assert_eq!((outcome.retry_from, log.counts().total), (None, 69 * 500));
    assert_eq!(outcome.counts.samples_quarantined, [(Reason::TooLarge, 31 * 500)].into());
}
