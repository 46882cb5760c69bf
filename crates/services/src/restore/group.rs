//! Groups of archived batches, whose records are restored together: a vehicle has records in most batches of a minute, and its
//! events are looked up, and its state is written, once for each group.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::archive::{ArchivedBatch, ArchivedBatches, ArchivedRecord};
use roadcast_ports::{PortError, PortErrorKind};

use super::HourProgress;
use super::request::{ArchiveHour, RestoreRequest};
use crate::stream::Record;

/// Batches per page of a listing.
const PAGE: usize = 1000;
/// Stored bytes of the batches of a group, unless it has a single one, and their number. A batch of the stream has 6 MB, before
/// it is compressed.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;
const GROUP_BATCHES: usize = 100;
/// Batches that are read at the same time.
const CONCURRENT_BATCHES: usize = 4;

/// Records of consecutive batches of the archive.
pub(super) struct Group {
    pub(super) records: Vec<Record>,
    /// The number of batches that cannot be read.
    pub(super) unreadable: usize,
    /// Of each record, the index of its batch in `keys`, and its index in the batch.
    locations: Vec<(usize, usize)>,
    /// The key before the group.
    after: Option<String>,
    keys: Vec<String>,
}

impl Group {
    /// Returns the position in the archive before the record with this index, or after the group: the last key that is restored
    /// completely, and the number of records of the next batch that are.
    pub(super) fn position_after(&self, records: usize) -> (Option<String>, usize) {
        match self.locations.get(records) {
            Some((0, index)) => (self.after.clone(), *index),
            Some((batch, index)) => (self.keys.get(batch - 1).cloned(), *index),
            None => (self.keys.last().cloned(), 0),
        }
    }
}

/// Reads the groups of an hour, in order.
pub(super) struct GroupReader<'a, Batches> {
    batches: &'a Batches,
    request: &'a RestoreRequest,
    hour: ArchiveHour,
    listed: VecDeque<ArchivedBatch>,
    /// The last key of the listing.
    listed_to: Option<String>,
    /// The last key of the previous group.
    taken_to: Option<String>,
}

impl<'a, Batches: ArchivedBatches> GroupReader<'a, Batches> {
    pub(super) fn new(batches: &'a Batches, request: &'a RestoreRequest, hour: ArchiveHour) -> Self {
        Self { batches, request, hour, listed: VecDeque::new(), listed_to: None, taken_to: None }
    }

    /// Reads the group at the position of `progress`. Returns `None` at the end of the hour.
    pub(super) async fn next(&mut self, progress: &HourProgress) -> Result<Option<Group>, PortError> {
        let after = progress.after.clone();
        // At the start, and if a part of the previous group remains.
        if self.taken_to != after || progress.records_of_next > 0 {
            self.listed.clear();
            self.listed_to.clone_from(&after);
        }
        let Some(members) = self.take_members().await? else { return Ok(None) };
        let keys: Vec<String> = members.into_iter().map(|batch| batch.key).collect();
        self.taken_to = keys.last().cloned();
        // A loop, because the compiler rejects a closure over borrowed keys here.
        let mut reads = Vec::new();
        for key in &keys {
            reads.push(self.read(key));
        }
        let read: Vec<Option<Vec<ArchivedRecord>>> = stream::iter(reads).buffered(CONCURRENT_BATCHES).try_collect().await?;
        let unreadable = read.iter().filter(|records| records.is_none()).count();
        let mut group = Group { records: Vec::new(), unreadable, locations: Vec::new(), after, keys };
        // Retried batches of the stream overlap.
        let mut seen = BTreeSet::new();
        for (batch, records) in read.into_iter().enumerate() {
            let restored = if batch == 0 { progress.records_of_next } else { 0 };
            for (index, ArchivedRecord { shard, raw }) in records.into_iter().flatten().enumerate().skip(restored) {
                if self.request.includes(raw.arrived_at) && seen.insert((shard.clone(), raw.sequence_number.clone())) {
                    group.records.push(Record { shard, raw: Arc::new(raw) });
                    group.locations.push((batch, index));
                }
            }
        }
        Ok(Some(group))
    }

    /// Returns the next batches that can have records of the requested time; `None` at the end of the hour.
    async fn take_members(&mut self) -> Result<Option<Vec<ArchivedBatch>>, PortError> {
        let (mut members, mut bytes) = (Vec::new(), 0);
        loop {
            while let Some(next) = self.listed.front() {
                bytes += next.bytes;
                let is_full = bytes > GROUP_BYTES || members.len() >= GROUP_BATCHES;
                if is_full && !members.is_empty() {
                    return Ok(Some(members));
                }
                members.extend(self.listed.pop_front());
            }
            let page = self.batches.list(self.hour.start(), self.listed_to.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            self.listed_to = Some(last.key.clone());
            self.listed.extend(page.into_iter().filter(|batch| self.request.may_include(batch.written_at)));
        }
        Ok((!members.is_empty()).then_some(members))
    }

    /// Reads a batch; `None` if it is not readable.
    async fn read(&self, key: &str) -> Result<Option<Vec<ArchivedRecord>>, PortError> {
        match self.batches.read(key).await {
            Ok(records) => Ok(Some(records)),
            Err(error) if error.kind() == PortErrorKind::Rejected => {
                let cause = roadcast_ports::error_chain(&error);
                tracing::error!(
                    key,
                    cause,
                    "the archived batch {key} is not readable, its records are not restored: {cause}"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
