//! A chunk: the part of a batch that fits into memory and is flushed together.

use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::event::{Body, StoredEvent};
use roadcast_ports::archive::QuarantinedItem;

use super::batch::{BatchOutcome, PendingEvent, Record};

/// Where the chunks of a batch go.
pub(super) trait ChunkTarget: Sync {
    /// Whether the rest of a batch is processed after a failure. A failed chunk must then not change the result of others.
    const CONTINUES_AFTER_FAILURE: bool;

    /// Processes the events and invalid items of a chunk of these records.
    fn flush(&self, records: &[Record], chunk: Chunk) -> impl Future<Output = BatchOutcome> + Send;
}

/// Bytes of a chunk. The function has 512 MiB of memory, which also holds the batch itself, the decompressed event that was
/// read last, and copies of the data being written. A full batch of uploads of ten samples of 18 signals fits into one
/// chunk, so that it needs one entry, one object and one read per vehicle.
const CHUNK_BYTES: usize = 128 * 1024 * 1024;
/// Maximum events of a chunk. Each may need a look-up of its own, and the deadline of a batch is checked between chunks. A full
/// batch of uploads has fewer.
const MAX_EVENTS: usize = 10_000;
/// Bytes of the data that is written for an event, besides the content: headers of entries and items. Measured.
const WRITTEN_BYTES: usize = 512;
/// Bytes of a quarantined item without its content.
const QUARANTINED_BYTES: usize = 384;
/// Copies of a quarantined item: the item, its line, the text of all lines and the compressed frame exist at the same time.
const QUARANTINED_COPIES: usize = 4;

/// Validated events and invalid items that are not flushed yet.
pub(super) struct Chunk {
    pub(super) pending: Vec<PendingEvent>,
    /// Alerts, which are stored only.
    pub(super) alerts: Vec<PendingEvent>,
    /// Each with the index of its record.
    pub(super) quarantined: Vec<(usize, QuarantinedItem)>,
    budget: ByteBudget,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { pending: Vec::new(), alerts: Vec::new(), quarantined: Vec::new(), budget: ByteBudget::new(CHUNK_BYTES) }
    }
}

impl Chunk {
    pub(super) fn extend(&mut self, pending: Vec<PendingEvent>, quarantined: Vec<(usize, QuarantinedItem)>) {
        self.budget.consume(pending.iter().map(|event| bytes_of(&event.log_entry)).sum());
        self.budget.consume(quarantined.iter().map(|(_, item)| bytes_of_quarantined(item)).sum());
        self.pending.extend(pending);
        self.quarantined.extend(quarantined);
    }

    pub(super) fn extend_alerts(&mut self, alerts: Vec<PendingEvent>, quarantined: Vec<(usize, QuarantinedItem)>) {
        self.budget.consume(alerts.iter().map(|alert| bytes_of(&alert.log_entry)).sum());
        self.alerts.extend(alerts);
        self.extend(Vec::new(), quarantined);
    }

    pub(super) fn is_full(&self) -> bool {
        self.budget.is_exceeded() || self.pending.len() + self.alerts.len() >= MAX_EVENTS
    }
}

/// The estimated size of a quarantined item and its copies in memory.
const fn bytes_of_quarantined(item: &QuarantinedItem) -> usize {
    QUARANTINED_COPIES * (QUARANTINED_BYTES + item.bytes.len())
}

/// The size of an event in memory, and of the data that is written for it.
fn bytes_of(log_entry: &StoredEvent) -> usize {
    let copied = match &log_entry.event.body {
        Body::Custom(custom) => custom.data.get().len(),
        Body::Telemetry(_) | Body::Diagnostic(_) | Body::Alert(_) => 0,
    };
    WRITTEN_BYTES + log_entry.memory_bytes() + copied
}
