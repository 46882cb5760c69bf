//! The write-only ports of ingest: archive, quarantine, telemetry stream and ingest bus.

use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, ENTRY_BYTES, IngestBus, entry_bytes};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

impl Archive for Memory {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        self.state().archived.push(batch.clone());
        Ok(())
    }
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

impl IngestBus for Memory {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        let mut state = self.state();
        let publish = |entry: &Batch| {
            check_size(&entry.events)?;
            state.published.push(entry.clone());
            Ok(())
        };
        entries.iter().map(publish).collect()
    }
}

/// Rejects an entry that exceeds EventBridge's limit. The local endpoint does not enforce it, so tests rely on this check.
pub(super) fn check_size(events: &[String]) -> Result<(), PortError> {
    if entry_bytes(events) > ENTRY_BYTES {
        return Err(PortError::new(PortErrorKind::Rejected, "publishing an entry of more than 1 MB"));
    }
    Ok(())
}
