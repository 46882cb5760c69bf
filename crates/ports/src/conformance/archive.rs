//! [`Archive`] and [`Quarantine`]

use roadcast_domain::ids::Eid;
use roadcast_domain::refusal::Reason;

use super::fresh::{Fresh, NOON};
use crate::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use crate::clock::Randomness;

/// What every [`Archive`] does. Reading it back is for the pipe's own tests.
pub async fn archive(archive: &impl Archive, random: &impl Randomness) {
    let shard = format!("shardId-{}", Fresh::new(random).word());
    let record = |n: i64, data: &[u8]| RawRecord {
        sequence_number: format!("{n:056}"),
        arrived_at: NOON.plus_ms(n),
        data: data.to_vec(),
    };
    let records = vec![record(1, b"{}"), record(2, &[0xFF, 0, 0xFE]), record(3, b""), record(4, "\"é\"\n\n".as_bytes())];
    let batch = RawBatch { shard: shard.clone(), records };
    archive.store(&batch).await.expect("a batch is kept, whatever bytes it holds");
    archive.store(&batch).await.expect("a batch is kept again");
    let overlapping = RawBatch { shard, records: batch.records[2..].to_vec() };
    archive.store(&overlapping).await.expect("a retried batch with another boundary is kept");
}

/// What every [`Quarantine`] does. Reading it back is for the pipe's own tests.
pub async fn quarantine(quarantine: &impl Quarantine, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let shard = format!("shardId-{}", fresh.word());
    quarantine.store(&[]).await.expect("parking nothing is fine");
    let item = |(n, reason): (usize, Reason)| {
        let vid = (n % 2 == 0).then(|| fresh.vid());
        QuarantinedItem {
            reason,
            pointer: format!("/data/samples/{n}/at"),
            eid: vid.as_ref().map(|vid| Eid::of(vid, "urn:suite", &fresh.word(), NOON)),
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
    quarantine.store(&items).await.expect("items of every reason are parked, whatever bytes they hold");
    quarantine.store(&items).await.expect("the same items are parked again");
}
