//! Small records that unpack to much: what one sender packs must not cost the others of the batch more than some time.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
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
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{BatchOutcome, RecentEvents, Record, StreamProcessor};
use roadcast_signals::{Sample, SignalPath, Signals, Value};
use roadcast_testbed::{FaultPlan, ManualClock};
use serde_json::json;

use crate::world::{NOON, World, event};

/// A log or a quarantine that keeps nothing but how much it was given.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Counted>>);

#[derive(Clone, Copy, Default)]
struct Counted {
    all: usize,
    most_at_once: usize,
}

impl Counting {
    fn count(&self, given: usize) {
        let mut counted = self.0.lock().unwrap();
        counted.all += given;
        counted.most_at_once = counted.most_at_once.max(given);
    }

    fn counted(&self) -> Counted {
        *self.0.lock().unwrap()
    }
}

impl EventLog for Counting {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.count(events.iter().map(|stored| stored.event.sample_count()).sum());
        events.iter().map(|_| Ok(())).collect()
    }

    async fn range(&self, _: &EventRange) -> Result<EventPage, PortError> {
        Ok(EventPage::default())
    }

    async fn get(&self, _: &VehicleId, _: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(None)
    }
}

impl Quarantine for Counting {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        self.count(items.len());
        Ok(())
    }
}

/// A clock that moves on whenever it is looked at, as if all took long.
#[derive(Clone)]
struct Slow {
    clock: ManualClock,
    step_ms: i64,
}

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        self.clock.advance_ms(self.step_ms);
        self.clock.now()
    }
}

async fn process(
    world: &World,
    quarantine: impl Quarantine,
    log: impl EventLog,
    records: &[Record],
    step_ms: i64,
) -> BatchOutcome {
    let memory = || world.memory.clone();
    let clock = Slow { clock: world.clock.clone(), step_ms };
    let process = StreamProcessor {
        archive: memory(),
        quarantine,
        subjects: CachedSubjects::new(memory(), clock.clone()),
        entitlements: CachedEntitlements::new(memory(), clock.clone()),
        bus: memory(),
        state: memory(),
        log,
        schemas: CachedSchemas::new(memory(), clock.clone()),
        recent: RecentEvents::default(),
        clock,
    };
    process.batch(records).await
}

fn record(vid: &VehicleId, place: usize, data: Vec<u8>) -> Record {
    let raw = RawRecord { sequence_number: place.to_string(), arrived_at: Timestamp::parse_rfc3339(NOON).unwrap(), data };
    Record { shard: "shard".to_owned(), partition_key: vid.to_string(), raw }
}

/// A record of as many events as it may hold, or its bytes, all with these samples.
fn packed(id: usize, samples: &str) -> Vec<u8> {
    let mut envelope = event("ID", &[]);
    envelope.as_object_mut().unwrap().remove("data");
    let envelope = envelope.to_string();
    let one = format!("{},\"data\":{{\"samples\":[{samples}]}}}}", envelope.strip_suffix('}').unwrap());
    let count = (limits::UNPACKED_RECORD_BYTES / (one.len() + 10)).min(limits::EVENTS_PER_UPLOAD);
    let events: Vec<String> = (0..count).map(|n| one.replace("\"ID\"", &format!("\"{id}-{n}\""))).collect();
    let record = stream_record::compress(&format!("[{}]", events.join(",")));
    assert!(record.len() < 16 * 1024, "it is small");
    record
}

/// An event in a block, of samples that say the same of so many signals: a few hundred bytes.
fn still(id: &str, signals: usize) -> String {
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
async fn a_batch_that_unpacks_to_more_than_memory_holds_is_carried_on_in_portions() {
    let world = World::new(21);
    let (sender, other) = (world.vehicle("sender").await, world.vehicle("other").await);
    let sample = json!({"at": NOON, "signals": {"Vehicle.Speed": 1}}).to_string();
    let mut records: Vec<Record> =
        (0..12).map(|n| record(&sender, n, packed(n, &vec![sample.as_str(); 500].join(",")))).collect();
    records.insert(6, record(&other, 99, event("good", &[(60, 50.0)]).to_string().into_bytes()));
    let log = Counting::default();
    let outcome = process(&world, world.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, world.memory.quarantined().len()), (None, 0));
    assert_eq!(outcome.counts.samples_stored, outcome.counts.samples_received);
    let Counted { all, most_at_once } = log.counted();
    assert_eq!(all, outcome.counts.samples_stored);
    assert!(all > 800_000, "{all}");
    // Each takes more than half a kilobyte in memory.
    assert!(most_at_once < 250_000, "{most_at_once} samples at once");
}

#[tokio::test]
async fn what_is_set_aside_is_written_in_portions_as_well() {
    let world = World::new(22);
    let vid = world.vehicle("sender").await;
    let records = [record(&vid, 0, packed(0, &vec!["{}"; 500].join(",")))];
    let quarantine = Counting::default();
    let outcome = process(&world, quarantine.clone(), Counting::default(), &records, 0).await;

    assert_eq!(outcome.retry_from, None);
    let Counted { all, most_at_once } = quarantine.counted();
    assert_eq!((all, outcome.counts.samples_quarantined[&Reason::SampleInvalid]), (500_000, 500_000));
    assert!(most_at_once < 100_000, "{most_at_once} items at once");
}

#[tokio::test]
async fn a_record_that_unpacks_to_too_much_is_set_aside_whole_and_others_pass() {
    let world = World::new(23);
    let (sender, other) = (world.vehicle("sender").await, world.vehicle("other").await);
    let objects = stream_record::compress(&format!("[{}]", vec!["{}"; 1_000_000].join(",")));
    let spaces = stream_record::compress(&" ".repeat(limits::UNPACKED_RECORD_BYTES + 1));
    let block = still("wide", 1000).into_bytes();
    let bad = [objects, spaces, block];
    let mut records: Vec<Record> = Vec::new();
    for (n, bytes) in bad.iter().enumerate() {
        assert!(bytes.len() < 20_000, "it is small");
        records.push(record(&sender, 2 * n, bytes.clone()));
        records.push(record(&other, 2 * n + 1, event(&n.to_string(), &[(60, 50.0)]).to_string().into_bytes()));
    }
    let log = Counting::default();
    let outcome = process(&world, world.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, log.counted().all), (None, bad.len()));
    let parked = world.memory.quarantined();
    assert!(parked.iter().all(|item| item.reason == Reason::TooLarge));
    assert_eq!(parked.iter().map(|item| item.samples).collect::<Vec<_>>(), [1, 1, 500]);
    assert!(parked.iter().zip(&bad).all(|(item, bytes)| item.bytes == *bytes), "the bytes are untouched");
}

#[tokio::test]
async fn the_blocks_of_a_record_beyond_its_room_are_set_aside_one_by_one() {
    let world = World::new(24);
    let vid = world.vehicle("sender").await;
    let events: Vec<String> = (0..100).map(|n| still(&n.to_string(), 60)).collect();
    let records = [record(&vid, 0, stream_record::compress(&format!("[{}]", events.join(","))))];
    assert!(records[0].raw.data.len() < 10_000, "it is small");
    let log = Counting::default();
    let outcome = process(&world, world.memory.clone(), log.clone(), &records, 0).await;

    // 500 samples of 60 signals are 480,000 bytes, and 70 such blocks find room in 32 MiB.
    assert_eq!((outcome.retry_from, log.counted().all), (None, 70 * 500));
    assert_eq!(outcome.counts.samples_quarantined, [(Reason::TooLarge, 30 * 500)].into());
}

#[tokio::test]
async fn where_records_take_long_the_rest_of_them_comes_again() {
    let world = World::new(25);
    let vid = world.vehicle("sender").await;
    let upload = |n: usize| event(&n.to_string(), &[(60, 50.0)]).to_string().into_bytes();
    let records: Vec<Record> = (0..20).map(|n| record(&vid, n, upload(n))).collect();
    let log = Counting::default();
    for step_ms in [10_000, 3_600_000] {
        let (mut left, mut batches) = (records.as_slice(), 0);
        while !left.is_empty() {
            let before = log.counted().all;
            let outcome = process(&world, world.memory.clone(), log.clone(), left, step_ms).await;
            let done = outcome.retry_from.unwrap_or(left.len());
            assert!(done > 0, "every batch gets on");
            assert_eq!(log.counted().all - before, done, "what was begun with is stored");
            left = &left[done..];
            batches += 1;
        }
        assert!(batches > 1);
    }
    assert!(world.memory.quarantined().is_empty());
}

/// A log in which every look-up waits its turn a few times, and which notes how many there are at once.
#[derive(Clone, Default)]
struct Waiting {
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl EventLog for Waiting {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        events.iter().map(|_| Ok(())).collect()
    }

    async fn range(&self, _: &EventRange) -> Result<EventPage, PortError> {
        self.all.fetch_add(1, Relaxed);
        self.most_at_once.fetch_max(self.at_once.fetch_add(1, Relaxed) + 1, Relaxed);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Relaxed);
        Ok(EventPage::default())
    }

    async fn get(&self, _: &VehicleId, _: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(None)
    }
}

#[tokio::test]
async fn events_spread_over_years_are_looked_up_several_at_once() {
    let world = World::new(26);
    let vid = world.vehicle("sender").await;
    world.upload(&vid, "now", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    let events: Vec<serde_json::Value> = (1..=1000).map(|n| event(&n.to_string(), &[(n * 3600, 50.0)])).collect();
    let records = [record(&vid, 0, stream_record::compress(&json!(events).to_string()))];
    let log = Waiting::default();
    let outcome = process(&world, world.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 1000));
    assert_eq!(log.all.load(Relaxed), 1000, "each stretch is looked up once");
    let most_at_once = log.most_at_once.load(Relaxed);
    assert!((8..=64).contains(&most_at_once), "{most_at_once} at once");
}
