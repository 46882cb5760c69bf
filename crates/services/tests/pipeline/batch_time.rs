//! The processing time of a batch: records that are not started in time are retried, and log scans run concurrently.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use roadcast_codec::stream_record;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_services::stream::Record;
use roadcast_testbed::{FaultPlan, port_set};
use serde_json::json;

use crate::decompression::{CountingSink, SlowClock, WithCountingLog, process, record};
use crate::fixture::{PipelineFixture, event};

#[tokio::test]
async fn records_after_the_time_limit_are_retried() {
    let pipeline = PipelineFixture::new(25);
    let vid = pipeline.vehicle("sender").await;
    let upload = |n: usize| event(&n.to_string(), &[(60, 50.0)]).to_string().into_bytes();
    let records: Vec<Record> = (0..20).map(|n| record(&vid, n, upload(n))).collect();
    let log = CountingSink::default();
    for step_ms in [10_000, 3_600_000] {
        let (mut remaining, mut batches) = (records.as_slice(), 0);
        while !remaining.is_empty() {
            let before = log.counts().total;
            let outcome =
                process::<WithCountingLog>(&pipeline, pipeline.memory.clone(), log.clone(), remaining, step_ms).await;
            let done = outcome.retry_from.unwrap_or(remaining.len());
            assert!(done > 0, "every batch makes progress");
            assert_eq!(log.counts().total - before, done, "every started record is stored");
            remaining = &remaining[done..];
            batches += 1;
        }
        assert!(batches > 1);
    }
    assert!(pipeline.memory.quarantined().is_empty());
}

/// An event log whose reads yield a few times, and which counts concurrent reads.
#[derive(Clone, Default)]
struct YieldingLog {
    concurrent: Arc<AtomicUsize>,
    max_concurrent: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
}

impl EventLog for YieldingLog {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        events.iter().map(|_| Ok(())).collect()
    }

    async fn range(&self, _: &EventRange) -> Result<EventPage, PortError> {
        self.total.fetch_add(1, Relaxed);
        self.max_concurrent.fetch_max(self.concurrent.fetch_add(1, Relaxed) + 1, Relaxed);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.concurrent.fetch_sub(1, Relaxed);
        Ok(EventPage::default())
    }

    async fn get(&self, _: &VehicleId, _: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(None)
    }
}

port_set! {
    /// Ports in memory with a log that yields.
    enum WithYieldingLog {
        Clock = SlowClock;
        EventLog = YieldingLog;
    }
}

#[tokio::test]
async fn log_scans_for_events_over_years_run_concurrently() {
    let pipeline = PipelineFixture::new(26);
    let vid = pipeline.vehicle("sender").await;
    pipeline.upload(&vid, "now", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let events: Vec<serde_json::Value> = (1..=1000).map(|n| event(&n.to_string(), &[(n * 3600, 50.0)])).collect();
    let records = [record(&vid, 0, stream_record::compress(&json!(events).to_string()))];
    let log = YieldingLog::default();
    let outcome = process::<WithYieldingLog>(&pipeline, pipeline.memory.clone(), log.clone(), &records, 0).await;

    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 1000));
    assert_eq!(log.total.load(Relaxed), 1000, "each range is scanned once");
    let max_concurrent = log.max_concurrent.load(Relaxed);
    assert!((8..=64).contains(&max_concurrent), "{max_concurrent} concurrent scans");
}
