//! The ports of ingest: archive, quarantine, telemetry stream and ingest bus.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_ports::archive::{
    Archive, ArchivedBatch, ArchivedBatches, ArchivedRecord, Quarantine, QuarantinedItem, RawBatch, RawRecord,
};
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::stream::{ReadStart, StreamClock, StreamReader, StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::Memory;

impl Archive for Memory {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        let now = self.clock.now();
        self.state().archived.push((now, batch.clone()));
        Ok(())
    }
}

/// A batch that was stored again is one batch, as in a store of objects.
impl ArchivedBatches for Memory {
    async fn list(&self, hour: Timestamp, after: Option<&str>, limit: usize) -> Result<Vec<ArchivedBatch>, PortError> {
        let hour = hour_of(hour);
        let state = self.state();
        let archived = |(written_at, batch): &(Timestamp, RawBatch)| {
            let bytes = batch.records.iter().map(|record| record.data.len() as u64).sum();
            let key = batch_key(batch)?;
            Some((key.clone(), ArchivedBatch { key, written_at: *written_at, bytes }))
        };
        let batches: BTreeMap<String, ArchivedBatch> = state.archived.iter().filter_map(archived).collect();
        let is_listed = |key: &String| key.starts_with(&hour) && after.is_none_or(|after| key.as_str() > after);
        Ok(batches.into_iter().filter(|(key, _)| is_listed(key)).map(|(_, batch)| batch).take(limit).collect())
    }

    async fn read(&self, key: &str) -> Result<Vec<ArchivedRecord>, PortError> {
        let state = self.state();
        if state.unreadable_batches.contains(key) {
            return Err(PortError::new(PortErrorKind::Rejected, "reading an archived batch"));
        }
        let mut archived = state.archived.iter().map(|(_, batch)| batch);
        let Some(batch) = archived.find(|batch| batch_key(batch).as_deref() == Some(key)) else {
            return Ok(Vec::new());
        };
        let record = |raw: &Arc<RawRecord>| ArchivedRecord { shard: batch.shard.clone(), raw: (**raw).clone() };
        Ok(batch.records.iter().map(record).collect())
    }
}

pub(super) fn batch_key(batch: &RawBatch) -> Option<String> {
    let (first, last) = (batch.records.first()?, batch.records.last()?);
    Some(format!("{}/{}-{}-{}", hour_of(first.arrived_at), batch.shard, first.sequence_number, last.sequence_number))
}

fn hour_of(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("yyyy-mm-ddThh".len());
    text
}

impl Quarantine for Memory {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        self.state().quarantined.extend_from_slice(items);
        Ok(())
    }
}

impl TelemetryStream for Memory {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        self.stream.put(records).await
    }
}

impl StreamReader for Memory {
    async fn read(&self, shard: &str, from: &ReadStart, limit: usize) -> Result<Vec<RawRecord>, PortError> {
        StreamReader::read(&self.stream, shard, from, limit).await
    }
}

impl StreamClock for Memory {
    async fn tick(&self, data: &[u8]) -> Result<usize, PortError> {
        self.stream.tick(data).await
    }
}

impl IngestBus for Memory {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        let refusals = self.refusals();
        let mut state = self.state();
        let publish = |entry: &Batch| {
            refusals.check_entry(&entry.events)?;
            state.published.push(entry.clone());
            Ok(())
        };
        entries.iter().map(publish).collect()
    }
}
