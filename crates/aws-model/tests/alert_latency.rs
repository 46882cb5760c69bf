//! How long an alert takes from its cause in the stream to the dispatcher of webhooks, while 50,000 samples wait for the stream
//! processor: in virtual time, on the mappings of one shard.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_precision_loss)]

use std::cell::Cell;
use std::convert::Infallible;

use roadcast_aws_model::event_source_mapping::{
    BatchResponse, EventSourceMapping, MappingConfig, READ_BYTES_PER_S, Reads, SharedReads,
};
use roadcast_aws_model::hops::{ALERT_HOPS, Hop};
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_signals::Timestamp;
use roadcast_testbed::{ManualClock, MemoryStream, SeededRandomness, ShardRecord};

const PERFORMANCE: &str = include_str!("../../../docs/performance.md");

const WAITING_SAMPLES: usize = 50_000;
const SAMPLES_PER_UPLOAD: usize = 10;
/// The times at which alerts are posted, and how often the hops after the evaluation are drawn for each.
const POSTED: usize = 50;
const DRAWS: usize = 20;
/// Records that arrive every 100 ms meanwhile: those of the peak of 10,000 vehicles, or as many as a shard accepts.
const LIVE_EVERY_MS: i64 = 100;
/// Samples per second that the evaluator evaluates at least, with its share of a processor.
const EVALUATED_PER_S: i64 = 50_000;
const ALERT: &str = "the vehicle with an alert";

/// The form of uploads of ten samples.
#[derive(Copy, Clone)]
struct Form {
    name: &'static str,
    bytes: usize,
    live: usize,
}

const BLOCKS: Form = Form { name: "blocks", bytes: 600, live: 20 };
const JSON: Form = Form { name: "JSON", bytes: 5_600, live: 17 };

/// How the evaluator reads.
#[derive(Copy, Clone, PartialEq)]
enum Path {
    /// By enhanced fan-out, with this batch window in milliseconds.
    FanOut(i64),
    /// By polls.
    Shared,
    /// By polls, and nothing waits for the stream processor.
    SharedWithoutBacklog,
}

impl Path {
    const fn name(self) -> &'static str {
        match self {
            Self::FanOut(0) => "`AlertFanOut`",
            Self::FanOut(_) => "`AlertFanOut`, batch window of 1 s",
            Self::Shared => "without",
            Self::SharedWithoutBacklog => "without, and nothing waits",
        }
    }
}

/// A number from 0 to 1.
fn uniform(random: &SeededRandomness) -> f64 {
    (random.bits() >> 75) as f64 / (1_u64 << 53) as f64
}

/// Returns the time until the evaluator gets the alert, and until it has evaluated its batch.
async fn evaluated_ms(form: Form, path: Path, random: &SeededRandomness) -> i64 {
    let clock = ManualClock::default();
    let stream = MemoryStream::new(clock.clone(), 1);
    let data = vec![0_u8; form.bytes];
    let put = |key: &str| drop(stream.put_bytes(key, &data));
    let waiting = if path == Path::SharedWithoutBacklog { 0 } else { WAITING_SAMPLES };
    for n in 0..waiting / SAMPLES_PER_UPLOAD {
        put(&n.to_string());
    }
    let config = |window_ms| MappingConfig { batch_size: 10_000, window_ms, ..MappingConfig::default() };
    let mapping = |window_ms| EventSourceMapping::new(config(window_ms), stream.clone(), clock.clone());
    let at_once = async |_: Vec<ShardRecord>| Ok::<_, Infallible>(BatchResponse::success());
    // The evaluator has all that waits for the stream processor.
    let mut evaluator = mapping(if let Path::FanOut(window_ms) = path { window_ms } else { 0 });
    clock.advance_ms(2000);
    evaluator.drain(&at_once).await;

    let start = clock.now();
    let phase = || start.plus_ms((uniform(random) * 1000.0) as i64);
    let shared = SharedReads::default();
    let polls = |first| Reads::Polls { shared: shared.clone(), first };
    // It catches up from now on. Only its reads matter, not its batches.
    let mut processor = mapping(0).with_reads(polls(phase()));
    let mut evaluator = evaluator.with_reads(if matches!(path, Path::FanOut(_)) { Reads::FanOut } else { polls(phase()) });
    // While samples wait: the processor reads them no faster than this.
    let catch_up_ms = (form.bytes * waiting / SAMPLES_PER_UPLOAD * 1000 / READ_BYTES_PER_S) as f64;
    let posted = start.plus_ms(((catch_up_ms + 1000.0) * uniform(random)) as i64);
    let (mut is_posted, mut next_live) = (false, start);
    let done: Cell<Option<Timestamp>> = Cell::new(None);
    let evaluate = async |records: Vec<ShardRecord>| {
        let samples = i64::try_from(records.len() * SAMPLES_PER_UPLOAD).unwrap();
        let duration_ms = 1 + samples * 1000 / EVALUATED_PER_S;
        if records.iter().any(|record| record.partition_key == ALERT) {
            done.set(Some(clock.now().plus_ms(duration_ms)));
        }
        // The calls of the function, at most.
        Ok::<_, Infallible>(BatchResponse::success().after_ms(duration_ms + 100))
    };
    while done.get().is_none() {
        let own = if is_posted { next_live } else { posted.min(next_live) };
        let due = [processor.next_due(), evaluator.next_due(), Some(own)].into_iter().flatten().min().unwrap();
        clock.set(due.max(clock.now()));
        let now = clock.now();
        if !is_posted && now >= posted {
            put(ALERT);
            is_posted = true;
        }
        if now >= next_live {
            (0..form.live).for_each(|n| put(&n.to_string()));
            next_live = now.plus_ms(LIVE_EVERY_MS);
        }
        processor.poll(&at_once).await;
        evaluator.poll(&evaluate).await;
        assert!(now.ms_since(start) < 120_000, "the alert is evaluated");
    }
    done.get().unwrap().ms_since(posted)
}

/// The latencies in seconds: median, 95th percentile and maximum.
async fn latencies(form: Form, path: Path) -> [f64; 3] {
    let random = SeededRandomness::new(17);
    let mut latencies = Vec::new();
    for _ in 0..POSTED {
        let evaluated = evaluated_ms(form, path, &random).await as f64;
        for _ in 0..DRAWS {
            let hops: f64 = ALERT_HOPS.iter().map(|hop: &Hop| hop.at(uniform(&random))).sum();
            latencies.push((evaluated + hops) / 1000.0);
        }
    }
    latencies.sort_by(f64::total_cmp);
    [latencies[latencies.len() / 2], latencies[latencies.len() * 95 / 100], latencies[latencies.len() - 1]]
}

/// Returns the row of a table.
fn row(form: Form, path: Path, [median, p95, max]: [f64; 3]) -> String {
    format!("| {} | {} | {median:.1} | {p95:.1} | {max:.1} |", path.name(), form.name)
}

/// `docs/performance.md` states what the model gives.
fn check_stated(rows: &[String]) {
    let missing: Vec<&String> = rows.iter().filter(|row| !PERFORMANCE.contains(*row)).collect();
    assert!(missing.is_empty(), "docs/performance.md does not state:\n{missing:#?}");
}

#[tokio::test]
async fn alert_reaches_the_dispatcher_within_two_seconds_with_fan_out() {
    let mut rows = Vec::new();
    for path in [Path::FanOut(0), Path::FanOut(1000)] {
        for form in [BLOCKS, JSON] {
            let found = latencies(form, path).await;
            assert!(found[1] < 2.0, "{found:?}");
            rows.push(row(form, path, found));
        }
    }
    check_stated(&rows);
}

/// What is promised without fan-out is weaker: reads of the stream processor block the shard until it has caught up.
#[tokio::test]
async fn without_fan_out_alerts_wait_for_reads_of_the_stream_processor() {
    let (blocks, json) = (latencies(BLOCKS, Path::Shared).await, latencies(JSON, Path::Shared).await);
    assert!(blocks[1] < 5.0, "{blocks:?}");
    assert!(json[1] > 5.0 && json[2] < 40.0, "{json:?}");
    let idle = latencies(BLOCKS, Path::SharedWithoutBacklog).await;
    let rows = [(BLOCKS, Path::SharedWithoutBacklog, idle), (BLOCKS, Path::Shared, blocks), (JSON, Path::Shared, json)];
    check_stated(&rows.map(|(form, path, found)| row(form, path, found)));
}

#[test]
fn page_has_the_latency_of_each_hop() {
    let row = |hop: &Hop| {
        let [p10, p50, p90, p99] = hop.percentiles_ms;
        format!("| {} | {p10:.0} | {p50:.0} | {p90:.0} | {p99:.0} | {} |", hop.name, hop.source)
    };
    check_stated(&ALERT_HOPS.iter().map(row).collect::<Vec<String>>());
}
