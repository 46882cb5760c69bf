//! The processing time of a batch: records that are not started in time are retried.

use roadcast_services::stream::Record;

use crate::decompression::{CountingSink, WithCountingLog, process, record};
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
