//! What is carried on at once: as much of a batch as memory is good for.

use roadcast_domain::event::{Body, StoredEvent};
use roadcast_ports::archive::QuarantinedItem;
use roadcast_signals::{SignalPath, Value};

use super::processor::Pending;

/// Bytes of a chunk. The function has 512 MiB; beside the chunk there are the batch itself, what the event that was read
/// last unpacked to, and copies of what is just being written. A full batch of uploads of ten samples of 18 signals fits into
/// one chunk, so that it is one entry, one object and one look at each vehicle.
const PORTION_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of an event beside its samples: itself, its texts, and what is written for it. Measured, as are those below.
const EVENT_BYTES: usize = 1024;
/// Bytes of a sample beside its signals: a map's first node is large.
const SAMPLE_BYTES: usize = 512;
/// Bytes of a signal with its value in a sample's map.
const SIGNAL_BYTES: usize = 72;
/// Bytes of a text beside its own.
const TEXT_BYTES: usize = 32;
/// Bytes of an item that is set aside, beside what it came in. It is made a line, a text of lines and a frame, which are there
/// beside one another.
const QUARANTINED_BYTES: usize = 384;
const COPIES_OF_QUARANTINED: usize = 4;

/// What was judged and not yet carried on.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) pending: Vec<Pending>,
    /// Each with the place of its record.
    pub(super) quarantined: Vec<(usize, QuarantinedItem)>,
    bytes: usize,
}

impl Chunk {
    pub(super) fn take(&mut self, event: Pending) {
        self.bytes += bytes_of(&event.stored);
        self.pending.push(event);
    }

    pub(super) fn quarantine(&mut self, record: usize, item: QuarantinedItem) {
        self.bytes += COPIES_OF_QUARANTINED * (QUARANTINED_BYTES + item.bytes.len());
        self.quarantined.push((record, item));
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > PORTION_BYTES
    }
}

/// Bytes of an event in memory, about.
fn bytes_of(stored: &StoredEvent) -> usize {
    let telemetry = match &stored.event.body {
        Body::Telemetry(telemetry) => telemetry,
        Body::Diagnostic(_) => return EVENT_BYTES,
        // Itself, and what is written of it.
        Body::Custom(custom) => return EVENT_BYTES + 2 * custom.data.get().len(),
    };
    let signal = |(path, value): (&SignalPath, &Value)| {
        // A path of the catalogue stands there once for all.
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
