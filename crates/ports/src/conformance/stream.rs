//! [`TelemetryStream`]

use super::fixtures::Fixtures;
use crate::clock::Randomness;
use crate::stream::{StreamRecord, TelemetryStream};

/// Checks every implementation of [`TelemetryStream`]. Reading the stream is tested with the adapters.
pub async fn telemetry_stream(stream: &impl TelemetryStream, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    assert!(stream.put(&[]).await.is_empty(), "putting no records returns no results");

    // Each list exceeds a limit of PutRecords: 500 records, and 5 MiB.
    let record = |bytes| StreamRecord { vid: fixtures.vid(), data: vec![b' '; bytes] };
    let many: Vec<StreamRecord> = (0..620).map(|_| record(20)).collect();
    let large: Vec<StreamRecord> = (0..8).map(|_| record(roadcast_domain::limits::UPLOAD_BYTES)).collect();
    for (records, what) in [(many, "620 small records"), (large, "8 records of the maximum upload size")] {
        let results = stream.put(&records).await;
        assert_eq!(results.len(), records.len(), "{what} have one result each");
        // A full shard may throttle some of them. No other error is allowed.
        let rejected = results.iter().filter_map(|result| result.as_ref().err()).find(|error| !error.is_retryable());
        assert!(rejected.is_none(), "{what} are stored or throttled: {rejected:?}");
        assert!(results.iter().any(Result::is_ok), "some of {what} are stored");
    }
}
