//! Reads of the archive by the position of a record, for redrives.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::Client;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::dead_letter::Content;
use roadcast_ports::archive::ArchivedRecord;
use roadcast_ports::redrive::{ArchivedRecords, RecordPosition};
use roadcast_ports::{PortError, PortErrorKind};

use crate::s3::archive::{RAW_PREFIX, hour_prefix};
use crate::s3::archive_lines::{QuarantineLine, RawLine};
use crate::s3::archive_object::{archived_record, read_lines};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const READ_QUARANTINE: &str = "reading a quarantine object";
const LIST: &str = "listing the archive of an hour";
const READ: &str = "reading archived records";
/// The largest number of pages of 1,000 keys that are listed for an hour of a shard. An hour has 720 batches of 5 s in each of
/// ten concurrent batches of a shard.
const MAX_PAGES: usize = 20;
/// The largest number of objects that are read.
const MAX_OBJECTS: usize = 200;
/// A batch may start in the hour before that of a record in it.
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Objects that are read at the same time. One takes up to [`TEXT_BYTES`](super::archive_object::TEXT_BYTES).
const CONCURRENT_READS: usize = 2;

/// The archive in one bucket.
#[derive(Clone, Debug)]
pub struct S3ArchivedRecords {
    client: LazyClient<Client>,
    bucket: String,
}

impl S3ArchivedRecords {
    /// Creates the adapter for the bucket of the archive.
    pub fn new(client: LazyClient<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// Reads the lines of a batch that are wanted, by shard and sequence number.
    async fn wanted_lines(&self, key: &str, wanted: &BTreeSet<(&str, &str)>) -> Result<Vec<RawLine>, PortError> {
        let lines = read_lines::<RawLine>(&self.client, &self.bucket, key, READ).await?;
        let mut lines = lines.unwrap_or_default();
        lines.retain(|line| wanted.contains(&(line.shard.as_str(), line.seq.as_str())));
        Ok(lines)
    }

    /// Returns the keys of the batches of a shard that start in the hour, and that may contain one of these sequence numbers.
    async fn batches(&self, prefix: String, numbers: &BTreeSet<SequenceNumber<'_>>) -> Result<Vec<String>, PortError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix).into_paginator().send();
        let mut keys = Vec::new();
        let mut read = 0;
        while let Some(page) = pages.next().await {
            read += 1;
            if read > MAX_PAGES {
                return Err(PortError::new(PortErrorKind::Rejected, LIST));
            }
            let objects = page.map_err(|error| port_error(LIST, error))?.contents.unwrap_or_default();
            let found = objects.into_iter().filter_map(|object| object.key);
            keys.extend(found.filter(|key| {
                range_of_key(key, &prefix)
                    .is_none_or(|(first, last)| numbers.range(first..=last.max(first)).next().is_some())
            }));
        }
        Ok(keys)
    }
}

impl ArchivedRecords for S3ArchivedRecords {
    async fn quarantined(&self, content: &Content) -> Result<Option<Vec<RecordPosition>>, PortError> {
        let Some(lines) = read_lines::<QuarantineLine>(&self.client, &self.bucket, &content.key, READ_QUARANTINE).await?
        else {
            return Ok(None);
        };
        let mut seen = BTreeSet::new();
        let position = |line: QuarantineLine| RecordPosition {
            shard: line.shard,
            sequence_number: line.seq,
            arrived_at: line.arrived_at,
        };
        Ok(Some(lines.into_iter().map(position).filter(|position| seen.insert(position.clone())).collect()))
    }

    async fn find(&self, positions: &[RecordPosition]) -> Result<Vec<ArchivedRecord>, PortError> {
        let mut by_prefix: BTreeMap<String, BTreeSet<SequenceNumber<'_>>> = BTreeMap::new();
        for position in positions {
            for start in [position.arrived_at, position.arrived_at.plus_ms(-HOUR_MS)] {
                let prefix = format!("{RAW_PREFIX}{}{}-", hour_prefix(start), position.shard);
                by_prefix.entry(prefix).or_default().insert(SequenceNumber(&position.sequence_number));
            }
        }
        let mut keys = BTreeSet::new();
        for (prefix, numbers) in &by_prefix {
            keys.extend(self.batches(prefix.clone(), numbers).await?);
        }
        if keys.len() > MAX_OBJECTS {
            return Err(PortError::new(PortErrorKind::Rejected, READ));
        }
        let wanted: BTreeSet<(&str, &str)> =
            positions.iter().map(|position| (position.shard.as_str(), position.sequence_number.as_str())).collect();
        // A loop, because the compiler rejects a closure over borrowed keys here.
        let mut reads = Vec::new();
        for key in &keys {
            reads.push(self.wanted_lines(key, &wanted));
        }
        let lines: Vec<Vec<RawLine>> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        let mut found = BTreeMap::new();
        for line in lines.into_iter().flatten() {
            let record = archived_record(line, READ)?;
            found.entry((record.shard.clone(), record.raw.sequence_number.clone())).or_insert(record);
        }
        let in_order = |position: &RecordPosition| found.remove(&(position.shard.clone(), position.sequence_number.clone()));
        Ok(positions.iter().filter_map(in_order).collect())
    }
}

/// A sequence number, which is compared as a number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct SequenceNumber<'a>(&'a str);

impl Ord for SequenceNumber<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let digits = |number: &Self| number.0.trim_start_matches('0').len();
        let order = |number: &Self| number.0.trim_start_matches('0').to_owned();
        digits(self).cmp(&digits(other)).then_with(|| order(self).cmp(&order(other))).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for SequenceNumber<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns the first and the last sequence number of a batch; `None` if the key has another form, so that it is read.
fn range_of_key<'a>(key: &'a str, prefix: &str) -> Option<(SequenceNumber<'a>, SequenceNumber<'a>)> {
    let (first, last) = key.strip_prefix(prefix)?.strip_suffix(".ndjson.zst")?.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(first) && is_number(last)).then_some((SequenceNumber(first), SequenceNumber(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_compared_as_numbers() {
        let numbers = ["2", "9", "10", "0011", "100"].map(SequenceNumber);
        assert!(numbers.is_sorted());
        let prefix = "raw/dt=2026-11-03/hour=09/shardId-000000000003-";
        let range =
            |key: &str| range_of_key(&format!("{prefix}{key}"), prefix).map(|(first, last)| (first.0.len(), last.0.len()));
        assert_eq!(range("7-10.ndjson.zst"), Some((1, 2)));
        assert_eq!(range("-.ndjson.zst"), Some((0, 0)), "records without a sequence number");
        assert_eq!(range("7-x.ndjson.zst"), None);
    }
}
