//! [`TelemetryStream`], [`StreamReader`] and [`StreamClock`].

use roadcast_signals::Timestamp;

use super::fixtures::Fixtures;
use crate::archive::RawRecord;
use crate::clock::Randomness;
use crate::stream::{ReadStart, StreamClock, StreamReader, StreamRecord, TelemetryStream};

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

/// Checks [`StreamReader`] and [`StreamClock`] on a stream with these shards, at time `now` of the stream.
pub async fn stream_reads(
    stream: &impl TelemetryStream,
    reader: &impl StreamReader,
    clock: &impl StreamClock,
    (shards, now): (&[&str], Timestamp),
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    let since = ReadStart::At(now.plus_ms(-60_000));
    let tick = format!(r#"{{"tick":"{}"}}"#, fixtures.word()).into_bytes();
    let vid = fixtures.vid();
    let record = |n: u8| StreamRecord { vid: vid.clone(), data: vec![b' ', n] };
    assert!(stream.put(&[record(1), record(2)]).await.iter().all(Result::is_ok), "put succeeds");
    assert_eq!(clock.tick(&tick).await.expect("tick succeeds"), shards.len(), "a record in each shard");
    assert!(stream.put(&[record(3)]).await.iter().all(Result::is_ok), "put succeeds");

    let read = async |shard: &str, from: &ReadStart, limit| reader.read(shard, from, limit).await.expect("read succeeds");
    let mut of_vehicle = Vec::new();
    for shard in shards {
        let mut all: Vec<RawRecord> = Vec::new();
        let mut from = since.clone();
        loop {
            let page = read(shard, &from, 50).await;
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 50, "at most the limit");
            from = ReadStart::After(last.sequence_number.clone());
            all.extend(page);
        }
        assert_eq!(all.iter().filter(|record| record.data == tick).count(), 1, "the shard has the tick");
        of_vehicle.extend(all.iter().filter(|record| record.partition_key == vid.as_str()).cloned());
        assert_eq!(read(shard, &ReadStart::At(now.plus_ms(3_600_000)), 10).await, [], "nothing arrives in the future");
    }
    let data: Vec<&[u8]> = of_vehicle.iter().map(|record| record.data.as_slice()).collect();
    assert_eq!(data, [[b' ', 1], [b' ', 2], [b' ', 3]], "in order, once");
    assert!(of_vehicle.iter().all(|record| (record.arrived_at.ms() - now.ms()).abs() < 600_000), "with their arrival");
}
