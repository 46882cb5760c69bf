//! The archive and the quarantine, in one S3 bucket.
//!
//! The keys are `raw/dt=YYYY-MM-DD/hour=HH/<shard>-<firstSeq>-<lastSeq>.ndjson.zst`, by the arrival time of the first
//! record, and `quarantine/reason=<code>/dt=YYYY-MM-DD/<shard>-<firstSeq>-<lastSeq>-<hash>.ndjson.zst`. Keys are derived
//! from the content, so that a retried batch overwrites its objects. They contain no data of events.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::future::try_join_all;
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;
use sha2::{Digest, Sha256};

use crate::s3::archive_lines::{LinesError, QuarantineLine, compress, raw_lines, to_text};
use crate::sdk_error::port_error;

const ARCHIVE: &str = "archiving a batch";
const STORE_QUARANTINED: &str = "quarantining items";
pub(crate) const RAW_PREFIX: &str = "raw/";
pub(crate) const QUARANTINE_PREFIX: &str = "quarantine/";

/// The archive and the quarantine in one bucket.
#[derive(Clone, Debug)]
pub struct S3Archive {
    client: Client,
    bucket: String,
}

impl S3Archive {
    /// Creates the adapter on the given bucket.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    async fn put(&self, object: ObjectText, context: &'static str) -> Result<(), PortError> {
        let body = compress(&object.text).map_err(|error| rejected(context, error))?;
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key)
            .content_type("application/zstd")
            .body(ByteStream::from(body))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error(context, error))
    }
}

impl Archive for S3Archive {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        let Some(object) = raw_object(batch).map_err(|error| rejected(ARCHIVE, error))? else { return Ok(()) };
        self.put(object, ARCHIVE).await
    }
}

impl Quarantine for S3Archive {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        let objects = quarantine_objects(items).map_err(|error| rejected(STORE_QUARANTINED, error))?;
        // The number of concurrent requests is limited by the number of reasons.
        try_join_all(objects.into_iter().map(|object| self.put(object, STORE_QUARANTINED))).await.map(|_| ())
    }
}

/// An object before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectText {
    /// The object key.
    pub key: String,
    /// The lines.
    pub text: Vec<u8>,
}

/// Returns the object of a batch; `None` if the batch is empty.
pub fn raw_object(batch: &RawBatch) -> Result<Option<ObjectText>, LinesError> {
    let Some(key) = raw_key(batch) else { return Ok(None) };
    Ok(Some(ObjectText { key, text: to_text(&raw_lines(batch))? }))
}

/// Returns the objects of quarantined items, one per reason.
pub fn quarantine_objects(items: &[QuarantinedItem]) -> Result<Vec<ObjectText>, LinesError> {
    let mut by_reason: BTreeMap<Reason, Vec<&QuarantinedItem>> = BTreeMap::new();
    for item in items {
        by_reason.entry(item.reason).or_default().push(item);
    }
    let mut objects = Vec::with_capacity(by_reason.len());
    for (reason, items) in by_reason {
        let lines: Vec<QuarantineLine> = items.iter().map(|item| QuarantineLine::new(item)).collect();
        let text = to_text(&lines)?;
        objects.extend(quarantine_key(reason, &items, &text).map(|key| ObjectText { key, text }));
    }
    Ok(objects)
}

fn raw_key(batch: &RawBatch) -> Option<String> {
    let (first, last) = (batch.records.first()?, batch.records.last()?);
    let arrived = first.arrived_at.to_string();
    Some(format!(
        "{RAW_PREFIX}dt={}/hour={}/{}-{}-{}.ndjson.zst",
        &arrived[..10],
        &arrived[11..13],
        batch.shard,
        first.sequence_number,
        last.sequence_number
    ))
}

fn quarantine_key(reason: Reason, items: &[&QuarantinedItem], text: &[u8]) -> Option<String> {
    let (first, last) = (items.first()?, items.last()?);
    let hash = Sha256::digest(text).iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    Some(format!(
        "{QUARANTINE_PREFIX}reason={reason}/dt={}/{}-{}-{}-{hash:016x}.ndjson.zst",
        day(first.arrived_at),
        first.shard,
        first.sequence_number,
        last.sequence_number
    ))
}

fn day(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("YYYY-MM-DD".len());
    text
}

fn rejected(context: &'static str, error: LinesError) -> PortError {
    PortError::new(PortErrorKind::Rejected, context).caused_by(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_ports::archive::RawRecord;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn quarantined(bytes: &[u8]) -> QuarantinedItem {
        QuarantinedItem {
            reason: Reason::TimeAhead,
            pointer: roadcast_domain::json_pointer::JsonPointer::from(["data", "samples"]).index(0).child("at"),
            vid: None,
            eid: None,
            index: Some(0),
            samples: 1,
            shard: "shardId-000000000000".to_owned(),
            sequence_number: "11".to_owned(),
            arrived_at: at("2026-11-03T23:59:59.999Z"),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn batch_key_is_first_arrival_time_and_sequence_range() {
        let record = |sequence_number: &str, arrived_at| RawRecord {
            sequence_number: sequence_number.to_owned(),
            arrived_at: at(arrived_at),
            data: Vec::new(),
        };
        let records = vec![record("7", "2026-11-03T09:59:59.999Z"), record("9", "2026-11-03T10:00:00Z")];
        let batch = RawBatch { shard: "shardId-000000000003".to_owned(), records };
        assert_eq!(raw_key(&batch).unwrap(), "raw/dt=2026-11-03/hour=09/shardId-000000000003-7-9.ndjson.zst");
        assert_eq!(raw_key(&RawBatch { records: Vec::new(), ..batch }), None);
    }

    #[test]
    fn quarantine_key_depends_only_on_the_content() {
        let name = |bytes: &[u8]| quarantine_key(Reason::TimeAhead, &[&quarantined(bytes)], bytes).unwrap();
        assert_eq!(name(b"a"), name(b"a"));
        assert_ne!(name(b"a"), name(b"b"));
        let (stem, hash) = name(b"a").rsplit_once('-').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(stem, "quarantine/reason=time_ahead/dt=2026-11-03/shardId-000000000000-11-11");
        assert_eq!(hash.len(), "0123456789abcdef.ndjson.zst".len());
    }
}
