//! Notifications of stored objects, and the keys of these objects.

use roadcast_domain::Timestamp;
use roadcast_domain::refusal::Reason;
use serde::Deserialize;

use crate::percent;

/// A notification of a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNotice {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The size, in bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct TestEvent {
    #[serde(rename = "Event")]
    event: String,
}

/// The largest number of objects that one notification is expected to have; S3 sends one. A message with more is kept as one
/// failure, so that one message cannot take the time of many.
const MAX_OBJECTS: usize = 100;

/// Returns the objects of a notification; `None` if `body` is not one.
pub(super) fn parse(body: &[u8]) -> Option<Vec<ObjectNotice>> {
    let event: Event = serde_json::from_slice(body).ok()?;
    let notice = |Record { s3: Entity { bucket, object } }| ObjectNotice {
        bucket: bucket.name,
        key: percent::decode_form_value(&object.key),
        bytes: object.size,
    };
    let notices: Vec<ObjectNotice> = event.records.into_iter().map(notice).collect();
    (1..=MAX_OBJECTS).contains(&notices.len()).then_some(notices)
}

/// Whether S3 tests a new notification configuration.
pub(super) fn is_test(body: &[u8]) -> bool {
    serde_json::from_slice::<TestEvent>(body).is_ok_and(|test| test.event == "s3:TestEvent")
}

/// What the key of a failure record states: `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureObjectKey {
    /// The shard.
    pub shard: String,
    /// When Lambda stored the record.
    pub stored_at: Timestamp,
}

impl FailureObjectKey {
    /// The prefix of the keys of failure records.
    pub const PREFIX: &str = "aws/lambda/";

    /// Parses a key; `None` if it has another form.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(Self::PREFIX)?.split('/');
        let shard = parts.nth(1)?;
        let time = parts.nth(3)?.get(..19)?;
        let (date, clock) = time.split_once('T')?;
        let stored_at = Timestamp::parse_rfc3339(&format!("{date}T{}Z", clock.replace('.', ":"))).ok()?;
        Some(Self { shard: super::text::pointer(shard), stored_at })
    }
}

/// What the key of a quarantine object states:
/// `quarantine/reason=<code>/dt=YYYY-MM-DD/<shard>-<first>-<last>-<hash>.ndjson.zst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineKey {
    /// The reason of all its items.
    pub reason: Reason,
    /// The start of the day on which the first item arrived.
    pub day: Timestamp,
    /// The shard.
    pub shard: String,
    /// The sequence number of the record with the first item.
    pub first_sequence_number: String,
    /// The sequence number of the record with the last item.
    pub last_sequence_number: String,
}

impl QuarantineKey {
    /// The prefix of the keys of quarantine objects.
    pub const PREFIX: &str = "quarantine/";

    /// Parses a key; `None` if it has another form.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(Self::PREFIX)?.split('/');
        let reason = Reason::from_code(parts.next()?.strip_prefix("reason=")?)?;
        let day = parts.next()?.strip_prefix("dt=")?;
        let mut name = parts.next()?.rsplitn(4, '-').skip(1).map(super::text::pointer);
        let (last_sequence_number, first_sequence_number, shard) = (name.next()?, name.next()?, name.next()?);
        let day = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z")).ok()?;
        Some(Self { reason, day, shard, first_sequence_number, last_sequence_number })
    }
}
