//! The targets of redrives, which only record what they get, and the records of the archive.

use roadcast_domain::dead_letter::Content;
use roadcast_ports::archive::ArchivedRecord;
use roadcast_ports::redrive::{ArchivedRecords, ProcessedBatch, RecordPosition, RedriveTargets, RedrivenBatch};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;
use serde_json::Value;

use super::Memory;

/// What redrives sent.
#[derive(Clone, Debug, Default)]
pub struct Redelivered {
    /// The batches for the stream processor.
    pub batches: Vec<RedrivenBatch>,
    /// The messages for enrichment, each with its lane.
    pub messages: Vec<(String, String)>,
    /// The notifications for the loader of bulk files.
    pub notifications: Vec<String>,
    /// The messages for the notices of alerts.
    pub notices: Vec<String>,
    /// What the next batches result in; a batch without an entry is processed without quarantine.
    pub results: Vec<ProcessedBatch>,
}

impl Memory {
    /// Returns what redrives sent.
    pub fn redelivered(&self) -> Redelivered {
        self.state().redelivered.clone()
    }

    /// Sets what the next batch of a redrive results in.
    pub fn set_redrive_result(&self, result: ProcessedBatch) {
        self.state().redelivered.results.push(result);
    }
}

impl RedriveTargets for Memory {
    async fn process(&self, batch: &RedrivenBatch) -> Result<ProcessedBatch, PortError> {
        let mut state = self.state();
        state.redelivered.batches.push(batch.clone());
        Ok(state.redelivered.results.pop().unwrap_or_default())
    }

    async fn enrich(&self, lane: &str, message: &str) -> Result<(), PortError> {
        if !["telemetry", "alerts"].contains(&lane) {
            return Err(PortError::new(PortErrorKind::Rejected, "sending to a lane of enrichment"));
        }
        self.state().redelivered.messages.push((lane.to_owned(), message.to_owned()));
        Ok(())
    }

    async fn import(&self, notification: &str) -> Result<(), PortError> {
        self.state().redelivered.notifications.push(notification.to_owned());
        Ok(())
    }

    async fn notify(&self, message: &str) -> Result<(), PortError> {
        self.state().redelivered.notices.push(message.to_owned());
        Ok(())
    }
}

/// Objects of the quarantine are lines of JSON, not compressed.
impl ArchivedRecords for Memory {
    async fn quarantined(&self, content: &Content) -> Result<Option<Vec<RecordPosition>>, PortError> {
        let Some(bytes) = self.state().letters.content(&content.key) else { return Ok(None) };
        let mut positions: Vec<RecordPosition> = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let position = position(line);
            let position = position.ok_or_else(|| PortError::new(PortErrorKind::Rejected, "reading a quarantine object"))?;
            if !positions.contains(&position) {
                positions.push(position);
            }
        }
        Ok(Some(positions))
    }

    async fn find(&self, positions: &[RecordPosition]) -> Result<Vec<ArchivedRecord>, PortError> {
        let state = self.state();
        let find = |position: &RecordPosition| {
            let batches = state.archived.iter().map(|(_, batch)| batch).filter(|batch| batch.shard == position.shard);
            let mut records = batches.flat_map(|batch| &batch.records);
            let raw = records.find(|record| record.sequence_number == position.sequence_number)?;
            Some(ArchivedRecord { shard: position.shard.clone(), raw: (**raw).clone() })
        };
        Ok(positions.iter().filter_map(find).collect())
    }
}

fn position(line: &[u8]) -> Option<RecordPosition> {
    let line: Value = serde_json::from_slice(line).ok()?;
    Some(RecordPosition {
        shard: line["shard"].as_str()?.to_owned(),
        sequence_number: line["seq"].as_str()?.to_owned(),
        arrived_at: Timestamp::parse_rfc3339(line["arrivedAt"].as_str()?).ok()?,
    })
}
