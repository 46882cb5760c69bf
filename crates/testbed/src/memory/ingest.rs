//! The write-only ports of ingest: archive, quarantine, telemetry stream and ingest bus.

use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

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
