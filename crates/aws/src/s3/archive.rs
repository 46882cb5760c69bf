//! The archive and the quarantine, in one S3 bucket.
//!
//! The keys are `raw/dt=YYYY-MM-DD/hour=HH/<shard>-<firstSeq>-<lastSeq>.ndjson.zst`, by the arrival time of the first
//! record, and `quarantine/reason=<code>/dt=YYYY-MM-DD/<shard>-<firstSeq>-<lastSeq>-<hash>.ndjson.zst`. Keys are derived
//! from the content, so that a retried batch overwrites its objects. They contain no data of events.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::future::try_join_all;
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;
use sha2::{Digest, Sha256};

use crate::s3::archive_lines::{LinesError, QuarantineLine, compress, raw_lines, to_text};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const ARCHIVE: &str = "archiving a batch";
const STORE_QUARANTINED: &str = "quarantining items";
pub(crate) const RAW_PREFIX: &str = "raw/";
pub(crate) const QUARANTINE_PREFIX: &str = "quarantine/";
/// Metadata of quarantine objects: the number of items, and when the stream accepted the records of the first and the last
/// one. The dead letter of an object states them, without reading it.
pub(crate) const ITEMS: &str = "items";
pub(crate) const FIRST_ARRIVAL: &str = "first-arrival";
pub(crate) const LAST_ARRIVAL: &str = "last-arrival";

/// The archive and the quarantine in one bucket.
#[derive(Clone, Debug)]
pub struct S3Archive {
    client: LazyClient<Client>,
    bucket: String,
}

impl S3Archive {
    /// Creates the adapter on the given bucket.
    pub fn new(client: LazyClient<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    async fn put(&self, object: ObjectText, context: &'static str) -> Result<(), PortError> {
        let body = compress(&object.text).map_err(|error| unwritable(context, error))?;
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key)
            .content_type("application/zstd")
            .set_metadata(Some(object.metadata))
            .body(ByteStream::from(body))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error(context, error))
    }
}

impl Archive for S3Archive {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        let Some(object) = raw_object(batch).map_err(|error| unwritable(ARCHIVE, error))? else { return Ok(()) };
        self.put(object, ARCHIVE).await
    }
}

impl Quarantine for S3Archive {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        let objects = quarantine_objects(items).map_err(|error| unwritable(STORE_QUARANTINED, error))?;
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
    /// The metadata.
    pub metadata: HashMap<String, String>,
}

/// Returns the object of a batch; `None` if the batch is empty.
pub fn raw_object(batch: &RawBatch) -> Result<Option<ObjectText>, LinesError> {
    let Some(key) = raw_key(batch) else { return Ok(None) };
    Ok(Some(ObjectText { key, text: to_text(&raw_lines(batch))?, metadata: HashMap::new() }))
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
        let metadata = quarantine_metadata(&items);
        objects.extend(quarantine_key(reason, &items, &text).map(|key| ObjectText { key, text, metadata }));
    }
    Ok(objects)
}

fn raw_key(batch: &RawBatch) -> Option<String> {
    let (first, last) = (batch.records.first()?, batch.records.last()?);
    Some(format!(
        "{RAW_PREFIX}{}{}-{}-{}.ndjson.zst",
        hour_prefix(first.arrived_at),
        batch.shard,
        first.sequence_number,
        last.sequence_number
    ))
}

/// Returns the part of a key that names the hour in which the first record of a batch arrived.
pub(crate) fn hour_prefix(at: Timestamp) -> String {
    let arrived = at.to_string();
    format!("dt={}/hour={}/", &arrived[..10], &arrived[11..13])
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

fn quarantine_metadata(items: &[&QuarantinedItem]) -> HashMap<String, String> {
    let arrivals = || items.iter().map(|item| item.arrived_at);
    let times = [(FIRST_ARRIVAL, arrivals().min()), (LAST_ARRIVAL, arrivals().max())];
    let times = times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), time?.to_string())));
    times.chain([(ITEMS.to_owned(), items.len().to_string())]).collect()
}

fn day(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("YYYY-MM-DD".len());
    text
}

fn unwritable(context: &'static str, error: LinesError) -> PortError {
    PortError::new(PortErrorKind::Internal, context).caused_by(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_codec::dead_letter::QuarantineKey;
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
            partition_key: String::new(),
            arrived_at: at(arrived_at),
            data: Vec::new(),
        };
        let records = vec![record("7", "2026-11-03T09:59:59.999Z").into(), record("9", "2026-11-03T10:00:00Z").into()];
        let batch = RawBatch { shard: "shardId-000000000003".to_owned(), records };
        assert_eq!(raw_key(&batch).unwrap(), "raw/dt=2026-11-03/hour=09/shardId-000000000003-7-9.ndjson.zst");
        assert_eq!(raw_key(&RawBatch { records: Vec::new(), ..batch }), None);
    }

    #[test]
    fn quarantine_object_states_what_its_dead_letter_shows() {
        let later = QuarantinedItem { arrived_at: at("2026-11-04T00:00:00Z"), ..quarantined(b"b") };
        let object = quarantine_objects(&[later, quarantined(b"a")]).unwrap().remove(0);
        let key = QuarantineKey::parse(&object.key).unwrap();
        assert_eq!((key.reason, key.shard.as_str()), (Reason::TimeAhead, "shardId-000000000000"));
        assert_eq!((key.first_sequence_number.as_str(), key.last_sequence_number.as_str()), ("11", "11"));
        let expected =
            [(ITEMS, "2"), (FIRST_ARRIVAL, "2026-11-03T23:59:59.999Z"), (LAST_ARRIVAL, "2026-11-04T00:00:00.000Z")];
        assert_eq!(object.metadata, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
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
