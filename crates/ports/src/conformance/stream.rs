//! [`TelemetryStream`]

use super::fresh::Fresh;
use crate::clock::Randomness;
use crate::stream::{StreamRecord, TelemetryStream};

/// What every [`TelemetryStream`] does. Reading the stream back is for the pipe's own tests.
pub async fn telemetry_stream(stream: &impl TelemetryStream, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    assert!(stream.put(&[]).await.is_empty(), "putting nothing answers nothing");

    // Each more than PutRecords takes at once: 500 records, and 5 MiB.
    let record = |bytes| StreamRecord { vid: fresh.vid(), data: vec![b' '; bytes] };
    let many: Vec<StreamRecord> = (0..620).map(|_| record(20)).collect();
    let large: Vec<StreamRecord> = (0..8).map(|_| record(roadcast_domain::limits::UPLOAD_BYTES)).collect();
    for (records, what) in [(many, "620 small records"), (large, "8 records of the largest upload")] {
        let answers = stream.put(&records).await;
        assert_eq!(answers.len(), records.len(), "{what} are answered one by one");
        // A full shard may throttle some of them; nothing else may happen to them.
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).find(|error| !error.is_retryable());
        assert!(refused.is_none(), "{what} are taken: {refused:?}");
        assert!(answers.iter().any(Result::is_ok), "of {what}, some are taken at once");
    }
}
