//! [`Archive`] and [`Quarantine`]

use std::sync::Arc;

use roadcast_domain::ids::Eid;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;

use super::fixtures::{Fixtures, NOON};
use crate::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use crate::clock::Randomness;

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
