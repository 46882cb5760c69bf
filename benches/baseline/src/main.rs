//! The stream handler at commit cf89d3b, measured as `crates/services/benches/stream_handler` measures the present one.
//!
//! `roadcast-baseline INPUTS FORM` prints the samples per second of CPU time; FORM is json, zstd or version1. The commit does not read
//! the present blocks: `roadcast-baseline INPUTS write-blocks` first writes those of version 1, with the same samples. This is
//! compiled against the crates of that commit, whose names differ from the present ones.

#![allow(clippy::expect_used, clippy::cast_precision_loss, missing_docs)]

mod blocks;

use std::path::Path;
use std::time::Duration;

use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_packing::log::SegmentedLog;
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, RawBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::cached::{CachedEntitlements, CachedSubjects};
use roadcast_services::process::{Process, Recent};
use roadcast_services::schemas::CachedSchemas;
use roadcast_signals::Timestamp;
use roadcast_testbed::{ManualClock, Memory, MemoryItems};
use rustix::time::{ClockId, clock_gettime};

/// Batches before the measured ones, as in the present measure.
const WARM_UP: usize = 2;

/// Keeps nothing.
struct Discard;

impl Archive for Discard {
    async fn keep(&self, batch: &RawBatch) -> Result<(), PortError> {
        std::hint::black_box(batch);
        Ok(())
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a positive time")
}

async fn measure(inputs: &Path, form: &str) -> f64 {
    let facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(inputs.join("workload.json")).expect("workload.json")).expect("JSON");
    let number = |name: &str| facts[name].as_i64().expect("a number");
    let clock = ManualClock::at(Timestamp::from_ms(number("start_ms")));
    let (memory, items) = (Memory::default(), MemoryItems::default());
    for vid in facts["vehicles"].as_array().expect("vehicles") {
        let (created_at, updated_at) = (Timestamp::from_ms(0), Timestamp::from_ms(0));
        let vid = vid.as_str().expect("a text").parse().expect("a vehicle id");
        let details = VehicleDetails::default();
        let vehicle = Vehicle { vid, details, version: 1, owner: None, retired_at: None, created_at, updated_at };
        memory.register(&vehicle).await.expect("a vehicle");
    }
    let process = Process {
        archive: Discard,
        // Gets nothing, because every sample of the workload is valid.
        quarantine: memory.clone(),
        subjects: CachedSubjects::new(memory.clone(), clock.clone()),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        bus: memory.clone(),
        state: memory.clone(),
        log: SegmentedLog { items },
        schemas: CachedSchemas::new(memory, clock.clone()),
        recent: Recent::default(),
        clock: clock.clone(),
    };
    let mut files: Vec<_> = std::fs::read_dir(inputs).expect("inputs").map(|entry| entry.expect("a file").path()).collect();
    let is_batch = |name: &str| name.starts_with(&format!("{form}-"));
    files.retain(|file| file.file_name().and_then(|name| name.to_str()).is_some_and(is_batch));
    files.sort();
    let (mut total, mut samples) = (Duration::ZERO, 0);
    for (n, file) in files.iter().enumerate() {
        let payload = std::fs::read(file).expect("a batch");
        clock.advance_ms(number("batch_ms"));
        let before = cpu_time();
        let event: KinesisEvent = serde_json::from_slice(&payload).expect("an event");
        let batch = event.into_batch(clock.now());
        let outcome = process.batch(&batch.records).await;
        let elapsed = cpu_time().saturating_sub(before);
        assert_eq!((outcome.retry_from, outcome.failures.len()), (None, 0));
        assert_eq!(i64::try_from(outcome.counts.samples_stored).ok(), facts["samples_per_batch"].as_i64());
        if n >= WARM_UP {
            total += elapsed;
            samples += outcome.counts.samples_stored;
        }
    }
    samples as f64 / total.as_secs_f64()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [inputs, form] = arguments.as_slice() else { panic!("usage: roadcast-baseline INPUTS FORM") };
    if form == "write-blocks" {
        return blocks::write(Path::new(inputs));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    println!("{}", runtime.block_on(measure(Path::new(inputs), form)));
}
