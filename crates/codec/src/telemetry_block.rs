//! Conversion between telemetry events of one vehicle and a columnar block, and the key of a set of events.

use roadcast_blocks::{Block, EventRow};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::Samples;
use sha2::{Digest as _, Sha256};

/// Returns the key of the segment with these event ids, in `eid` order, or `None` if there are none.
pub fn segment_key(eids: impl Iterator<Item = Eid> + Clone) -> Option<String> {
    let first = eids.clone().next()?;
    let mut hash = Sha256::new();
    eids.for_each(|eid| hash.update(eid.bits().to_be_bytes()));
    let digest = hash.finalize();
    Some(format!("{first}#{}", hex::encode(&digest[..4])))
}

/// Encodes telemetry events as a block, in order. Other events are skipped. Returns `None` if the events exceed the limits
/// of a block.
pub fn encode_block<'e>(events: impl Iterator<Item = &'e Event>) -> Option<Block> {
    let (mut rows, mut samples) = (Vec::new(), Vec::new());
    for event in events {
        if let Body::Telemetry(telemetry) = &event.body {
            rows.push(EventRow { eid: event.eid.bits(), received: event.received, samples: telemetry.samples.len() });
            samples.push(&telemetry.samples);
        }
    }
    Block::new(rows, Samples::concat(samples)).ok()
}

/// Returns the events of a vehicle's block.
pub fn events_of_block(vid: &VehicleId, block: Block) -> Vec<Event> {
    let (rows, samples) = block.into_parts();
    let parts = samples.split(rows.iter().map(|row| row.samples));
    let event = |(row, samples): (EventRow, Samples)| Event {
        eid: Eid::from_bits(row.eid),
        vid: vid.clone(),
        received: row.received,
        body: Body::Telemetry(Telemetry { samples }),
    };
    rows.into_iter().zip(parts).map(event).collect()
}
