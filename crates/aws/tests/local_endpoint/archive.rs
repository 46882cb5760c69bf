//! Round trips through the archive and the quarantine.

use std::sync::Arc;

use roadcast_aws::{ArchiveSection, OsRandomness, S3Archive, S3ArchiveReader, S3ArchivedRecords, Sdk};
use roadcast_domain::dead_letter::{Content, ContentBucket};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::clock::Randomness;
use roadcast_ports::redrive::{ArchivedRecords, RecordPosition};
use roadcast_signals::Timestamp;

use crate::stack::Stack;

pub(crate) async fn stored_batches_are_read_back(sdk: &Sdk, stack: &Stack) {
    let archive = S3Archive::new(sdk.s3(), &stack.bucket);
    let reader = S3ArchiveReader::new(sdk.s3(), &stack.bucket);
    raw(&archive, &reader).await;
    println!("raw records are read back");
    quarantine(&archive, &reader).await;
    let records = S3ArchivedRecords::new(sdk.s3(), &stack.bucket);
    found_by_position(&archive, &records, &reader).await;
    println!("archived records are found by their positions");
    println!("quarantined items are read back");
}

async fn raw(archive: &S3Archive, reader: &S3ArchiveReader) {
    let shard = format!("shard-{:x}", OsRandomness.bits());
    let record = |n: i64, data: &[u8]| RawRecord {
        sequence_number: n.to_string(),
        partition_key: format!("key-{n}"),
        arrived_at: Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap().plus_ms(n),
        data: data.to_vec(),
    };
    let batch = |shard: &str, numbers: [i64; 2]| RawBatch {
        shard: shard.to_owned(),
        // Odd records are UTF-8, even ones are not.
        records: numbers.map(|n| Arc::new(record(n, if n % 2 == 0 { &[b'"', b'\n', 0xFF] } else { b"\"\n" }))).into(),
    };
    for numbers in [[1, 2], [1, 2], [5, 6]] {
        Archive::store(archive, &batch(&shard, numbers)).await.unwrap();
    }
    let mut objects = reader.list(ArchiveSection::Raw, None, None).await.unwrap();
    objects.retain(|object| object.key.contains(&shard));
    let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let first = format!("raw/dt=2026-11-03/hour=10/{shard}-1-2.ndjson.zst");
    assert_eq!(keys, [&first, &format!("raw/dt=2026-11-03/hour=10/{shard}-5-6.ndjson.zst")], "a retry overwrites itself");

    let lines = reader.read_raw(keys[0]).await.unwrap();
    let stored: Vec<Arc<RawRecord>> = lines
        .iter()
        .map(|line| {
            Arc::new(RawRecord {
                sequence_number: line.seq.clone(),
                partition_key: line.key.clone(),
                arrived_at: line.arrived_at,
                data: line.data.bytes().unwrap(),
            })
        })
        .collect();
    assert_eq!(stored, batch(&shard, [1, 2]).records, "records are read back unchanged");
    assert!(lines.iter().all(|line| line.shard == shard));

    let after = reader.list(ArchiveSection::Raw, Some(&first), None).await.unwrap();
    assert!(after.iter().all(|object| object.key > first), "a listing starts after the given key");
    let tomorrow = objects[0].written_at.plus_ms(86_400_000);
    assert!(
        reader.list(ArchiveSection::Raw, None, Some(tomorrow)).await.unwrap().is_empty(),
        "nothing was written in the future"
    );
    assert!(objects.iter().all(|object| object.bytes > 0));
}

async fn found_by_position(archive: &S3Archive, records: &S3ArchivedRecords, reader: &S3ArchiveReader) {
    let shard = format!("shard-{:x}", OsRandomness.bits());
    let before_ten = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
    let record = |n: i64| RawRecord {
        sequence_number: n.to_string(),
        partition_key: format!("key {n}"),
        arrived_at: before_ten.plus_ms(n),
        data: vec![0xFF],
    };
    // The first batch starts in the hour before that of its other records. The second one overlaps it.
    for numbers in [0..4, 3..12] {
        Archive::store(archive, &RawBatch { shard: shard.clone(), records: numbers.map(|n| record(n).into()).collect() })
            .await
            .unwrap();
    }
    let position =
        |n: i64| RecordPosition { shard: shard.clone(), sequence_number: n.to_string(), arrived_at: before_ten.plus_ms(n) };
    let found = records.find(&[3, 99, 10, 0].map(position)).await.unwrap();
    assert_eq!(found.into_iter().map(|found| found.raw).collect::<Vec<_>>(), [3, 10, 0].map(record));

    let item = |n: i64| QuarantinedItem {
        reason: Reason::TypeUnknown,
        pointer: "/type".parse().unwrap(),
        vid: None,
        eid: None,
        index: None,
        samples: 1,
        shard: shard.clone(),
        sequence_number: n.to_string(),
        arrived_at: before_ten.plus_ms(n),
        bytes: vec![0xFF],
    };
    Quarantine::store(archive, &[2, 2, 7].map(item)).await.unwrap();
    let objects = reader.list(ArchiveSection::Quarantine, None, None).await.unwrap();
    let key = objects.into_iter().map(|object| object.key).find(|key| key.contains(&shard)).unwrap();
    let content = |key: &str| Content { bucket: ContentBucket::Archive, key: key.to_owned(), bytes: 0 };
    assert_eq!(records.quarantined(&content(&key)).await.unwrap(), Some([2, 7].map(position).into()));
    assert_eq!(records.quarantined(&content("quarantine/none")).await.unwrap(), None);
}

async fn quarantine(archive: &S3Archive, reader: &S3ArchiveReader) {
    let shard = format!("shard-{:x}", OsRandomness.bits());
    let quarantined = |reason, n: u128| QuarantinedItem {
        reason,
        pointer: "/data/samples/0".parse().unwrap(),
        vid: Some(VehicleId::from_random_bits(n)),
        eid: Some(Eid::MAX),
        index: Some(0),
        samples: 1,
        shard: shard.clone(),
        sequence_number: "7".to_owned(),
        arrived_at: Timestamp::from_ms(0),
        bytes: b"{}".to_vec(),
    };
    let items = [quarantined(Reason::TimeAhead, 1), quarantined(Reason::NotJson, 2), quarantined(Reason::TimeAhead, 3)];
    for _ in 0..2 {
        Quarantine::store(archive, &items).await.unwrap();
    }
    let mut objects = reader.list(ArchiveSection::Quarantine, None, None).await.unwrap();
    objects.retain(|object| object.key.contains(&shard));
    assert_eq!(objects.len(), 2, "one object for each reason, and a retry overwrites itself");
    assert!(objects[1].key.starts_with("quarantine/reason=time_ahead/dt=1970-01-01/"), "{}", objects[1].key);
    let lines = reader.read_quarantine(&objects[1].key).await.unwrap();
    let vids: Vec<_> = lines.iter().map(|line| line.vid.clone().unwrap()).collect();
    assert_eq!(vids, [1, 3].map(VehicleId::from_random_bits));
    assert!(lines.iter().all(|line| line.reason == Reason::TimeAhead && line.data.bytes().unwrap() == b"{}"));
}
