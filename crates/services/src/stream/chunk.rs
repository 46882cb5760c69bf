//! A chunk: the part of a batch that fits into memory and is flushed together.

use roadcast_domain::event::{Body, StoredEvent};
use roadcast_ports::archive::QuarantinedItem;
use roadcast_signals::{SignalPath, Value};

use super::batch::PendingEvent;

/// Bytes of a chunk. The function has 512 MiB of memory, which also holds the batch itself, the decompressed event that was
/// read last, and copies of the data being written. A full batch of uploads of ten samples of 18 signals fits into one
/// chunk, so that it needs one entry, one object and one read per vehicle.
const CHUNK_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of an event without its samples: the struct, its texts, and the data written for it. Measured, as are the sizes
/// below.
const EVENT_BYTES: usize = 1024;
/// Bytes of a sample without its signals. A B-tree map allocates a node for eleven entries first.
const SAMPLE_BYTES: usize = 512;
/// Bytes of a signal and its value in a sample's map.
const SIGNAL_BYTES: usize = 72;
/// Bytes of a text without its characters.
const TEXT_BYTES: usize = 32;
/// Bytes of a quarantined item without its content.
const QUARANTINED_BYTES: usize = 384;
/// Copies of a quarantined item: the item, its line, the text of all lines and the compressed frame exist at the same time.
const QUARANTINED_COPIES: usize = 4;

/// Validated events and invalid items that are not flushed yet.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) pending: Vec<PendingEvent>,
    /// Each with the index of its record.
    pub(super) quarantined: Vec<(usize, QuarantinedItem)>,
    bytes: usize,
}

impl Chunk {
    pub(super) fn extend(&mut self, pending: Vec<PendingEvent>, quarantined: Vec<(usize, QuarantinedItem)>) {
        self.bytes += pending.iter().map(|event| bytes_of(&event.log_entry)).sum::<usize>();
        self.bytes += quarantined.iter().map(|(_, item)| bytes_of_quarantined(item)).sum::<usize>();
        self.pending.extend(pending);
        self.quarantined.extend(quarantined);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > CHUNK_BYTES
    }
}

/// The estimated size of a quarantined item and its copies in memory.
const fn bytes_of_quarantined(item: &QuarantinedItem) -> usize {
    QUARANTINED_COPIES * (QUARANTINED_BYTES + item.bytes.len())
}

/// The estimated size of an event in memory.
fn bytes_of(log_entry: &StoredEvent) -> usize {
    let telemetry = match &log_entry.event.body {
        Body::Telemetry(telemetry) => telemetry,
        Body::Diagnostic(_) => return EVENT_BYTES,
        // The data itself, and its copy in the data being written.
        Body::Custom(custom) => return EVENT_BYTES + 2 * custom.data.get().len(),
    };
    let signal = |(path, value): (&SignalPath, &Value)| {
        // Paths of the catalogue are static.
        let path = if path.def().is_some() { 0 } else { TEXT_BYTES + path.as_str().len() };
        let value = match value {
            Value::Text(text) => TEXT_BYTES + text.len(),
            Value::List(list) => list.len() * SIGNAL_BYTES,
            Value::Bool(_) | Value::Number(_) => 0,
        };
        SIGNAL_BYTES + path + value
    };
    let samples = telemetry.samples.iter();
    EVENT_BYTES + samples.map(|sample| SAMPLE_BYTES + sample.signals.iter().map(signal).sum::<usize>()).sum::<usize>()
}
