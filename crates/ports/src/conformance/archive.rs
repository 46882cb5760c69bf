//! [`Archive`], [`ArchivedBatches`] and [`Quarantine`]

use std::sync::Arc;

use roadcast_domain::ids::Eid;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_signals::Timestamp;

use super::fixtures::{Fixtures, NOON};
use crate::archive::{Archive, ArchivedBatches, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use crate::clock::{Clock, Randomness};

/// Checks every implementation of [`Archive`]. Reading it back is tested with the adapters.
pub async fn archive(archive: &impl Archive, random: &impl Randomness) {
    let shard = format!("shardId-{}", Fixtures::new(random).word());
    let record = |n: i64, data: &[u8]| {
        Arc::new(RawRecord {
            sequence_number: format!("{n:056}"),
            partition_key: format!("key {n}"),
            arrived_at: NOON.plus_ms(n),
            data: data.to_vec(),
        })
    };
    let records = vec![record(1, b"{}"), record(2, &[0xFF, 0, 0xFE]), record(3, b""), record(4, "\"é\"\n\n".as_bytes())];
    let batch = RawBatch { shard: shard.clone(), records };
    archive.store(&batch).await.expect("a batch with any bytes is stored");
    archive.store(&batch).await.expect("the same batch is stored again");
    let overlapping = RawBatch { shard, records: batch.records[2..].to_vec() };
    archive.store(&overlapping).await.expect("an overlapping batch is stored");
}

/// Checks every implementation of [`ArchivedBatches`] on what is stored in `archive`.
pub async fn archived_batches(
    archive: &impl Archive,
    batches: &impl ArchivedBatches,
    clock: &impl Clock,
    random: &impl Randomness,
) {
    // An hour of its own, because the batches of an hour are listed for all shards.
    const HOUR_MS: i64 = 60 * 60 * 1000;
    let hour = Timestamp::from_ms(i64::try_from(random.bits() % 400_000).unwrap_or_default() * HOUR_MS);
    let shard = format!("shardId-{}", Fixtures::new(random).word());
    let record = |n: i64| {
        let (sequence_number, partition_key) = (format!("{n:056}"), format!("key {n}"));
        let arrived_at = hour.plus_ms(HOUR_MS - 5 + n);
        Arc::new(RawRecord { sequence_number, partition_key, arrived_at, data: vec![0xFF, b'"', b'0'] })
    };
    let batch = |numbers: &[i64]| RawBatch { shard: shard.clone(), records: numbers.iter().map(|n| record(*n)).collect() };
    // A batch belongs to the hour of its first record. The third one is a retry of the second one with other boundaries.
    let before = clock.now();
    let stored = [batch(&[1, 2]), batch(&[3, 4, 5]), batch(&[4, 5, 6]), batch(&[8])];
    for batch in &stored {
        archive.store(batch).await.expect("a batch is stored");
    }
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = batches.list(hour, keys.last().map(String::as_str), 2).await.expect("batches are listed");
        assert!(page.len() <= 2, "a page has at most `limit` keys");
        if page.is_empty() {
            break;
        }
        for batch in page {
            let is_recent = batch.written_at.plus_ms(60_000) > before;
            assert!(!batch.key.contains(&shard) || is_recent, "a batch states when it was written");
            assert!(batch.bytes > 0, "a batch states its size");
            keys.push(batch.key);
        }
    }
    assert!(keys.is_sorted(), "batches are ordered by key");
    let mut found = Vec::new();
    for key in &keys {
        let records = batches.read(key).await.expect("a batch is read");
        if records.iter().all(|record| record.shard == shard) {
            found.push(records.into_iter().map(|record| record.raw).collect::<Vec<_>>());
        }
    }
    let expected: Vec<Vec<RawRecord>> =
        stored[..3].iter().map(|batch| batch.records.iter().map(|record| (**record).clone()).collect()).collect();
    assert_eq!(found, expected, "the batches of the hour are read back unchanged, in order");
    let missing = format!("{}x", keys[0]);
    assert_eq!(batches.read(&missing).await.expect("a missing batch is read"), [], "a missing batch has no records");
    let other = batches.list(hour.plus_ms(-HOUR_MS), None, 1000).await.expect("batches are listed");
    assert!(other.iter().all(|batch| !keys.contains(&batch.key)), "another hour has other batches");
}

/// Checks every implementation of [`Quarantine`]. Reading it back is tested with the adapters.
pub async fn quarantine(quarantine: &impl Quarantine, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let shard = format!("shardId-{}", fixtures.word());
    quarantine.store(&[]).await.expect("storing no items succeeds");
    let item = |(n, reason): (usize, Reason)| {
        let vid = (n % 2 == 0).then(|| fixtures.vid());
        QuarantinedItem {
            reason,
            pointer: JsonPointer::from(["data", "samples"]).index(n).child("at"),
            eid: vid.as_ref().map(|vid| Eid::for_event(vid, "urn:suite", &fixtures.word(), NOON)),
            vid,
            index: (n % 2 == 0).then_some(n),
            samples: n,
            shard: shard.clone(),
            sequence_number: format!("{n:056}"),
            arrived_at: NOON,
            bytes: vec![0xFF, b'"', b'\n'],
        }
    };
    let items: Vec<QuarantinedItem> = Reason::ALL.into_iter().enumerate().map(item).collect();
    quarantine.store(&items).await.expect("items of every reason with any bytes are stored");
    quarantine.store(&items).await.expect("the same items are stored again");
}
