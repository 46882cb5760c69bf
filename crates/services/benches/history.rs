//! History queries over a day of one vehicle at one sample per second, as samples and in windows: the CPU time of the function,
//! without that of the table.

#![allow(clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::authz::{Proof as _, Reader};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::{HistoryRange, Resolution, VehicleQueries};
use roadcast_signals::{Sample, SignalPath, Value};
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryItems};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

const DAY_S: i64 = 24 * 60 * 60;
const BATCH_S: i64 = 60;
/// How often each measure is taken for a report.
const REPORTED_READS: u32 = 10;
const SIGNALS: [&str; 5] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.Powertrain.CombustionEngine.Speed",
    "Vehicle.OBD.EngineLoad",
];

type Queries = VehicleQueries<InMemory>;

/// A minute of telemetry, with one event per ten seconds.
fn minute(vid: &VehicleId, minute: i64, start: Timestamp) -> Vec<StoredEvent> {
    let event = |n: i64| {
        let sample = |k: i64| {
            let second = minute * BATCH_S + n * 10 + k;
            let wave = |signal: usize| {
                f64::from(i32::try_from((second * 7 + i64::try_from(signal).unwrap_or(0) * 31) % 900).unwrap_or(0)) / 10.0
            };
            let signals = SIGNALS.iter().enumerate();
            let signals = signals.map(|(at, path)| (SignalPath::parse(path).expect("a path"), Value::Number(wave(at))));
            Sample { at: start.plus_ms(second * 1000), signals: signals.collect() }
        };
        let samples: Vec<Sample> = (0..10).map(sample).collect();
        let origin = Origin { source: "urn:bench".to_owned(), id: format!("{minute}/{n}"), extensions: BTreeMap::new() };
        let eid = Eid::for_event(vid, &origin.source, &origin.id, samples[0].at);
        let received = samples[9].at.plus_ms(500);
        StoredEvent {
            event: Event { eid, vid: vid.clone(), received, body: Body::Telemetry(Telemetry { samples: samples.into() }) },
            origin,
        }
    };
    (0..BATCH_S / 10).map(event).collect()
}

async fn store_day() -> (Queries, VehicleId, usize) {
    let (clock, memory) = (ManualClock::default(), Memory::default());
    let vid = VehicleId::from_random_bits(1);
    let details =
        VehicleDetails { external_ids: vec![ExternalId::new("bench", "1").expect("a name")], ..VehicleDetails::default() };
    let (created_at, updated_at) = (Timestamp::from_ms(0), Timestamp::from_ms(0));
    let vehicle = Vehicle { vid: vid.clone(), details, version: 1, owner: None, retired_at: None, created_at, updated_at };
    memory.register(&vehicle).await.expect("a vehicle");
    let items = MemoryItems::default();
    let log = SegmentedLog { items: items.clone() };
    let start = Timestamp::from_ms(1_714_521_600_000);
    for n in 0..DAY_S / BATCH_S {
        for stored in log.append(&minute(&vid, n, start)).await {
            stored.expect("the event is stored");
        }
    }
    let query = Queries {
        vehicles: memory.clone(),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        log,
        clock,
    };
    let count = items.all().len();
    (query, vid, count)
}

/// Reads the day in windows of a minute.
fn read_windows(runtime: &Runtime, query: &Queries, reader: &Reader, range: &HistoryRange) {
    let minute = Resolution::from_seconds(60).expect("a minute");
    let (mut start, mut windows) = (None, 0);
    loop {
        let page = runtime.block_on(query.windows(reader, range, minute, start)).expect("windows");
        windows += page.rows.len();
        match page.next {
            Some(next) => start = Some(next),
            None => break,
        }
    }
    assert_eq!(windows, 1440);
}

/// Reads the day sample by sample.
fn read_samples(runtime: &Runtime, query: &Queries, reader: &Reader, range: &HistoryRange) {
    let (mut start, mut samples) = (None, 0);
    loop {
        let page = runtime.block_on(query.samples(reader, range, start)).expect("samples");
        samples += page.rows.len();
        match page.next {
            Some(next) => start = Some(next),
            None => break,
        }
    }
    assert_eq!(samples, 86_400);
}

/// Returns the CPU time of this thread, which other processes hardly affect.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a positive time")
}

/// A read of a history.
type Read = fn(&Runtime, &Queries, &Reader, &HistoryRange);

/// With the argument `report`, prints the seconds of each measure, for `benches/run`; otherwise, criterion measures.
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (query, vid, items) = runtime.block_on(store_day());
    let reader = Reader::prove(&Caller::Admin(ClientId::new("bench"))).expect("an admin may read");
    let range = HistoryRange {
        vid,
        from: Timestamp::from_ms(0),
        to: Timestamp::from_ms(i64::MAX / 2),
        selection: Selection::default(),
        limit: 10_000,
    };
    let measures: [(&str, &str, Read); 2] =
        [("in windows of a minute", "history/windows", read_windows), ("sample by sample", "history/samples", read_samples)];
    if std::env::args().any(|argument| argument == "report") {
        for (_, name, read) in measures {
            read(&runtime, &query, &reader, &range);
            let before = cpu_time();
            (0..REPORTED_READS).for_each(|_| read(&runtime, &query, &reader, &range));
            println!("{name}\t{}", cpu_time().saturating_sub(before).as_secs_f64() / f64::from(REPORTED_READS));
        }
        return;
    }
    println!("{items} items store the day");
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("a day of one vehicle");
    group.throughput(Throughput::Elements(DAY_S.unsigned_abs()));
    for (name, _, read) in measures {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let before = cpu_time();
                (0..iterations).for_each(|_| read(&runtime, &query, &reader, &range));
                cpu_time().saturating_sub(before)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
